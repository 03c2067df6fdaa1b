"""The rules of the chaos checker: each is violated by a record made for it, and none by a record of a healthy cluster or by what a fault
excuses. So no rule is green because it looks at nothing."""

import copy
import gzip
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chaos"))

import kinds
import metrics_rules
import record as records
import rules
from checker import check

CHAOS = Path(rules.__file__).parent
IDS = {i: f"{i:056x}" for i in range(1, 5)}
NODES = (1, 2, 3)
TTL_MS = 3000


def edge(src, dst, state="OK", **values):
    ok = state == "OK"
    return {
        "src_node_id": IDS[src], "dst_node_id": IDS[dst], "transport": "tcp", "rail": None, "state": state, "reason": "" if ok else "no answer",
        "rtt_ms": 0.1 if ok else None, "rtt_p50_ms": 0.1 if ok else None, "bw_p50_mbps": 9000.0 if ok else None, "rtt_age_ms": 200,
        "last_ok_age_ms": 200, "bw_age_ms": 200, "bw_life_ms": 10_000, "pings_sent": 0, **values,
    }  # fmt: skip


def document(nodes=NODES, lost=(), edges=None, pings_sent=0):
    edges = [edge(a, b, pings_sent=pings_sent) for a in nodes for b in nodes if a != b] if edges is None else edges
    listed = [{"node_id": IDS[i], "address": f"10.77.0.{i}", "alive": True, "state": "OK", "reachable": True, "reason": ""} for i in nodes]
    return {
        "nodes": listed,
        "lost_nodes": [{"node_id": IDS[i], "address": f"10.77.0.{i}", "reason": "no heartbeat"} for i in lost],
        "edges": edges,
        "num_edges": len(edges),
        "num_ok_edges": sum(each["state"] == "OK" for each in edges),
    }


def metrics(ok, pings):
    """Of a node with two neighbours, as a dict of text."""
    place = 'transport="tcp",fabric="ethernet",rail=""'
    of = {f'edges{{{place},state="OK"}}': ok, f'edges{{{place},state="UNREACHABLE"}}': 2 - ok, f"pings_total{{{place}}}": pings}
    of[f'bandwidth_edges{{{place},state="MEASURED"}}'] = ok
    if ok:
        of |= {f"rtt_worst_seconds{{{place}}}": 0.0001, f"bandwidth_worst_bytes_per_second{{{place}}}": 1e9}
    return {f"ray_network_sense_{name}": str(value) for name, value in of.items()}


