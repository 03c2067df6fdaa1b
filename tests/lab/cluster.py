"""A netsense cluster on a NetLab: one bridge a node, on the embedded GCS or beside a real Ray.

with NetLab(3) as lab, EmbeddedCluster(lab, bin_dir, directory) as cluster:
    cluster.wait_all_ok()
"""

import json
import os
import secrets
import signal
import subprocess
import time
from pathlib import Path

import pace

GCS_PORT = 18592
HTTP_PORT = 18591
DOOR_PORT = 18590


def wait_until(what, condition, every=0.05, limit=None):
    """Polls `condition` until it gives something true, which is returned. How long that takes is not judged here (pace.within does that):
    TimeoutError names `what` when it hangs, or after `limit` seconds where it must not come."""
    begun, limit = time.monotonic(), limit or pace.hangs_after()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() - begun > limit:
            raise TimeoutError(f"{what}: not within {limit:.1f} s")
        time.sleep(every)


def wait_shown(words, run, code=0):
    """What `run`, which asks for the status, gives when it says `words` with this exit code. A host that starts many things at once may
    lose a ping, which the edge says until it is some pings old."""

    def shown():
        done = run()
        return done if done.returncode == code and words in done.stdout else None

    try:
        return wait_until(f"'{words}'", shown, every=0.5)
    except TimeoutError as error:
        done = run()
        raise TimeoutError(f"{error}\n{done.stdout}{done.stderr}") from None


def clean_environment(home):
    """The environment of every program in a lab: no token, no setting, no proxy from outside."""
    kept = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "RAY_USAGE_STATS_ENABLED": "0",
        "NETSENSE_RUNTIME_DIR": f"{home}/run",
        **pace.environment(),
    }
    for name in os.environ:
        if name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS") or name.startswith("UCX_"):
            kept[name] = os.environ[name]
    return kept


