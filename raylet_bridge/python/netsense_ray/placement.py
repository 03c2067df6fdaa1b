"""The node that a task's objects reach soonest, by what was measured.

What is not known is never taken for good: only edges in state OK that have a bandwidth within its life count as measured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .programs import NetsenseError
from .rails import Pair, bandwidth_not_known, slowest_rails
from .ranking import NodeRanking, rank_nodes
from .topology import Topology
from .topology import topology as read_topology

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

__all__ = ["NodeChoice", "NodeRanking", "best_node_for", "rank_nodes"]

# A task is kept from where Ray would put it only for a gain that is worth what this takes away: a task with a node affinity waits for its
# node, while one that is left to Ray goes elsewhere when that is busy. And measured bandwidths of equal links differ, on busy hosts by a half and more.
LEAST_GAIN_RATIO = 2.0
LEAST_GAIN_S = 0.1
# A node is far from objects that take this many times longer to it than all of them would at the median bandwidth.
FAR_RATIO = 2.0

_DEFAULT = "DEFAULT"
_RAYS_OWN = ("grpc", "tcp")  # what Ray's objects travel by: gRPC over TCP. Nothing is told of it by RDMA.


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in Ray's object stores."""

    size: int  # bytes
    node_ids: frozenset[str]  # where a copy is


@dataclass(frozen=True, slots=True)
class NodeChoice:
    """Where a task should run, and why."""

    node_id: str | None  # the node chosen; None = Ray chooses
    strategy: NodeAffinitySchedulingStrategy | str  # for `.options(scheduling_strategy=...)`; "DEFAULT" = Ray chooses
    seconds: dict[str, float]  # node id -> estimate for fetching what the node lacks; empty = no bandwidth is measured
    reason: str  # in words


def best_node_for(
    object_refs: ObjectRef | Iterable[ObjectRef],
    *,
    topology: Topology | None = None,
    candidates: Iterable[str] | None = None,
    soft: bool = True,
) -> NodeChoice:
    """Where a task that needs these objects should run: where they arrive soonest, by measured bandwidth.

    The estimate for a node is the sum, over the objects that it lacks, of size / bandwidth from the best copy: as if they came one after
    another. That is right where the node's own link or one slow link limits, and too much where several sources could send at once.
    Of a pair's bandwidth the best reading of this process within the last minute counts, as the objects of other tasks make a link look slow.
    A pair with no measured bandwidth, or one past its life, counts as the slowest measured pair of the cluster, one in state UNREACHABLE as endless.

    Ray's own rule is the node with most bytes of the arguments, and another one when that is busy. Where this does no harm, Ray chooses
    (strategy "DEFAULT"): its node is about as good as the best, and none that it might take instead is far, behind a link that is slow for
    these objects. Else the task goes to a node that is about as good as the best and has a CPU to spare, or else to another that is not far
    and has, or else to the one with the shortest queue among them. A task is taken to need one CPU; how long it runs is not known here.

    `candidates`: node ids to choose from, never left to Ray; by default the alive nodes with CPUs. `soft`: as NodeAffinitySchedulingStrategy
    has it. Objects that are not made yet, or so small that Ray keeps them with their owner, have no place and do not count.
    Links are read at most every 5 s, free CPUs every second; `topology` gives the links instead. May be called from any thread of a process
    that called `ray.init`.
    """
    from ray import ObjectRef
    from ray.experimental import get_object_locations
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    refs = [object_refs] if isinstance(object_refs, ObjectRef) else list(dict.fromkeys(object_refs))
    found = get_object_locations(refs) if refs else {}
    located = [(found.get(ref) or {}) for ref in refs]
    objects = [StoredObject(at["object_size"], frozenset(at["node_ids"])) for at in located if at.get("node_ids") and at.get("object_size")]
    view = _views.get(topology)
    chosen, seconds, reason = choose(objects, view, None if candidates is None else list(candidates))
    if len(objects) < len(refs):
        reason += f"; {len(refs) - len(objects)} of {len(refs)} objects have no place yet, or are small, and do not count"
    reason += view.links.left_out()
    if chosen is None:
        return NodeChoice(None, _DEFAULT, seconds, reason)
    view.placements.add(chosen, seconds.get(chosen, 0.0))
    return NodeChoice(chosen, NodeAffinitySchedulingStrategy(chosen, soft=soft), seconds, reason)