class Made:
    """A record in the making: three healthy nodes that are looked at twice a second."""

    def __init__(self, seconds=60, change=None):
        self.lines = [
            {"t": 0, "kind": "begin", "seed": 0, "nodes": 3, "scale": 1.0, "ttl_ms": TTL_MS,
             "settings": {"tick_ms": "500", "bw_slot_ms": "250", "transports": "tcp"}},
            {"t": 0.9, "kind": "good"},
            {"t": seconds, "kind": "end"},
        ]  # fmt: skip
        for step in range(2, 2 * seconds):
            t = step / 2
            value = document()
            for each in value["edges"]:
                each["pings_sent"] = step
            self.add(t, "topology", value=value)
            if step % 2:
                continue
            self.add(t, "status", node=2, value=copy.deepcopy(value))
            self.add(t, "engine", node=2, pid=21, node_id=IDS[2], paths=[self.path(step)])
            self.add(t, "processes", alive=[[i, "engine", 10 * i + 1, 7, 30_000, 20, 40] for i in NODES])
            self.add(t, "metrics", node=2, value=metrics(ok=2, pings=step))
            self.add(t, "healthz", node=2, value={"status": "ok", "gcs_age_ms": 200})

    @staticmethod
    def path(pings, state="PATH_STATE_OK", age="200"):
        return {"path_id": f"{IDS[3]}/tcp", "state": state, "last_ok_age_ms": age, "pings_sent": str(pings), "bandwidth_probes": str(pings)}

    def add(self, t, kind, **fields):
        self.lines.append({"t": t, "kind": kind, "took": 0.01, **fields})

    def looks(self, kind, begin=0.0, end=1e9):
        return [line for line in self.lines if line["kind"] == kind and begin <= line["t"] <= end]

    def fault(self, begin, end, name="cut", until=None, **says):
        usual = {"chosen": {}, "nodes": [], "edges": [], "whole": False, "blocked": [], "unreported": [], "may_end": [], "absent": [],
                 "settles_s": 10.0, "good_meanwhile": False}  # fmt: skip
        for t, kind in ((begin, "inject"), (begin, "injected"), (end, "heal"), (end, "healed")):
            self.add(t, kind, id=1, name=name, says=usual | says, expected=list(NODES), chosen={})
        return self

    def cut_off(self, node, begin, end):
        """As a healthy product shows it: its edges are not OK from 2 s on."""
        pairs = [(a, b) for a in NODES for b in NODES if a != b and node in (a, b)]
        self.fault(begin, end, nodes=[node], blocked=[[a, b, None, 0.0] for a, b in pairs], unreported=[node])
        for line in self.looks("topology", begin + 2, end) + self.looks("status", begin + 2, end):
            self.set_edges(line, pairs, "UNREACHABLE", line["t"] - begin + 0.2)
        for line in self.looks("engine", begin + 2, end) if node in (2, 3) else []:
            age_ms = round(1000 * (line["t"] - begin + 0.2))
            line["paths"] = [self.path(int(line["paths"][0]["pings_sent"]), "PATH_STATE_UNREACHABLE", str(age_ms))]
        for line in self.looks("metrics", begin + 2, end):
            line["value"] = metrics(ok=0 if node == 2 else 1, pings=round(2 * line["t"]))
        for line in self.looks("healthz", begin + 2, end) if node == 2 else []:
            line["value"] = {"status": "unhealthy", "gcs_age_ms": round(1000 * (line["t"] - begin))}
        return self

    @staticmethod
    def set_edges(line, pairs, state, age_s):
        ids = [(IDS[a], IDS[b]) for a, b in pairs]
        kept = [each for each in line["value"]["edges"] if (each["src_node_id"], each["dst_node_id"]) not in ids]
        ages = dict.fromkeys(("rtt_age_ms", "last_ok_age_ms", "bw_age_ms"), 1000 * age_s)
        sent = line["value"]["edges"][0]["pings_sent"]
        line["value"] |= document(edges=kept + [edge(a, b, state, pings_sent=sent, bw_life_ms=60_000, **ages) for a, b in pairs])

    def record(self):
        return records.Record([{"still": 0.0, **line} for line in sorted(self.lines, key=lambda line: line["t"])])

    def violated(self):
        return sorted(check(self.record()))


def test_a_healthy_cluster_violates_nothing():
    assert Made().violated() == []


def test_a_fault_that_is_shown_as_it_is_violates_nothing():
    assert Made().cut_off(3, 20, 30).violated() == []


def test_an_edge_that_may_blink_and_does_violates_nothing():
    assert blinks(Made(), 3).violated() == []


def test_a_black_hole_that_is_told_violates_nothing():
    assert black_hole(Made(), told=True).violated() == []


def test_a_node_that_is_called_lost_violates_nothing():
    assert vanished(Made(), lost=(3,)).violated() == []


def test_a_clock_that_is_off_and_told_violates_nothing():
    made = Made()
    clock_off(made, told=True)
    assert made.violated() == []


def false_ok(made):
    """OK for longer than a life, with ages that are true."""
    for line in made.cut_off(3, 20, 32).looks("topology", 22, 32):
        made.set_edges(line, [(1, 3)], "OK", line["t"] - 20 + 0.2)


def false_ok_of_an_engine(made):
    made.cut_off(3, 20, 32)
    for line in made.looks("engine", 20, 32):
        line["paths"][0] |= {"state": "PATH_STATE_OK", "last_ok_age_ms": str(round(1000 * (line["t"] - 20)))}


def figure_without_ok(made):
    for line in made.cut_off(3, 20, 30).looks("topology", 25, 25):
        made.set_edges(line, [(1, 3)], "DEGRADED", 5.2)
        line["value"]["edges"][-1]["jitter_ms"] = 0.01


def no_figure_with_ok(made):
    made.looks("topology", 9, 9)[0]["value"]["edges"][2]["rtt_p50_ms"] = None