class Cluster:
    """What the two kinds share. Nodes are numbered from 1; node 1 is the head."""

    def __init__(self, lab, bin_dir, directory, settings=None, tokens=None):
        """`tokens`: node -> secret, where it differs from the cluster's; None = no token at all on that node."""
        self.lab = lab
        self.bin = Path(bin_dir).resolve()
        self.directory = Path(directory)
        # A probe moves less on a slower machine, whose links a test makes slower too: it is to be done within its slot.
        payload = {"bw_payload_bytes": str(max(1 << 16, round((1 << 20) / pace.scale())))}
        self.settings = {"enabled": "true", "tick_ms": "500", **payload, **self.patient(3000, 2000), **(settings or {})}
        self.bridges = {}
        self.environment = clean_environment(self.directory)
        secret = secrets.token_hex(16)
        self.tokens = dict.fromkeys(range(1, lab.nodes + 1), secret) | (tokens or {})

    @staticmethod
    def patient(rtt_ttl_ms, lease_ms, rtt_timeout_ms=500):
        """Settings by which a machine of this pace is not late: how long a report is good, how long an engine does without its bridge,
        and how long an answer may take."""
        limits = {"lease_ms": lease_ms, "rtt_timeout_ms": rtt_timeout_ms}  # at most a minute
        return {"rtt_ttl_ms": pace.setting(rtt_ttl_ms)} | {name: pace.setting(min(ms, 60_000 / pace.scale())) for name, ms in limits.items()}

    def __enter__(self):
        try:
            self.start_cluster()
            for i in range(1, self.lab.nodes + 1):
                self.start_bridge(i)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for i in list(self.bridges):
            self.stop_bridge(i)

    # ---- for the two kinds to fill in

    gcs_address: str

    def start_cluster(self):
        pass

    def identity_flags(self, i):
        raise NotImplementedError

    # ---- bridges

    def token_flags(self, i):
        if self.tokens[i] is None:
            return ["--insecure"]
        path = self.directory / f"token-{i}"
        path.write_text(self.tokens[i] + "\n")
        path.chmod(0o600)
        return ["--token-file", path]

    def start_bridge(self, i, extra=()):
        flags = [f"--network_sense_{name}={value}" for name, value in self.settings.items()]
        log = open(self.directory / f"bridge-{i}.log", "ab")
        self.bridges[i] = self.lab.popen(
            i,
            [self.bin / "netsense-bridge", "run", *self.identity_flags(i), *self.token_flags(i), *flags, *extra],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=self.environment,
            start_new_session=True,  # a Ctrl-C on the terminal is the demo's, which then ends its bridges in order
        )
        log.close()

    def stop_bridge(self, i, sig=signal.SIGTERM):
        bridge = self.bridges.pop(i)
        if bridge.poll() is None:
            bridge.send_signal(sig)
            try:
                bridge.wait(timeout=pace.hangs_after(10))
            except subprocess.TimeoutExpired:
                bridge.kill()
                bridge.wait()
        return bridge.returncode

    def log(self, i):
        return (self.directory / f"bridge-{i}.log").read_text(errors="replace")

    def pids_of(self, i, program):
        """Pids of a program by name in node i."""
        found = []
        for pid in self.lab.pids(i):
            try:
                if Path(os.readlink(f"/proc/{pid}/exe")).name == program:
                    found.append(pid)
            except OSError:
                pass
        return found

    def engine_pid(self, i):
        """Of node i's one engine. For some seconds after a bridge was killed there may be two."""

        def only_one():
            pids = self.pids_of(i, "netsense-engine")
            return pids[0] if len(pids) == 1 else None

        return wait_until(f"one engine on node {i}", only_one)

    def engine_socket(self, i):
        arguments = Path(f"/proc/{self.engine_pid(i)}/cmdline").read_text().split("\0")
        return arguments[arguments.index("--control-socket") + 1]

    def engine_status(self, i, socket=None):
        done = self.lab.run(
            i,
            [self.bin / "netsense-engine", "--status", "--json", "--control-socket", socket or self.engine_socket(i)],
            env=self.environment,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def engine_paths_state(self, i, peer):
        """What node i's engine itself says of its path to node `peer`."""
        ids = {node["address"]: node["node_id"] for node in self.status()["nodes"]}
        peer_id = ids.get(self.lab.address(peer), "gone")
        states = [p["state"] for p in self.engine_status(i)["snapshot"]["paths"] if p["path_id"].startswith(peer_id)]
        return states[0] if states else None

    # ---- what users see

    def status_run(self, i=1, *flags):
        return self.lab.run(
            i,
            [self.bin / "netsense-bridge", "status", "--gcs-address", self.gcs_address, *self.gcs_token_flags(i), *flags],
            env=self.environment,
        )

    def gcs_token_flags(self, i):
        return []

    def status(self, i=1):
        done = self.status_run(i, "--json")
        if done.returncode not in (0, 1):
            return None  # the GCS is not there (yet)
        return json.loads(done.stdout)

    def paths(self, i=1):
        """(source address, destination address, transport) -> edge."""
        payload = self.status(i)
        if payload is None:
            return {}
        address = {node["node_id"]: node["address"] for node in payload["nodes"]}
        return {(address[e["src_node_id"]], address[e["dst_node_id"]], e["transport"]): e for e in payload["edges"]}

    def edges(self, i=1):
        """(source address, destination address) -> edge, of a cluster that measures one transport."""
        return {(src, dst): edge for (src, dst, _), edge in self.paths(i).items()}

    def edge(self, src, dst, seen_from=1):
        return self.edges(seen_from).get((self.lab.address(src), self.lab.address(dst)))

    def wait_all_ok(self, with_bandwidth=False, nodes=None):
        wanted = (nodes or self.lab.nodes) * ((nodes or self.lab.nodes) - 1) * len(self.settings.get("transports", "tcp").split(","))

        def good():
            edges = self.paths()
            ok = [edge for edge in edges.values() if edge["state"] == "OK" and (not with_bandwidth or edge["bw_mbps"] is not None)]
            return edges if len(ok) == len(edges) == wanted else None

        try:
            return wait_until(f"{wanted} good edges", good, every=0.2)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.what_is_wrong(with_bandwidth)}") from None

    def wait_left_in_order(self, nodes):
        """Until so many nodes are alive, all is good, and never was one of the others LOST."""

        def gone():
            shown = self.status()
            assert shown["lost_nodes"] == []
            return shown["num_nodes"] == nodes

        wait_until(f"{nodes} nodes", gone)
        wait_until(f"a good cluster of {nodes}", lambda: self.status_run().returncode == 0)

    def what_is_wrong(self, with_bandwidth):
        """For whoever reads a failed test: every edge that is not good, and how each bridge's log ends."""
        lines = [
            f"{src} -> {dst} over {transport}: {edge['state']} {edge['reason']} bandwidth {edge['bw_mbps']} {edge['bw_reason']}"
            for (src, dst, transport), edge in self.paths().items()
            if edge["state"] != "OK" or (with_bandwidth and edge["bw_mbps"] is None)
        ]
        for i, bridge in self.bridges.items():
            lines += [f"bridge {i}, exit code {bridge.poll()}:", *self.log(i).splitlines()[-8:]]
        return "\n".join(lines)

    def http_get(self, path, i=1, headers=None, host=None):
        """Status code and body of the head's HTTP API, asked from node i."""
        command = ["curl", "-s", "-m", pace.hangs_after(5), "-w", "\n%{http_code}"]
        for name, value in (headers or {}).items():
            command += ["-H", f"{name}: {value}"]
        done = self.lab.run(i, [*command, f"http://{host or self.lab.address(1)}:{HTTP_PORT}{path}"])
        body, _, code = done.stdout.rpartition("\n")
        return int(code), body

    def bearer(self, i=1):
        return {"Authorization": f"Bearer {self.tokens[i]}"} if self.tokens[i] else {}


