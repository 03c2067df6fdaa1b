"""The clusters that a nemesis works on, node 1 the head: without Ray, some numbers of the lab left for nodes that come later; or beside a
real Ray that keeps its tables in Redis.
"""

import os
from pathlib import Path

from cluster import Cluster, EmbeddedCluster, RayCluster, wait_until

HEAD = 1
# What the cluster itself is told, so that it can be told something else: a flag would go before it.
SHARED = {"enabled": "true", "tick_ms": "400", "bw_enabled": "true", "bw_slot_ms": "250", "transports": "tcp,ucx"}
PROGRAMS = {"netsense-bridge": "bridge", "netsense-engine": "engine", "netsense-ucx": "ucx"}


class Changeable(Cluster):
    """Whose nodes, settings and tokens faults may change."""

    def __init__(self, lab, bin_dir, directory, nodes, **options):
        # A lease that is longer than a tick also before the cluster has its settings.
        super().__init__(lab, bin_dir, directory, settings=self.patient(rtt_ttl_ms=3000, lease_ms=4000), **options)
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


class ChaosCluster(Changeable, EmbeddedCluster):
    def identity_flags(self, i):
        flags = super().identity_flags(i)
        flags[flags.index("--node-ip") + 1] = self.node_ip[i]
        return [*flags, "--node-name", f"node-{i}"]


class ChaosRayCluster(Changeable, RayCluster):
    """Its GCS and Redis can be killed and started again, as an operator's supervisor would."""

    REDIS_PORT = 6380

    def __init__(self, lab, bin_dir, directory, nodes, ray):
        redis = {"RAY_REDIS_ADDRESS": f"{lab.address(HEAD)}:{self.REDIS_PORT}"}
        super().__init__(lab, bin_dir, directory, nodes, ray=ray, ray_environment=redis)
        self.gcs_command = None
        self.redis = None

    def start_cluster(self):
        self.start_redis()
        super().start_cluster()
        (pid,) = self.pids_of(HEAD, "gcs_server")
        words, environment = (Path(f"/proc/{pid}/{what}").read_bytes().split(b"\0")[:-1] for what in ("cmdline", "environ"))
        self.gcs_command = [word.decode() for word in words]
        self.gcs_environment = dict(entry.decode().split("=", 1) for entry in environment if b"=" in entry)

    def close(self):
        super().close()
        if self.redis is not None:
            self.redis.kill()
            self.redis.wait()

    def start_redis(self):
        """With what it had: each write is on the disk before it is acknowledged."""
        address = self.lab.address(HEAD)
        command = ["redis-server", "--port", self.REDIS_PORT, "--bind", address, "127.0.0.1", "--protected-mode", "no", "--save", ""]
        kept = ["--appendonly", "yes", "--appendfsync", "always", "--dir", self.directory, "--logfile", self.directory / "redis.log"]
        self.redis = self.lab.popen(HEAD, [*command, *kept, "--daemonize", "no"])
        wait_until("Redis", lambda: self.lab.run(HEAD, ["redis-cli", "-p", self.REDIS_PORT, "ping"]).stdout.strip() == "PONG")

    def redis_pids(self):
        return [self.redis.pid]

    def gcs_pids(self):
        return self.pids_of(HEAD, "gcs_server")

    def start_gcs(self):
        if not self.gcs_pids():
            with open(self.directory / "gcs-again.log", "ab") as log:
                self.lab.popen(HEAD, self.gcs_command, env=self.gcs_environment, stdout=log, stderr=log)
