"""The best connected nodes of a cluster, in the order of a ring.

What is not known is never taken for good: only edges in state OK that have a figure within its life count as measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .programs import NetsenseError
from .rails import By, Pair, bandwidth_not_known, slowest_rails, worth
from .ring import best_ring
from .topology import Edge, Topology
from .topology import topology as read_topology

if TYPE_CHECKING:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

NODE_ID_LABEL = "ray.io/node-id"


@dataclass(frozen=True, slots=True)
class NodeRanking:
    """Nodes in the order of a ring: each sends to the next one, the last to the first."""

    by: str  # "bandwidth" or "rtt"
    node_ids: tuple[str, ...]
    links: tuple[Edge, ...]  # links[i] goes from node_ids[i] to the next: of a pair's rails the slowest
    worst_link: Edge
    exact: bool  # no other ring of so many nodes has a better worst link; False = none was found
    unknown_pairs: tuple[Pair, ...]  # among all alive nodes: not measured, or not on every rail, so not used
    left_out: tuple[Edge, ...] = ()  # whose bandwidth is probed and not known now, for its age, say: not used

    def strategies(self, soft: bool = False) -> list[NodeAffinitySchedulingStrategy]:
        """One scheduling strategy a node, in ring order."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return [NodeAffinitySchedulingStrategy(node_id, soft=soft) for node_id in self.node_ids]

    def label_selector(self) -> dict[str, str]:
        """For `label_selector=` of a task or an actor: any of the nodes."""
        return {NODE_ID_LABEL: f"in({','.join(self.node_ids)})"}

    def placement_group_bundles(self, resources: Mapping[str, float]) -> dict[str, list[dict[str, Any]]]:
        """Arguments of `ray.util.placement_group`: a bundle of `resources` on each node, in ring order."""
        return {
            "bundles": [dict(resources) for _ in self.node_ids],
            "bundle_label_selector": [{NODE_ID_LABEL: node_id} for node_id in self.node_ids],
        }


def rank_nodes(
    n: int,
    by: By = "bandwidth",
    *,
    topology: Topology | None = None,
    transport: str | None = None,
) -> NodeRanking:
    """The `n` alive nodes, and their order in a ring, whose worst link is best.

    A link counts in the direction that the ring sends, from each node to the next one: `bw_p50_mbps` (the more the better) or
    `rtt_p50_ms` (the less the better). Of a pair's rails the slowest one counts, as a ring sends over all of them (rails.py), and of its transports the best;
    `transport` keeps to one. A bandwidth past its life (`bw_life_ms`) counts as none. The problem is the bottleneck travelling salesman's. The answer is the best there is for up to 12 nodes; beyond them it usually is, and `exact` says so.
    Hundreds of nodes take seconds.

    `topology`: by default, that of the cluster now. NetsenseError when no ring of `n` nodes has been measured.
    """
    if n < 2:
        raise ValueError(f"a ring has at least two nodes, not {n}")
    if by not in ("bandwidth", "rtt"):
        raise ValueError(f'by is "bandwidth" or "rtt", not {by!r}')
    if topology is None:
        topology = read_topology()
    nodes = sorted(node.node_id for node in topology.nodes)
    if len(nodes) < n:
        raise NetsenseError(f"{n} nodes are asked for, and {len(nodes)} are alive")
    best = _best_edges(topology, by, transport)
    worths = [[worth(best[a, b], by) if (a, b) in best else None for b in nodes] for a in nodes]
    unknown = tuple((a, b) for a in nodes for b in nodes if a != b and (a, b) not in best)
    ring = best_ring(worths, n)
    if ring is None:
        raise NetsenseError(_no_ring(topology, n, by, transport, len(best), unknown))
    order = tuple(nodes[i] for i in ring.order)
    links = tuple(best[a, b] for a, b in zip(order, order[1:] + order[:1], strict=True))
    left_out = bandwidth_not_known(topology, {transport} if transport else None) if by == "bandwidth" else ()
    return NodeRanking(by, order, links, min(links, key=lambda edge: worth(edge, by)), ring.exact, unknown, left_out)


def _best_edges(topology: Topology, by: By, transport: str | None) -> dict[Pair, Edge]:
    best: dict[Pair, Edge] = {}
    for pairs in slowest_rails(topology, by, {transport} if transport else None).values():
        for pair, edge in pairs.items():
            if pair not in best or worth(edge, by) > worth(best[pair], by):
                best[pair] = edge
    return best


def _no_ring(topology: Topology, n: int, by: By, transport: str | None, known: int, unknown: Sequence[Pair]) -> str:
    over = f" over {transport}" if transport else ""
    edges = [edge for edge in topology.edges if not edge.cross_rail and transport in (None, edge.transport)]
    if all(edge.figure(by) is None and not (by == "bandwidth" and edge.bw_not_known) for edge in edges):
        setting = "network_sense_bw_enabled" if by == "bandwidth" else "network_sense_enabled"
        return f"no {by}{over} is measured: netsense-bridge config set {setting} true, or wait a little if it is"
    text = f"no ring of {n} nodes was found whose links all have a measured {by}{over}: of {known + len(unknown)} pairs {len(unknown)} have none"
    pairs = set(unknown)
    for edge in edges:
        if (edge.src_node_id, edge.dst_node_id) in pairs and edge.figure(by) is None:
            rail = "" if edge.rail is None else f" on rail {edge.rail}"
            return f"{text}, as {edge.src_node_id[:8]} to {edge.dst_node_id[:8]}{rail} ({edge.why_no_figure(by)})"
    return text
