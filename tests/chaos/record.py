"""A record as the rules read it (history.py writes it)."""

import bisect
import gzip
import json
from dataclasses import dataclass, field


@dataclass
class Fault:
    id: int
    name: str
    says: dict  # what follows from it
    inject: float
    injected: float = float("inf")
    heal: float = float("inf")
    healed: float = float("inf")
    # When all was good again after it began (where that is to be) and after it ended, by answers from after that.
    good_meanwhile: float = float("inf")
    good_again: float = float("inf")
    expected_meanwhile: list = field(default_factory=list)
    expected_again: list = field(default_factory=list)
    still: dict = field(default_factory=dict)  # how long the machine had stood still, at injected and healed

    def in_force(self, t):
        """From its first step until all was good again: what it excuses."""
        return self.inject <= t <= self.good_again

    def excuses_node(self, node):
        return self.says["whole"] or node in self.says["nodes"]

    def excuses(self, src, dst):
        return self.excuses_node(src) or self.excuses_node(dst) or [src, dst] in self.says["edges"]

    def blocked_after(self, src, dst, transport):
        """Seconds of a machine that keeps up; None: never."""
        return min((after for *edge, which, after in self.says["blocked"] if edge == [src, dst] and which in (transport, None)), default=None)


@dataclass
class Edge:
    """As one reader was told of it at `t`."""

    t: float
    source: str  # which reader
    src: int
    dst: int
    transport: str
    state: str
    values: dict
    engine: str = ""  # which of the source's: another after each start


def number(address):
    """Of a node, by its address; one that moved has 100 more."""
    return int(address.rpartition(".")[2]) % 100


def edges_of(line):
    """Of a topology or a status."""
    node = {each["node_id"]: number(each["address"]) for each in line["value"]["nodes"]}
    engine = {each["node_id"]: (each.get("door") or {}).get("incarnation", "") for each in line["value"]["nodes"]}
    return [
        Edge(line["t"], line["kind"], node[src], node[each["dst_node_id"]], each["transport"], each["state"], each, engine[src])
        for each in line["value"]["edges"]
        for src in [each["src_node_id"]]
    ]


def is_good(value, expected, transports, heard_since=None):
    """Whether a topology document says that all is well with exactly these nodes. `heard_since`: and how many ms ago the last answer of each
    edge may have been at most."""
    alive = sorted(number(node["address"]) for node in value["nodes"] if node["alive"])
    if alive != sorted(expected) or value["lost_nodes"] or any(node["state"] != "OK" or not node["reachable"] for node in value["nodes"]):
        return False
    edges = value["edges"]
    if len(edges) != len(alive) * (len(alive) - 1) * len(transports) or any(edge["state"] != "OK" for edge in edges):
        return False
    return heard_since is None or all(edge["last_ok_age_ms"] is not None and edge["last_ok_age_ms"] <= heard_since for edge in edges)


class Record:
    def __init__(self, lines):
        self.lines = [line for line in lines if line]
        (self.begin,) = [line for line in self.lines if line["kind"] == "begin"]
        self.scale = self.begin["scale"]
        self.by_kind: dict = {}
        for line in self.lines:
            self.by_kind.setdefault(line["kind"], []).append(line)
        still = sorted((line["t"], line["still"]) for line in self.lines)
        self._times, self._still = [t for t, _ in still], [each for _, each in still]
        self.ended = "end" in self.by_kind
        # When all was good for the first time.
        self.good_at = min((line["t"] for line in self.of("good")), default=float("inf"))
        self.topologies = [line for line in self.of("topology") if "value" in line]
        self.documents = sorted(self.topologies + [line for line in self.of("status") if "value" in line], key=lambda line: line["t"])
        self.faults = self._faults()
        self.node_of_id = {node["node_id"]: number(node["address"]) for line in self.documents for node in line["value"]["nodes"]}

    def of(self, kind):
        return self.by_kind.get(kind, [])

    def edges(self):
        for line in self.documents:
            yield from edges_of(line)

    def transports(self, t):
        """That are measured by the settings then."""
        names = self.begin["settings"]["transports"]
        for fault in self.faults:
            chosen = fault.says["chosen"]
            if chosen.get("name") == "transports" and fault.injected <= t <= fault.heal:
                names = chosen["value"]
        return names.split(",")

    def still_between(self, begin, end):
        """How long the machine stood still, as far as the lines between tell."""
        first, last = bisect.bisect_left(self._times, begin), bisect.bisect_right(self._times, end) - 1
        return max(0.0, self._still[last] - self._still[first]) if first < last else 0.0

    def excused_node(self, node, t):
        return any(fault.in_force(t) and fault.excuses_node(node) for fault in self.faults)

    def excused(self, src, dst, t):
        return any(fault.in_force(t) and fault.excuses(src, dst) for fault in self.faults)

    def may_blink(self, transport, t):
        return any(fault.in_force(t) and transport in fault.says.get("blinks", ()) for fault in self.faults)

    def calm(self, t):
        return not any(fault.in_force(t) for fault in self.faults)

    def _faults(self):
        faults = {}
        for line in self.lines:
            kind = line["kind"]
            if kind == "inject":
                faults[line["id"]] = Fault(line["id"], line["name"], line["says"], line["t"])
            elif kind in ("injected", "heal", "healed"):
                fault = faults[line["id"]]
                setattr(fault, kind, line["t"])
                fault.still[kind] = line["still"]
                if kind == "injected":
                    fault.expected_meanwhile = line["expected"]
                elif kind == "healed":
                    fault.expected_again = line["expected"]
        self.faults = list(faults.values())
        for line in self.topologies:
            self._note_good(line)
        return self.faults

    def _note_good(self, line):
        """Which faults this look ends. While another lasts that excuses anything, nothing is over."""
        t = line["t"]
        for fault in self.faults:
            for begin, end, expected, good in (
                (fault.injected, fault.heal, fault.expected_meanwhile, "good_meanwhile"),
                (fault.healed, float("inf"), fault.expected_again, "good_again"),
            ):
                if begin < t < end and getattr(fault, good) == float("inf"):
                    # The document may have been made for somebody who asked a second before.
                    heard_since = (t - begin) * 1000 - 1000
                    if heard_since > 0 and is_good(line["value"], expected, self.transports(t), heard_since):
                        setattr(fault, good, t)


def read(path):
    """A record in a file, which may be compressed. One that was cut off ends where it was."""

    def lines():
        with gzip.open(path, "rt") if str(path).endswith(".gz") else open(path) as file:
            for text in file:
                try:
                    yield json.loads(text)
                except ValueError:
                    return

    return Record(lines())
