"""What happened to a cluster, and what everybody who reads was told meanwhile: one file of JSON Lines.

Each line has `t`, seconds since the beginning by the monotonic clock (of what was asked: before it was asked), and `kind`:

    begin      seed, nodes, scale and settings
    inject, injected, heal, healed   a fault begins, is in force, is to end, has ended: `id`, `name`, and what follows from it (fault.py)
    good       all is good for the first time
    gave_up    the nemesis no longer waited for all to be good
    topology   what the head's HTTP API said, distributions left out; `error` instead of `value` where it said nothing
    status     the same of `netsense-bridge status --json` on a node
    engine     what `netsense-engine --status --json` said on `node`: the snapshot's paths and counters, and the lease
    metrics    /metrics of `node` by series, without buckets; healthz   its /healthz
    processes  [node, program, pid, begun, kB resident, threads, descriptors] of each that is alive
    end

`took`: seconds until the answer; `still`: how long the machine stood still until then, in all (tests/lab/pace.py).
"""

import contextlib
import http.client
import json
import os
import threading
import time
from pathlib import Path

import namespace
import pace
from chaos_cluster import HEAD
from cluster import HTTP_PORT

DISTRIBUTIONS = ("rtt_distribution_ms", "network_rtt_distribution_ms", "responder_hold_distribution_ms")
PATH_FIELDS = ("path_id", "state", "last_ok_age_ms", "pings_sent", "pings_lost", "bandwidth_probes")


class History:
    """The file. Thread-safe."""

    def __init__(self, path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.file = open(path, "w")
        self.lock = threading.Lock()
        self.witness = pace.Witness()

    def close(self):
        self.witness.__exit__()
        self.file.close()

    def now(self):
        return round(time.monotonic() - self.witness.begun, 4)

    def note(self, kind, t=None, **fields):
        line = {"t": self.now() if t is None else t, "kind": kind, "still": round(self.witness.stood_still, 3), **fields}
        text = json.dumps(line, separators=(",", ":"))
        with self.lock:
            if not self.file.closed:
                self.file.write(text + "\n")
                self.file.flush()


class Reader:
    """A thread that asks something again and again until the end, and notes what it was told."""

    def __init__(self, history, cluster, every_s):
        self.history, self.cluster, self.every_s = history, cluster, every_s
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(timeout=pace.hangs_after(5))  # who waits for a program that stands still is answered when the cluster ends

    def run(self):
        turn = 0
        while not self.ended.is_set():
            begun = time.monotonic()
            # A node that was just ended has no socket, no process, no answer: that is no failure of who looks, who goes on whatever it is.
            try:
                self.look(turn)
            except Exception as error:
                self.history.note("no_look", reader=type(self).__name__, why=f"{type(error).__name__}: {error}"[:200])
            turn += 1
            self.ended.wait(max(0.05, self.every_s - (time.monotonic() - begun)))

    def look(self, turn):
        raise NotImplementedError

    def a_node(self, turn):
        nodes = sorted(self.cluster.present)
        return nodes[turn % len(nodes)]

    def ask(self, node, path):
        """The answer of node's bridge to itself; (status code, body), or words."""
        namespace.enter(self.cluster.lab.namespace(node))
        connection = http.client.HTTPConnection(self.cluster.node_ip[node], HTTP_PORT, timeout=pace.hangs_after(1))
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.cluster.token(node)}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class Topology(Reader):
    """Asks the head, and keeps what it said last for who waits."""

    last = None

    def look(self, turn):
        t, value, said = self.history.now(), None, ""
        try:
            code, body = self.ask(HEAD, "/api/v0/network_topology")
            document = json.loads(body)
            if code == 200:
                value, said = document["data"]["result"], document["msg"]
            else:
                said = f"{code}: {document['msg']}"
        except (OSError, ValueError, http.client.HTTPException) as error:
            said = str(error)
        for edge in (value or {"edges": []})["edges"]:
            for name in DISTRIBUTIONS:
                edge.pop(name, None)
        self.last = (t, value)
        self.history.note("topology", t, took=round(self.history.now() - t, 4), **({"value": value, "message": said} if value else {"error": said}))


class Status(Reader):
    """Asks by the command, from all nodes in turn: where the head has no answer, that reads the GCS itself."""

    def look(self, turn):
        t, node = self.history.now(), self.a_node(turn)
        done = self.cluster.status_run(node, "--json")
        if done.returncode not in (0, 1):
            self.history.note("status", t, node=node, took=round(self.history.now() - t, 4), error=done.stderr[-400:])
            return
        value = json.loads(done.stdout)
        for edge in value["edges"]:
            for name in DISTRIBUTIONS:
                edge.pop(name, None)
        self.history.note("status", t, node=node, took=round(self.history.now() - t, 4), code=done.returncode, value=value)


class Engines(Reader):
    def look(self, turn):
        node = self.a_node(turn)
        pids = self.cluster.pids(node, "engine")
        if len(pids) != 1:
            return
        words = Path(f"/proc/{pids[0]}/cmdline").read_text().split("\0")
        t = self.history.now()
        status = self.cluster.engine_status(node, words[words.index("--control-socket") + 1])
        snapshot = status["snapshot"]
        paths = [{name: path.get(name) for name in PATH_FIELDS} for path in snapshot["paths"]]
        self.history.note(
            "engine",
            t,
            node=node,
            took=round(self.history.now() - t, 4),
            pid=pids[0],
            node_id=status["info"]["node_id"],
            paths=paths,
            counters=snapshot["counters"],
            lease_in_force=snapshot["lease_in_force"],
        )


class Metrics(Reader):
    def look(self, turn):
        node = self.a_node(turn)
        t = self.history.now()
        code, body = self.ask(node, "/healthz")
        self.note_answer("healthz", t, node, code, json.loads(body), (200, 503))
        t = self.history.now()
        code, body = self.ask(node, "/metrics")
        lines = (line.rpartition(" ") for line in body.decode().splitlines() if not line.startswith("#") and "_bucket{" not in line)
        self.note_answer("metrics", t, node, code, {name: value for name, _, value in lines}, (200,))

    def note_answer(self, kind, t, node, code, value, whole):
        """`whole`: the codes with which there is something to judge."""
        told = {"value": value} if code in whole else {"error": f"code {code}"}
        self.history.note(kind, t, node=node, took=round(self.history.now() - t, 4), code=code, **told)


class Processes(Reader):
    def look(self, turn):
        t, seen = self.history.now(), []
        for node in range(1, self.cluster.lab.nodes + 1):
            for program, pid in self.cluster.programs(node):
                with contextlib.suppress(OSError):
                    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
                    begun = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
                    kb, threads = int(status.get("VmRSS", "0 kB").split()[0]), int(status["Threads"])
                    seen.append([node, program, pid, begun, kb, threads, len(os.listdir(f"/proc/{pid}/fd"))])
        self.history.note("processes", t, took=round(self.history.now() - t, 4), alive=seen)


def readers(history, cluster):
    """(the topology's, all of them)."""
    topology = Topology(history, cluster, 0.5)
    others = [Status(history, cluster, 4), Engines(history, cluster, 0.7), Metrics(history, cluster, 1), Processes(history, cluster, 1)]
    return topology, [topology, *others]
