"""Programs that are killed, stopped, ended in order, or started too often."""

import contextlib
import os
import signal

from chaos_cluster import HEAD
from fault import Fault

ALL = ("bridge", "engine", "ucx")
# So long a UCX child answers those who have a session, when its engine stands still (deadlines::kEngineStandsStill, and the look for it).
CHILD_ALONE_S = 3.0


def send(pids, what):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, what)


class Kill(Fault):
    """SIGKILL, and whoever started it before starts it again: at once, or (bridges) at healing."""

    def __init__(self, cluster, rng, program, head=False):
        super().__init__(cluster, rng)
        self.program, self.node = program, HEAD if head else self.a_node()
        self.chosen = {"node": self.node, "program": program}
        self.touch(self.node)
        # An engine's UCX child ends with it, and an engine with its lease.
        self.may_end = {(self.node, other) for other in ALL[ALL.index(program) :]}

    def inject(self):
        send(self.cluster.pids(self.node, self.program), signal.SIGKILL)
        if self.program == "bridge":
            self.cluster.stop_bridge(self.node)

    def heal(self):
        if self.program == "bridge":
            self.cluster.start_bridge(self.node)


class KillNode(Fault):
    """Everything of a node at once, as when it loses power; at healing it starts."""

    at_least_s = 15.0  # until the GCS has noticed

    def __init__(self, cluster, rng):
        super().__init__(cluster, rng)
        self.node = self.a_node()
        self.chosen = {"node": self.node}
        self.cut_off(self.node)
        self.may_end = {(self.node, program) for program in ALL}
        self.absent = {self.node}
        self.vanished = {self.node}

    def inject(self):
        send(self.lab.pids(self.node), signal.SIGKILL)
        self.cluster.stop_bridge(self.node)

    def heal(self):
        self.cluster.start_bridge(self.node)


class Leave(KillNode):
    """A bridge that is ended in order, and started again at healing."""

    def __init__(self, cluster, rng):
        super().__init__(cluster, rng)
        self.vanished = set()  # it said so

    def inject(self):
        self.cluster.stop_bridge(self.node)


class RestartHead(Fault):
    """The head is ended in order, and started again at healing."""

    def __init__(self, cluster, rng):
        super().__init__(cluster, rng)
        self.touch(HEAD)
        self.may_end = {(HEAD, program) for program in ALL}

    def inject(self):
        self.cluster.stop_bridge(HEAD)

    def heal(self):
        self.cluster.start_bridge(HEAD)


class Stop(Fault):
    """SIGSTOP, and SIGCONT at healing."""

    def __init__(self, cluster, rng, programs, head=False):
        super().__init__(cluster, rng)
        self.programs, self.node = programs, HEAD if head else self.a_node()
        self.chosen = {"node": self.node, "programs": programs}
        self.touch(self.node)
        self.stopped = []
        if "engine" in programs:
            self.at_least_s = 15.0  # a child may answer for some seconds, and what it said lives on for some
            self.block(self.node, "tcp")
            self.block(self.node, "ucx", after_s=0 if "ucx" in programs else CHILD_ALONE_S)
        if "bridge" in programs:
            self.unreported = self.cluster.present if head else {self.node}
        # Who looks after a stopped program may put another in its place.
        self.may_end = {(self.node, "engine"), (self.node, "ucx")} - ({(self.node, "engine")} if programs == ["ucx"] else set())

    def inject(self):
        self.stopped = [pid for program in self.programs for pid in self.cluster.pids(self.node, program)]
        send(self.stopped, signal.SIGSTOP)

    def heal(self):
        send(self.stopped, signal.SIGCONT)


class Blink(Fault):
    """An engine that stands still and goes on, some times a second."""

    def __init__(self, cluster, rng):
        super().__init__(cluster, rng)
        self.node = self.a_node(head=True)
        self.chosen = {"node": self.node}
        self.nodes = {self.node}
        self.may_end = {(self.node, "ucx")}
        self.process = None

    def inject(self):
        (pid,) = self.cluster.pids(self.node, "engine")[:1]
        self.pid = pid
        self.process = self.lab.popen(self.node, ["bash", "-c", f"while kill -STOP {pid} && sleep 0.3 && kill -CONT {pid} && sleep 0.2; do :; done"])

    def heal(self):
        self.process.kill()
        self.process.wait()
        send([self.pid], signal.SIGCONT)


class CrashLoop(Fault):
    """A program that is killed each time it is there."""

    def __init__(self, cluster, rng, program):
        super().__init__(cluster, rng)
        self.program, self.node = program, self.a_node()
        self.chosen = {"node": self.node, "program": program}
        self.touch(self.node)
        self.may_end = {(self.node, other) for other in ALL[ALL.index(program) :]}
        self.settles_s = 45.0  # it is started again after longer and longer pauses
        self.process = None

    def inject(self):
        name = f"netsense-{self.program}"
        # The node's own, by its namespace.
        kill = (
            f'for p in $(ip netns pids {self.lab.namespace(self.node)}); do [ "$(basename "$(readlink /proc/$p/exe)")" = {name} ] && kill -9 $p; done'
        )
        self.process = self.lab.popen(self.node, ["bash", "-c", f"while :; do {kill}; sleep 0.7; done"])

    def heal(self):
        self.process.kill()
        self.process.wait()


KINDS = {
    "kill-bridge": (Kill, {"program": "bridge"}),
    "kill-engine": (Kill, {"program": "engine"}),
    "kill-ucx": (Kill, {"program": "ucx"}),
    "kill-head": (Kill, {"program": "bridge", "head": True}),
    "kill-head-engine": (Kill, {"program": "engine", "head": True}),
    "kill-node": (KillNode, {}),
    "leave": (Leave, {}),
    "restart-head": (RestartHead, {}),
    "stop-bridge": (Stop, {"programs": ["bridge"]}),
    "stop-engine": (Stop, {"programs": ["engine"]}),
    "stop-ucx": (Stop, {"programs": ["ucx"]}),
    "stop-node": (Stop, {"programs": ["bridge", "engine", "ucx"]}),
    "stop-head": (Stop, {"programs": ["bridge"], "head": True}),
    "stop-head-node": (Stop, {"programs": ["bridge", "engine", "ucx"], "head": True}),
    "blink-engine": (Blink, {}),
    "crash-loop-engine": (CrashLoop, {"program": "engine"}),
    "crash-loop-ucx": (CrashLoop, {"program": "ucx"}),
}