def too_young(made):
    """Not OK, and the last answer is said to be from the time when none could come."""
    for line in made.cut_off(3, 20, 32).looks("topology", 28, 28):
        made.set_edges(line, [(3, 1)], "STALE", 1.0)


def grows_younger(made):
    for line in made.looks("topology", 30, 40):
        each = line["value"]["edges"][0]
        each |= {"pings_sent": 60, "last_ok_age_ms": 200 + 1000 * (line["t"] - 30) if line["t"] < 38 else 200}


def wrong_totals(made):
    made.looks("topology", 9, 9)[0]["value"]["num_ok_edges"] = 5


def a_pair_without_edge(made):
    value = made.looks("status", 9, 9)[0]["value"]
    del value["edges"][0]
    value |= {"num_edges": 5, "num_ok_edges": 5}


def too_many_pings(made):
    for line in made.looks("engine", 30):
        line["paths"] = [made.path(3 * int(line["paths"][0]["pings_sent"]))]


def too_many_descriptors(made):
    made.looks("processes", 9, 9)[0]["alive"][0][6] = 1100


def an_edge_of_others_is_bad(made):
    for line in made.cut_off(3, 20, 30).looks("topology", 25, 26):
        made.set_edges(line, [(1, 2)], "UNREACHABLE", 0.2)


def blinks(made, seconds):
    """An edge between two nodes, while a third sends what a shared process may end of."""
    made.fault(20, 40, nodes=[3], blinks=["tcp"])
    for line in made.looks("topology", 25, 25 + seconds):
        made.set_edges(line, [(1, 2)], "UNREACHABLE", 0.2)
    return made


def an_edge_blinks_for_long(made):
    blinks(made, rules.BLINK_S + 2)


def another_is_unreachable(made):
    made.cut_off(3, 20, 30).looks("topology", 25, 25)[0]["value"]["nodes"][1]["reachable"] = False


def another_is_lost(made):
    made.cut_off(3, 20, 30).looks("topology", 25, 25)[0]["value"]["lost_nodes"] = document(lost=[2])["lost_nodes"]


def head_is_silent(made):
    line = made.cut_off(3, 20, 30).looks("topology", 25, 25)[0]
    del line["value"]
    line["error"] = "timed out"


def stays_bad(made):
    for line in made.cut_off(3, 20, 30).looks("topology", 30):
        made.set_edges(line, [(1, 3)], "UNREACHABLE", line["t"] - 20)


def good_too_late(made):
    for line in made.cut_off(3, 20, 30).looks("topology", 30, 41):
        made.set_edges(line, [(1, 3)], "UNREACHABLE", line["t"] - 20)


def a_node_never_comes_back(made):
    for line in made.cut_off(3, 20, 30).looks("topology", 30):
        line["value"] |= document(nodes=(1, 2), pings_sent=round(2 * line["t"]))


def not_good_meanwhile(made):
    made.fault(20, 35, name="node-joins", nodes=[3], good_meanwhile=True)
    for line in made.looks("topology", 20, 35):
        made.set_edges(line, [(1, 3)], "UNREACHABLE", line["t"] - 20)


def clock_off(made, told):
    made.fault(20, 30, name="clock", nodes=[2], chosen={"node": 2, "offset_ms": -3_600_000}, good_meanwhile=True)
    for line in made.looks("topology", 21, 30) if told else []:
        line["value"]["nodes"][1]["reason"] = "its clock is 3600 s behind ours"


def a_clock_is_not_told(made):
    clock_off(made, told=False)


def a_good_clock_is_told(made):
    clock_off(made, told=True)
    made.looks("topology", 50, 50)[0]["value"]["nodes"][1]["reason"] = "its clock is 3600 s behind ours"


def a_process_ends(made):
    for line in made.looks("processes", 30):
        line["alive"][1] = [2, "engine", 999, 60, 30_000, 20, 40]


def another_process_ends(made):
    """While a fault asks for the end of one of another node."""
    made.fault(29, 35, name="kill-engine", nodes=[3], may_end=[[3, "engine"]])
    a_process_ends(made)


def leak(place, more):
    def leaks(made):
        for line in made.looks("processes", 20):
            line["alive"][0][place] += int(more * (line["t"] - 20))

    leaks.__name__ = f"leak_of_{('kb', 'threads', 'descriptors')[place - 4]}"
    return leaks


