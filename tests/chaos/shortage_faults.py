"""Descriptors, memory, processors and disk that are taken away."""

import contextlib
import os
import resource
from pathlib import Path

from chaos_cluster import HEAD
from fault import Fault


class Descriptors(Fault):
    """A program that may open no more than it has open already, and `spare` more."""

    def __init__(self, cluster, rng, program, head=False, spare=0):
        super().__init__(cluster, rng)
        self.program, self.node, self.spare = program, HEAD if head else self.a_node(), spare
        self.chosen = {"node": self.node, "program": program, "spare": spare}
        self.touch(self.node)
        if program == "ucx":  # what cannot serve is ended and started anew
            self.may_end = {(self.node, "ucx")}
        self.settles_s = 40.0
        self.limits = {}

    def inject(self):
        for pid in self.cluster.pids(self.node, self.program):
            highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
            self.limits[pid] = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1 + self.spare, self.limits[pid][1]))

    def heal(self):
        for pid, limits in self.limits.items():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


class Memory(Fault):
    """A program whose address space may grow by a little only. It may end of that; who looks after it starts it again."""

    def __init__(self, cluster, rng, program):
        super().__init__(cluster, rng)
        self.program, self.node = program, self.a_node()
        self.chosen = {"node": self.node, "program": program}
        self.touch(self.node)
        self.may_end = (
            {(self.node, "bridge"), (self.node, "engine"), (self.node, "ucx")} if program == "bridge" else {(self.node, "engine"), (self.node, "ucx")}
        )
        self.settles_s = 40.0
        self.limited = []

    def inject(self):
        for pid in self.cluster.pids(self.node, self.program):
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + (4 << 20)
            resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
            self.limited.append(pid)

    def heal(self):
        for pid in [*self.limited, *(pid for _, pid in self.cluster.programs(self.node))]:  # a child has its parent's limits
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if self.program == "bridge" and self.cluster.bridges[self.node].poll() is not None:
            self.cluster.stop_bridge(self.node)
            self.cluster.start_bridge(self.node)


class Busy(Fault):
    """Two busy loops a core. Nothing may be called bad for that."""

    def __init__(self, cluster, rng):
        super().__init__(cluster, rng)
        self.loops = []

    def inject(self):
        for _ in range(2 * (os.cpu_count() or 1)):
            self.loops.append(self.lab.in_the_middle(["bash", "-c", "while :; do :; done"]))

    def heal(self):
        for loop in self.loops:
            loop.kill()
            loop.wait()


class Starved(Busy):
    """A node's programs on one core, with two busy loops that go before them there."""

    def __init__(self, cluster, rng):
        super().__init__(cluster, rng)
        self.node = self.a_node()
        self.chosen = {"node": self.node}
        self.touch(self.node)
        self.may_end = {(self.node, "engine"), (self.node, "ucx")}
        self.pids = []

    def each_thread(self, cores, niceness):
        for pid in self.pids:
            with contextlib.suppress(OSError):
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with contextlib.suppress(OSError):
                        os.sched_setaffinity(int(thread), cores)
                        os.setpriority(os.PRIO_PROCESS, int(thread), niceness)

    def inject(self):
        core = self.rng.choice(sorted(os.sched_getaffinity(0)))
        self.pids = [pid for _, pid in self.cluster.programs(self.node)]
        self.each_thread({core}, 19)
        for _ in range(2):
            self.loops.append(self.lab.in_the_middle(["taskset", "-c", str(core), "bash", "-c", "while :; do :; done"]))

    def heal(self):
        super().heal()
        self.pids += [pid for _, pid in self.cluster.programs(self.node)]  # those that were started meanwhile
        self.each_thread(os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0))


class DiskFull(Fault):
    """The disk that state, sockets and logs are on is full. Who measures needs none of it."""

    def __init__(self, cluster, rng):
        super().__init__(cluster, rng)
        self.filler = Path(cluster.directory) / "filler"

    def inject(self):
        with contextlib.suppress(OSError), open(self.filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))

    def heal(self):
        self.filler.unlink()


KINDS = {
    "no-descriptors-bridge": (Descriptors, {"program": "bridge"}),
    "no-descriptors-engine": (Descriptors, {"program": "engine"}),
    "few-descriptors-engine": (Descriptors, {"program": "engine", "spare": 3}),
    "no-descriptors-ucx": (Descriptors, {"program": "ucx"}),
    "no-descriptors-head": (Descriptors, {"program": "bridge", "head": True}),
    "no-memory-bridge": (Memory, {"program": "bridge"}),
    "no-memory-engine": (Memory, {"program": "engine"}),
    "busy-loops": (Busy, {}),
    "starved-node": (Starved, {}),
    "disk-full": (DiskFull, {}),
}
