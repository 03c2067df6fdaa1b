"""Of each pair of nodes, the rail that holds it up.

A ring sends over all rails at a time, and waits for the slowest. So a pair is worth what its slowest rail is worth, and nothing is known of it while
one of them has no figure. Edges between two different rails are in no ring.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from typing import Literal

from .topology import Edge, Topology

Pair = tuple[str, str]  # node ids: source, destination
By = Literal["bandwidth", "rtt"]


def worth(edge: Edge, by: By) -> float:
    """The more the better. Of an edge that has a figure."""
    figure = edge.figure(by)
    assert figure is not None
    return figure if by == "bandwidth" else -figure


def slowest_rails(topology: Topology, by: By, transports: Container[str] | None = None) -> dict[str, dict[Pair, Edge]]:
    """By transport (all, or those of `transports`) and pair the edge of its slowest rail; only pairs that have a figure on every rail they need.

    Needed are the rails that at least half of a transport's pairs have: a node that lacks one holds the others up, or is of another kind.
    """
    ways: dict[str, dict[Pair, dict[int | None, Edge]]] = {}
    for edge in topology.edges:
        if edge.cross_rail or not edge.transport or (transports is not None and edge.transport not in transports):
            continue
        ways.setdefault(edge.transport, {}).setdefault((edge.src_node_id, edge.dst_node_id), {})[edge.rail] = edge
    found: dict[str, dict[Pair, Edge]] = {}
    for transport, pairs in ways.items():
        found[transport] = {}
        count = Counter(rail for rails in pairs.values() for rail in rails)
        common = {rail for rail, having in count.items() if 2 * having >= len(pairs)}
        for pair, rails in pairs.items():
            needed = [rails.get(rail) for rail in common or rails]
            known = [edge for edge in needed if edge is not None and edge.figure(by) is not None]
            if len(known) == len(needed):
                found[transport][pair] = min(known, key=lambda edge: worth(edge, by))
    return found


def bandwidth_not_known(topology: Topology, transports: Container[str] | None = None) -> tuple[Edge, ...]:
    """Edges whose bandwidth is probed and not known now, so that nothing goes by it."""
    return tuple(edge for edge in topology.edges if edge.bw_not_known and (transports is None or edge.transport in transports))