def no_end(made):
    made.lines = [line for line in made.lines if line["kind"] != "end"]


def nothing_read(made):
    made.lines = [line for line in made.lines if line["kind"] != "metrics"]


def a_bandwidth_lives_on(made):
    for line in made.looks("topology", 26, 27):
        line["value"]["edges"][0] |= {"bw_age_ms": 15_000}


def a_bandwidth_without_a_life(made):
    for line in made.looks("topology", 26, 27):
        line["value"]["edges"][0] |= {"bw_age_ms": 3_000, "bw_life_ms": None}


def black_hole(made, told):
    both = [[1, 2], [2, 1]]
    made.fault(10, 50, name="black-hole-pair", edges=both, no_stream=both)
    for line in made.looks("topology", 20, 50) if told else []:
        made.set_edges(line, [(1, 2), (2, 1)], "DEGRADED", 0.2)
    return made


def a_black_hole_is_not_told(made):
    black_hole(made, told=False)


def vanished(made, **told):
    made.fault(20, 30, name="kill-node", nodes=[3], vanished=[3])
    for line in made.looks("topology", 22, 29):
        line["value"] |= document(nodes=(1, 2), pings_sent=round(2 * line["t"]), **told)
    return made


def a_node_vanishes(made):
    vanished(made)


def counts_what_cannot_answer(made):
    for line in made.cut_off(3, 20, 30).looks("metrics", 26, 28):
        line["value"] = metrics(ok=2, pings=round(2 * line["t"]))


def figure_of_no_edge(made, figure):
    for line in made.looks("metrics", 26, 26):
        figures = {name: value for name, value in line["value"].items() if figure in name}
        line["value"] = metrics(ok=0, pings=52) | figures


def a_round_trip_of_no_edge(made):
    figure_of_no_edge(made, "rtt_worst")


def a_bandwidth_of_no_edge(made):
    figure_of_no_edge(made, "bandwidth_worst")


def a_counter_goes_back(made):
    for line in made.looks("metrics", 40):
        line["value"] = metrics(ok=2, pings=10)


def gcs_gone(made, **health):
    for line in made.cut_off(2, 20, 50).looks("healthz", 20, 50):
        line["value"] |= health


def heard_of_a_gcs_that_is_gone(made):
    gcs_gone(made, gcs_age_ms=200)


def well_without_a_gcs(made):
    gcs_gone(made, status="ok")


VIOLATIONS = [
    (rules.ok_implies_an_answer, false_ok),
    (rules.ok_implies_an_answer, false_ok_of_an_engine),
    (rules.no_figure_without_ok, figure_without_ok),
    (rules.ok_has_a_figure, no_figure_with_ok),
    (rules.no_figure_is_older_than_it_says, too_young),
    (rules.no_figure_grows_younger, grows_younger),
    (rules.totals_are_of_what_is_listed, wrong_totals),
    (rules.totals_are_of_what_is_listed, a_pair_without_edge),
    (rules.no_budget_is_exceeded, too_many_pings),
    (rules.no_budget_is_exceeded, too_many_descriptors),
    (rules.who_is_not_touched_stays_good, an_edge_of_others_is_bad),
    (rules.who_is_not_touched_stays_good, an_edge_blinks_for_long),
    (rules.who_is_not_touched_stays_good, another_is_unreachable),
    (rules.who_is_not_touched_stays_good, another_is_lost),
    (rules.the_head_answers, head_is_silent),
    (rules.all_is_good_again, stays_bad),
    (rules.all_is_good_again, good_too_late),
    (rules.all_is_good_again, a_node_never_comes_back),
    (rules.all_is_good_again, not_good_meanwhile),
    (rules.a_clock_that_is_off_is_told, a_clock_is_not_told),
    (rules.a_clock_that_is_off_is_told, a_good_clock_is_told),
    (rules.nobody_ends_unasked, a_process_ends),
    (rules.nobody_ends_unasked, another_process_ends),
    (rules.nothing_leaks, leak(4, 2000)),
    (rules.nothing_leaks, leak(5, 1)),
    (rules.nothing_leaks, leak(6, 1)),
    (rules.no_figure_outlives_its_life, a_bandwidth_lives_on),
    (rules.no_figure_outlives_its_life, a_bandwidth_without_a_life),
    (rules.a_stream_that_cannot_pass_is_told, a_black_hole_is_not_told),
    (rules.a_node_that_is_gone_is_told, a_node_vanishes),
    (metrics_rules.metrics_count_no_edge_that_cannot_answer, counts_what_cannot_answer),
    (metrics_rules.metrics_have_no_figure_without_ok, a_round_trip_of_no_edge),
    (metrics_rules.metrics_have_no_figure_without_ok, a_bandwidth_of_no_edge),
    (metrics_rules.counters_never_go_back, a_counter_goes_back),
    (metrics_rules.healthz_tells_of_a_gcs_that_is_gone, heard_of_a_gcs_that_is_gone),
    (metrics_rules.healthz_tells_of_a_gcs_that_is_gone, well_without_a_gcs),
    (rules.the_record_is_whole, no_end),
    (rules.the_record_is_whole, nothing_read),
]


