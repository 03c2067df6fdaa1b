"""The cluster that a nemesis works on: without Ray, node 1 its head, some numbers of the lab left for nodes that come later."""

import os
from pathlib import Path

from cluster import EmbeddedCluster, wait_until

HEAD = 1
# What the cluster itself is told, so that it can be told something else: a flag would go before it.
SHARED = {"enabled": "true", "tick_ms": "400", "bw_enabled": "true", "bw_slot_ms": "250", "transports": "tcp,ucx"}
PROGRAMS = {"netsense-bridge": "bridge", "netsense-engine": "engine", "netsense-ucx": "ucx"}


class ChaosCluster(EmbeddedCluster):
    def __init__(self, lab, bin_dir, directory, nodes):
        # A lease that is longer than a tick also before the cluster has its settings.
        super().__init__(lab, bin_dir, directory, settings=self.patient(rtt_ttl_ms=3000, lease_ms=4000))
        for name in SHARED:
            self.settings.pop(name, None)
        self.present = set(range(1, nodes + 1))
        self.node_ip = {i: lab.address(i) for i in range(1, lab.nodes + 1)}
        self.rotated = False  # the token
        self.more_environment: dict = {}  # node -> of its programs alone

    def __enter__(self):
        try:
            self.start_cluster()
            for i in sorted(self.present):
                self.start_bridge(i)
            for name, value in SHARED.items():
                try:
                    wait_until(f"the head to take {name}", lambda: self.configure("set", name, value))
                except TimeoutError as error:
                    raise TimeoutError(f"{error}: {self.said}\n{self.log(HEAD)}") from None
        except BaseException:
            self.close()
            raise
        return self

    def identity_flags(self, i):
        flags = super().identity_flags(i)
        flags[flags.index("--node-ip") + 1] = self.node_ip[i]
        return [*flags, "--node-name", f"node-{i}"]

    def token_flags(self, i):
        path = self.directory / f"token-{i}"
        if path.exists():
            return ["--token-file", path]  # it may have been rotated
        if (self.directory / f"token-{HEAD}").exists():
            self.tokens[i] = (self.directory / f"token-{HEAD}").read_text().split("\n")[0]
        return super().token_flags(i)

    def start_bridge(self, i, extra=()):
        usual = self.environment
        self.environment = usual | self.more_environment.get(i, {})
        try:
            super().start_bridge(i, extra)
        finally:
            self.environment = usual

    def configure(self, *words):
        """`netsense-bridge config` towards the head, with a setting's name as in flags; True when it took it."""
        command, name, *value = words
        flags = ["--gcs-address", self.gcs_address, *self.gcs_token_flags(HEAD)]
        done = self.lab.run(HEAD, [self.bin / "netsense-bridge", "config", command, f"network_sense_{name}", *value, *flags], env=self.environment)
        self.said = done.stderr.strip()
        return done.returncode == 0

    def token(self, i):
        """That node i's programs take: after a change the one before, too, and the new one when they have read it."""
        path = self.directory / f"token-{i}"
        before = path.with_name(f"{path.name}.previous")
        return (before if before.exists() else path).read_text().split("\n")[0]

    def programs(self, i):
        """(program, pid) of what lives on node i; no hand tool, and no child that has not become another program yet."""
        found, parents = [], {}
        for pid in self.lab.pids(i):
            try:
                program = PROGRAMS.get(Path(os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")).name)  # built anew meanwhile
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                parents[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if (program == "bridge" and words[1:2] == [b"run"]) or (program == "engine" and b"--listen" in words) or program == "ucx":
                found.append((program, pid))
        kinds = {pid: program for program, pid in found}
        return [(program, pid) for program, pid in found if kinds.get(parents[pid]) != program]

    def pids(self, i, program):
        return [pid for name, pid in self.programs(i) if name == program]