class Placements:
    """Tasks that this process sent to nodes lately, which do not show in their free CPUs yet."""

    # Ray tells of used CPUs after some tenths of a second, and a task uses none before its objects are there.
    KEPT_S = 1.0

    def __init__(self) -> None:
        self._until: dict[str, list[float]] = {}

    def add(self, node_id: str, fetch_seconds: float) -> None:
        self._until.setdefault(node_id, []).append(time.monotonic() + self.KEPT_S + min(fetch_seconds, 60))

    def count(self, node_id: str) -> int:
        now = time.monotonic()
        self._until[node_id] = kept = [until for until in self._until.get(node_id, ()) if until > now]
        return len(kept)


class Peaks:
    """The best figure of each pair within the last minute: a link that carries other objects just now measures slow, and is free again soon."""

    KEPT_S = 60.0

    def __init__(self) -> None:
        self._peaks: dict[Pair, tuple[float, float]] = {}  # figure, and until when it counts

    def lift(self, bandwidth: dict[Pair, float]) -> None:
        """Replaces each figure above zero by its peak, and remembers those that are one."""
        now = time.monotonic()
        for pair, figure in bandwidth.items():
            peak, until = self._peaks.get(pair, (0.0, 0.0))
            if figure >= peak or now > until:
                self._peaks[pair] = figure, now + self.KEPT_S
            elif figure > 0:
                bandwidth[pair] = peak