@pytest.mark.parametrize(("rule", "defect"), VIOLATIONS, ids=lambda each: each.__name__)
def test_a_rule_sees_what_it_is_for_and_no_other_does(rule, defect):
    made = Made()
    defect(made)
    assert made.violated() == [rule.__name__]


def test_each_rule_is_tried():
    assert {rule for rule, _ in VIOLATIONS} == set(rules.RULES)
    assert all(rule.__doc__ for rule in rules.RULES)


@pytest.mark.parametrize("more", [{"scale": 3.0}, {"still": 20.0}])
def test_a_slow_machine_and_one_that_stood_still_are_given_time(more):
    made = Made()
    good_too_late(made)
    made.lines[0] |= {"scale": more.get("scale", 1.0)}
    for line in made.lines:
        line["still"] = more.get("still", 0.0) if line["t"] > 35 else 0.0
    assert made.violated() == []


def test_the_checker_is_a_program_of_its_own(tmp_path):
    good, bad = Made().cut_off(3, 20, 30), Made()
    false_ok(bad)
    for made, name, code, words in ((good, "good.jsonl.gz", 0, "1 kinds of fault"), (bad, "bad.jsonl", 1, "VIOLATED ok_implies_an_answer")):
        path = tmp_path / name
        with gzip.open(path, "wt") if name.endswith(".gz") else open(path, "w") as file:
            file.writelines(json.dumps({"still": 0.0, **line}) + "\n" for line in sorted(made.lines, key=lambda line: line["t"]))
        done = subprocess.run([sys.executable, CHAOS / "checker.py", path], capture_output=True, text=True)
        assert (done.returncode, words in done.stdout) == (code, True), done.stdout + done.stderr
    (tmp_path / "none").write_text("nothing\n")
    assert subprocess.run([sys.executable, CHAOS / "checker.py", tmp_path / "none"], capture_output=True).returncode == 2


class NoLab:
    nodes = 6

    @staticmethod
    def address(i):
        return f"10.77.0.{i}"


class NoCluster:
    lab = NoLab()
    directory = Path("/nowhere")

    def __init__(self):
        self.present = {1, 2, 3, 4, 5}


# What may excuse nothing at all.
UNNOTICED = {
    "busy-loops",
    "disk-full",
    "http-filtered",
    "token-rotated",
    *(name for name in kinds.KINDS if name.startswith(("setting-", "strangers-"))),
}


@pytest.mark.parametrize("name", kinds.KINDS | kinds.RAY_KINDS)
def test_a_fault_says_what_follows_from_it(name):
    for seed in range(20):
        fault = kinds.make(name, NoCluster(), random.Random(seed))
        says = json.loads(json.dumps(fault.record()))
        assert says["nodes"] or says["edges"] or says["whole"] or name in UNNOTICED
        assert says["whole"] or len(says["nodes"]) < 5, "then nobody is left who must stay good"
        for src, dst, _, after in says["blocked"]:
            assert src != dst and after >= 0
            assert says["whole"] or {src, dst} & set(says["nodes"]) or [src, dst] in says["edges"], "blocked, and yet to be good"


def test_there_are_kinds_enough():
    assert len(kinds.KINDS) >= 45
