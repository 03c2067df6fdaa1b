"""What a fault is. Its kinds stand by subject in process_faults.py, network_faults.py, packet_faults.py, shortage_faults.py and
cluster_faults.py; kinds.py has the list of them all.

A fault says before it begins what may follow from it, and the record keeps that: the checker excuses this and nothing else, and takes what
is blocked as a fact against which each figure is held.
"""

import random


class Fault:
    """One of a kind, at places that `rng` chose."""

    name, id = "", 0  # in the record
    # Seconds after healing, on a machine that keeps up, within which all must be good again.
    settles_s = 20.0
    # Seconds, on a machine that keeps up, that it must last to be seen.
    at_least_s = 0.0
    # Whether all becomes good, within the same time, while it lasts.
    good_meanwhile = False

    def __init__(self, cluster, rng: random.Random):
        self.cluster, self.lab, self.rng = cluster, cluster.lab, rng
        self.chosen: dict = {}  # for who reads the record
        self.nodes: set[int] = set()  # they, and all edges from and to them, may be anything until all is good again
        self.edges: set[tuple[int, int]] = set()  # of these alone that is so
        self.whole = False  # of all
        self.blinks: set[str] = set()  # transports over which any edge may be anything for a moment: until a process is apart, or up again
        # (source, destination, transport or None for each, s): no answer of the destination reaches the source from so many seconds (of a
        # machine that keeps up) after it began until it is to end.
        self.blocked: set[tuple] = set()
        self.no_stream: set[tuple[int, int]] = set()  # on these pairs pings pass, and no segment of a stream over tcp does
        self.vanished: set[int] = set()  # nodes that ended without saying so
        self.unreported: set[int] = set()  # nothing that these nodes measure reaches the head while it lasts
        self.may_end: set[tuple[int, str]] = set()  # (node, program)
        self.absent: set[int] = set()  # what is no node of the cluster while it lasts

    def inject(self):
        raise NotImplementedError

    def heal(self):
        raise NotImplementedError

    # ---- for the kinds

    def a_node(self, head=False):
        """One that takes part; not the head unless asked for."""
        return self.rng.choice(sorted(self.cluster.present - (set() if head else {1})))

    def a_pair(self, head=False):
        return self.rng.sample(sorted(self.cluster.present - (set() if head else {1})), 2)

    def others(self, node):
        return self.cluster.present - {node}

    def touch(self, node):
        """What follows from a fault of this node: its edges; of the head, the others' reports too."""
        self.nodes.add(node)
        self.whole |= node == 1

    def block(self, node, transport=None, after_s=0.0):
        """Nobody gets an answer of this node, nor it one of them."""
        self.block_edges({edge for other in self.others(node) for edge in ((node, other), (other, node))}, transport, after_s)

    def block_edges(self, edges, transport=None, after_s=0.0):
        self.blocked |= {(*edge, transport, after_s) for edge in edges}

    def cut_off(self, node):
        self.touch(node)
        self.block(node)
        self.unreported |= self.others(node) if node == 1 else {node}

    def record(self):
        return {
            "chosen": self.chosen,
            "nodes": sorted(self.nodes),
            "edges": sorted(self.edges),
            "whole": self.whole,
            "blinks": sorted(self.blinks),
            "blocked": sorted(self.blocked, key=str),
            "no_stream": sorted(self.no_stream),
            "vanished": sorted(self.vanished),
            "unreported": sorted(self.unreported),
            "may_end": sorted(self.may_end),
            "absent": sorted(self.absent),
            "settles_s": self.settles_s,
            "good_meanwhile": self.good_meanwhile,
        }