class EmbeddedCluster(Cluster):
    """Without Ray: node 1's bridge serves the GCS."""

    def start_cluster(self):
        self.gcs_address = f"{self.lab.address(1)}:{GCS_PORT}"

    def identity_flags(self, i):
        flags = ["--standalone", "--node-ip", self.lab.address(i)]
        return flags + (["--head"] if i == 1 else ["--gcs-address", self.gcs_address])

    def gcs_token_flags(self, i):
        return ["--token-file", self.directory / f"token-{i}"] if self.tokens[i] else []


class RayCluster(Cluster):
    """A raylet of a real Ray on each node. `ray` is the path of Ray's command; `store_bytes` is the size of a node's object store."""

    def __init__(self, lab, bin_dir, directory, ray, ray_environment=None, store_bytes=80_000_000, **options):
        super().__init__(lab, bin_dir, directory, **options)
        self.store_bytes = store_bytes
        self.ray = Path(ray).absolute()  # not resolved: a venv's python is a link
        self.ray_environment = self.environment | (ray_environment or {})
        self.gcs_address = f"{lab.address(1)}:6379"

    def start_cluster(self):
        # Unix sockets have short names: Ray's own directory must not be deep.
        self.temp = self.directory / "r"
        self.start_ray(1, "--head", "--port=6379", f"--temp-dir={self.temp}", "--include-dashboard=false")
        self.join(range(2, self.lab.nodes + 1))

    def join(self, nodes):
        """One after the other: they share a session's folder, where Ray keeps one node's address at a time, and Ray gives each 30 s."""
        for i in nodes:
            self.start_ray(i, f"--address={self.gcs_address}")

    def start_ray(self, i, *flags):
        command = [self.ray, "start", f"--node-ip-address={self.lab.address(i)}", "--num-cpus=1",
                   f"--object-store-memory={self.store_bytes}", "--disable-usage-stats", *flags]  # fmt: skip
        done = self.lab.run(i, command, env=self.ray_environment)
        if done.returncode != 0:
            raise RuntimeError(f"ray start on node {i}: {done.stdout}\n{done.stderr}")

    def raylet_pid(self, i):
        (pid,) = self.pids_of(i, "raylet")
        return pid

    def identity_flags(self, i):
        return []  # everything is found

    def python(self, i, code):
        """Runs Python with this Ray in node i; its stdout."""
        done = self.lab.run(i, [self.ray.parent / "python", "-c", code], env=self.ray_environment)
        assert done.returncode == 0, done.stderr
        return done.stdout