class Links:
    """What is known of the ways between the nodes."""

    def __init__(self, topology: Topology, peaks: Peaks | None = None):
        self.addresses = {node.node_id: node.address for node in topology.nodes}
        self.bandwidth, self.transport = _object_bandwidths(topology)  # pair -> bytes a second, 0 = unreachable
        self.not_known = bandwidth_not_known(topology, _RAYS_OWN)
        if peaks is not None:
            peaks.lift(self.bandwidth)
        measured = sorted(value for value in self.bandwidth.values() if value > 0)
        self.slowest = measured[0] if measured else None
        self.median = measured[len(measured) // 2] if measured else None

    def name(self, node_id: str) -> str:
        return self.addresses.get(node_id) or node_id[:8]

    def left_out(self) -> str:
        """Which bandwidths are not known now, to be added to a reason; "" = none."""
        if not self.not_known:
            return ""
        edge = self.not_known[0]
        way = f"{self.name(edge.src_node_id)} to {self.name(edge.dst_node_id)} over {edge.transport}"
        return f"; bandwidths left out: {len(self.not_known)}, as {way}: {edge.why_no_figure('bandwidth')}"

    def fetch_seconds(self, stored: StoredObject, node_id: str) -> float:
        if node_id in stored.node_ids:
            return 0.0
        assert self.slowest is not None
        best = max(self.bandwidth.get((source, node_id), self.slowest) for source in stored.node_ids)
        return stored.size / best if best > 0 else float("inf")


class View:
    """What a choice is made by."""

    def __init__(self, links: Links, free_cpus: Mapping[str, float], placements: Placements):
        """`free_cpus`: node id -> free now, of every alive node that has CPUs."""
        self.links = links
        self.free_cpus = free_cpus
        self.placements = placements

    def room(self, node_id: str) -> float:
        """CPUs to spare; below zero, tasks that wait for one."""
        return self.free_cpus.get(node_id, 0.0) - self.placements.count(node_id)


def choose(objects: Sequence[StoredObject], view: View, candidates: Sequence[str] | None = None) -> tuple[str | None, dict[str, float], str]:
    """The node, the estimate of each in seconds, and the reason; None as the node = left to Ray."""
    links = view.links
    nodes = sorted(view.free_cpus) if candidates is None else list(candidates)
    if not nodes:
        raise NetsenseError("no node to choose from: no candidate was named, or no alive node has CPUs")
    if candidates is None and not objects:
        return None, {}, "left to Ray: no object has a place that matters"
    local = {node: sum(stored.size for stored in objects if node in stored.node_ids) for node in nodes}
    top = max(local.values())
    most = [node for node in nodes if local[node] == top]
    if links.slowest is None or links.median is None:
        if candidates is None:
            return None, {}, "left to Ray: no bandwidth is measured (netsense-bridge config set network_sense_bw_enabled true)"
        node = max(most, key=view.room)
        return node, {}, f"{links.name(node)} has most of the bytes; no bandwidth is measured"

    seconds = {node: sum(links.fetch_seconds(stored, node) for stored in objects) for node in nodes}
    least = min(seconds.values())
    near = [node for node in nodes if seconds[node] <= max(least * LEAST_GAIN_RATIO, least + LEAST_GAIN_S)]
    limit = FAR_RATIO * sum(stored.size for stored in objects) / links.median + LEAST_GAIN_S
    far = [node for node in nodes if seconds[node] > limit]
    rays = max(most, key=seconds.__getitem__)  # Ray may take any of them
    if candidates is None and top > 0 and rays in near and not far:
        return None, seconds, f"left to Ray: {seconds[rays]:.2f} s where most of the bytes are, {least:.2f} s at best"

    fit = [node for node in nodes if node in near or node not in far]
    if ready := [node for node in near if view.room(node) >= 1]:
        # About equally good: the one that moves least, then the idlest.
        node = max(ready, key=lambda node: (local[node], view.room(node), -seconds[node]))
    elif ready := [node for node in fit if view.room(node) >= 1]:
        node = min(ready, key=seconds.__getitem__)
    else:
        node = max(fit, key=lambda node: (view.room(node), -seconds[node]))
    reason = f"{links.name(node)} can have all in {seconds[node]:.2f} s over {links.transport}"
    if top > 0 and rays not in near:
        reason += f"; {links.name(rays)}, where most of the bytes are, in {seconds[rays]:.2f} s"
    elif far:
        worst = max(far, key=seconds.__getitem__)
        reason += f"; {links.name(worst)}, where Ray might send it, in {seconds[worst]:.2f} s"
    return node, seconds, reason


def _object_bandwidths(topology: Topology) -> tuple[dict[Pair, float], str]:
    """Of the pairs that are known, by the one transport among Ray's own that most pairs have; and its name.

    Of several rails the slowest counts: which one Ray's address lies on is not known here.
    """
    found = slowest_rails(topology, "bandwidth", _RAYS_OWN)
    silent: set[Pair] = set()
    answering: set[Pair] = set()
    for edge in topology.edges:
        if edge.transport not in _RAYS_OWN or edge.cross_rail:
            continue
        pair = edge.src_node_id, edge.dst_node_id
        (silent if edge.state == "UNREACHABLE" else answering if edge.state in ("OK", "DEGRADED") else set()).add(pair)
    transport = max(_RAYS_OWN, key=lambda name: len(found.get(name, ())))
    known = {pair: (edge.figure("bandwidth") or 0.0) * 1e6 / 8 for pair, edge in found.get(transport, {}).items()}
    return known | dict.fromkeys(silent - answering, 0.0), transport


class _Views:
    """The last readings, for all threads of the process."""

    # A pair's bandwidth is measured every few seconds at most, while CPUs come and go.
    LINKS_KEPT_S = 5.0
    CPUS_KEPT_S = 1.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._placements = Placements()
        self._peaks = Peaks()
        self._cluster: str | None = None  # that the readings are of
        self._links: Links | None = None
        self._links_until = 0.0
        self._free_cpus: dict[str, float] = {}
        self._free_cpus_until = 0.0

    def get(self, topology: Topology | None) -> View:
        import ray

        cluster = ray.get_runtime_context().gcs_address
        with self._lock:
            if cluster != self._cluster:
                self._cluster, self._links, self._free_cpus_until = cluster, None, 0.0
            if time.monotonic() > self._free_cpus_until:
                self._free_cpus = _free_cpus()
                self._free_cpus_until = time.monotonic() + self.CPUS_KEPT_S
            if topology is not None:
                return View(Links(topology), self._free_cpus, self._placements)
            begun = time.monotonic()
            if self._links is None or begun > self._links_until:
                self._links = Links(read_topology(), self._peaks)
                now = time.monotonic()
                # Reading a large cluster's takes seconds: no more than a twentieth of the time goes into it.
                self._links_until = now + max(self.LINKS_KEPT_S, 20 * (now - begun))
            return View(self._links, self._free_cpus, self._placements)


_views = _Views()


def _free_cpus() -> dict[str, float]:
    import ray
    from ray._private.state import available_resources_per_node  # Ray has it nowhere else

    available = available_resources_per_node()
    return {
        node["NodeID"]: available.get(node["NodeID"], {}).get("CPU", 0.0) for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")
    }
