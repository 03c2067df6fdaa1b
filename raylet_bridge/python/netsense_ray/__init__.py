"""netsense on a Ray cluster: start it, read what it measured, place work by it.

    import netsense_ray
    netsense_ray.up()
    for edge in netsense_ray.topology().edges:
        print(edge.src_node_id, edge.dst_node_id, edge.rtt_p50_ms, edge.bw_p50_mbps)

Importing this package imports no Ray: only what needs Ray does, when it is called.
"""

from .cluster import BridgeStatus, WrongSetting, bridge_states, down, up
from .placement import NodeChoice, NodeRanking, best_node_for, rank_nodes
from .programs import NetsenseError, program
from .topology import Edge, Node, Topology, topology

__all__ = [
    "BridgeStatus",
    "Edge",
    "NetsenseError",
    "Node",
    "NodeChoice",
    "NodeRanking",
    "Topology",
    "WrongSetting",
    "best_node_for",
    "bridge_states",
    "down",
    "program",
    "rank_nodes",
    "topology",
    "up",
]
