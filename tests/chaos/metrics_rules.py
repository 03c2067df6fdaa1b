"""What must be so of what a monitoring system is told: /metrics and /healthz of every node."""

import re

from rules import late, rule

SERIES = re.compile(r"ray_network_sense_(\w+)(?:\{(.*)\})?")
LABEL = re.compile(r'(\w+)="([^"]*)"')
ANSWERING = ("OK", "DEGRADED")
# Of edges that are OK, and of bandwidth that is measured: without any, there is no such series.
RTT_FIGURES = ("rtt_worst_seconds", "rtt_median_seconds", "network_rtt_worst_seconds", "network_rtt_median_seconds")
BANDWIDTH_FIGURES = ("bandwidth_worst_bytes_per_second", "bandwidth_median_bytes_per_second")
# Silence of the GCS after which a bridge is not well (raylet_bridge/serve/bridge_state.cc), with a look to spare.
GCS_SILENCE_S = 6.5


def series(line):
    """(name, labels as a dict, value) of each."""
    for text, value in line["value"].items():
        name, labels = SERIES.fullmatch(text).groups()
        yield name, dict(LABEL.findall(labels or "")), float(value)


def edges_by_place(line):
    """(transport, fabric, rail) -> state -> edges of the node itself."""
    places: dict = {}
    for name, labels, value in series(line):
        if name == "edges":
            places.setdefault(tuple(labels.get(each) for each in ("transport", "fabric", "rail")), {})[labels["state"]] = value
    return places


def read(record, kind):
    return [line for line in record.of(kind) if "value" in line]


@rule
def metrics_count_no_edge_that_cannot_answer(record):
    """A node's /metrics never count more edges that answer than there are nodes whose answers can reach it."""
    life = record.begin["ttl_ms"] / 1000
    for fault in record.faults:
        for line in read(record, "metrics"):
            src, t = line["node"], line["t"]
            if not fault.injected < t <= t + line["took"] < fault.heal or src not in fault.expected_meanwhile:
                continue
            for transport in {place[0] for place in edges_by_place(line)}:
                answer = set(fault.expected_meanwhile) - {src}
                for dst in list(answer):
                    after = fault.blocked_after(src, dst, transport)
                    if after is not None and t - fault.injected - after * record.scale > life + late(record, fault.injected, t):
                        answer.remove(dst)
                if len(answer) == len(fault.expected_meanwhile) - 1:
                    continue
                counted = sum(states.get(state, 0) for place, states in edges_by_place(line).items() for state in ANSWERING if place[0] == transport)
                if counted > len(answer):
                    yield f"{t:.1f} s: node {src} counts {counted:.0f} edges over {transport} that answer; with {fault.name} ({fault.id}) {len(answer)} can"


@rule
def metrics_have_no_figure_without_ok(record):
    """Where no edge is OK, /metrics have no round trip; where no bandwidth is measured, none of that."""
    for line in read(record, "metrics"):
        places, measured, figures = edges_by_place(line), {}, []
        for name, labels, value in series(line):
            place = tuple(labels.get(each) for each in ("transport", "fabric", "rail"))
            if name == "bandwidth_edges" and labels["state"] == "MEASURED":
                measured[place] = value
            elif name in RTT_FIGURES + BANDWIDTH_FIGURES:
                figures.append((name, place))
        for name, place in figures:
            if not (measured.get(place) if name in BANDWIDTH_FIGURES else places.get(place, {}).get("OK")):
                yield f"{line['t']:.1f} s: /metrics of node {line['node']} have {name} of {place[0]}, of which no edge is known"


@rule
def counters_never_go_back(record):
    """No counter of /metrics is smaller than before, unless a program of that node began anew in between."""
    begun: dict = {}  # node -> [(t, its programs)]
    for line in record.of("processes"):
        alive: dict = {}
        for node, program, pid, since, *_ in line["alive"]:
            if program in ("bridge", "engine"):
                alive.setdefault(node, set()).add((program, pid, since))
        for node, programs in alive.items():
            begun.setdefault(node, []).append((line["t"], frozenset(programs)))
    before: dict = {}
    for line in read(record, "metrics"):
        node, t = line["node"], line["t"]
        counters = {text: float(value) for text, value in line["value"].items() if re.search(r"_(total|count)(\{|$)", text)}
        then, last = before.get(node, (t, {}))
        looks = begun.get(node, [])
        around = [programs for when, programs in looks if then <= when <= t]
        around += [programs for when, programs in looks if when < then][-1:] + [programs for when, programs in looks if when > t][:1]
        if len(set(around)) == 1:
            for text, value in counters.items():
                if value < last.get(text, 0):
                    yield f"{t:.1f} s: {text} of node {node} is {value:.0f}; {t - then:.1f} s before it was {last[text]:.0f}"
        before[node] = (t, counters)


@rule
def healthz_tells_of_a_gcs_that_is_gone(record):
    """Where a node's bridge cannot hear of the GCS, /healthz says so, and since when."""
    for fault in record.faults:
        for line in read(record, "healthz"):
            node, t = line["node"], line["t"]
            if node == 1 or node not in fault.says["unreported"] or not fault.injected < t <= t + line["took"] < fault.heal:
                continue
            silent = t - fault.injected - late(record, fault.injected, t)
            age = line["value"]["gcs_age_ms"]
            if age is not None and age / 1000 < silent:
                yield f"{t:.1f} s: /healthz of node {node} heard of the GCS {age} ms ago; with {fault.name} ({fault.id}) that was {silent:.1f} s ago"
            if silent > GCS_SILENCE_S and line["value"]["status"] == "ok":
                yield f"{t:.1f} s: /healthz of node {node} is ok, {silent:.1f} s after {fault.name} ({fault.id}) took the GCS away"
