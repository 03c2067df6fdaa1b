"""`netsense-bench matrix` over eight hosts: it names the slow node and the slow link and nobody else, and bears with nodes that die.

NETSENSE_MATRIX_RUNS: how many times the verdict is asked for (default 2).
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import jsonschema
import pace
import pytest
from cluster import EmbeddedCluster, clean_environment, wait_until
from netlab import NetLab

SCHEMA = json.loads((Path(__file__).parents[2] / "bench/schema/result.schema.json").read_text())
NODES = 8
RUNS = int(os.environ.get("NETSENSE_MATRIX_RUNS", "2"))
SLOW_LINK = (2, 6)
SLOW_NODE = 5
QUICK = ["--pings", 30, "--warmup", 5, "-D", 0.1]
# What every link carries. Four pairs at once at this rate are little for a machine of this pace: the shapers alone decide.
FULL_MBIT = 500 / pace.scale()


def share(of_full):
    return f"{round(of_full * FULL_MBIT * 1000)}kbit"


def milliseconds(nominal):
    return round(nominal * pace.scale())


class Hosts:
    """`netsense-bench serve` on every node; the coordinator runs on node 1."""

    def __init__(self, lab, bin_dir, directory):
        self.lab, self.bin, self.directory = lab, bin_dir, directory
        self.token = directory / "token"
        self.token.write_text("the token of this lab\n")
        self.token.chmod(0o600)
        self.serving = {}

    def start(self, i):
        process = self.lab.popen(
            i,
            [self.bin / "netsense-bench", "serve", "--listen", f"{self.lab.address(i)}:18590", "--token-file", self.token, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=clean_environment(self.directory),
        )
        assert json.loads(process.stdout.readline())["port"] == 18590
        self.serving[i] = process

    def stop(self, i):
        process = self.serving.pop(i)
        process.kill()
        process.communicate()

    def command(self, *flags, nodes=range(1, NODES + 1)):
        names = [f"{self.lab.address(i)}:18590" for i in nodes]
        return [self.bin / "netsense-bench", "matrix", *names, "--token-file", self.token, *map(str, flags)]

    def run(self, *flags, nodes=range(1, NODES + 1)):
        return self.lab.run(1, self.command(*flags, nodes=nodes), env=clean_environment(self.directory))

    def popen(self, *flags):
        return self.lab.popen(
            1, self.command(*flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(self.directory)
        )

    def name(self, i):
        return f"{self.lab.address(i)}:18590"


@pytest.fixture(scope="module")
def hosts(namespaces, bin_dir, directory):
    with NetLab(NODES) as lab:
        for i in range(1, NODES + 1):
            lab.shape(i, share(1))
        made = Hosts(lab, bin_dir, directory)
        for i in range(1, NODES + 1):
            made.start(i)
        yield made
        for i in list(made.serving):
            made.stop(i)


@pytest.fixture
def slow(hosts):
    """One link at a tenth, one node at three tenths of what all have."""
    hosts.lab.shape(SLOW_NODE, share(0.3))
    hosts.lab.slow_down(*SLOW_LINK, share(0.1), others=share(1))
    yield
    for i in (SLOW_NODE, *SLOW_LINK):
        hosts.lab.shape(i, share(1))


def document_of(done):
    assert done.returncode in (0, 1, 3), done.stderr
    document = json.loads(done.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def blamed(document):
    return {(suspect["what"], *suspect["nodes"]) for suspect in document["suspects"]}


def pairs_of(rows):
    return {frozenset((row["source"], row["target"])) for row in rows}


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.timing
def test_it_names_the_slow_link_and_the_slow_node_and_nobody_else(hosts, slow, run):
    done = hosts.run("--json", "--no-ping", "-D", 0.3)
    document = document_of(done)
    assert done.returncode == 1
    assert blamed(document) == {
        ("node", hosts.name(SLOW_NODE)),
        ("link", *sorted(map(hosts.name, SLOW_LINK))),
    }, json.dumps(document["suspects"], indent=1)
    assert len(pairs_of(document["results"])) == NODES * (NODES - 1) // 2
    by_what = {suspect["what"]: suspect for suspect in document["suspects"]}
    full = FULL_MBIT / 1000
    assert by_what["link"]["measured"] < 0.11 * full < by_what["node"]["measured"] < 0.31 * full < by_what["node"]["class_median"]
    for suspect in document["suspects"]:
        assert any("alone: " in line for line in suspect["evidence"])
        assert any("with a good partner" in line for line in suspect["evidence"])


@pytest.mark.timing
def test_of_three_nodes_the_slow_one_is_named(hosts):
    """It is in two of the three pairs: the median of all is its own."""
    hosts.lab.shape(3, share(0.1))
    try:
        done = hosts.run("--json", "--no-ping", "-D", 0.3, nodes=(1, 2, 3))
        pinged = hosts.run("--json", "--no-bw", "-s", 65536, "--pings", 30, "--warmup", 5, nodes=(1, 2, 3))
    finally:
        hosts.lab.shape(3, share(1))
    assert "of the best of its class" in done.stdout
    for one in (done, pinged):
        document = document_of(one)
        assert one.returncode == 1 and document["judged"], document["not_judged_reason"]
        assert blamed(document) == {("node", hosts.name(3))}, json.dumps(document["suspects"], indent=1)


@pytest.mark.timing
def test_of_two_nodes_one_direction_tells_of_the_other(hosts):
    hosts.lab.shape_sending(2, share(0.1))
    try:
        done = hosts.run("--json", "--no-ping", "-D", 0.3, nodes=(1, 2))
    finally:
        hosts.lab.shape(2, share(1))
    assert done.returncode == 1 and blamed(document_of(done)) == {("path", hosts.name(1), hosts.name(2))}, done


@pytest.mark.timing
def test_a_pair_that_hangs_ends_with_the_deadline(hosts):
    """Small packets pass between two nodes, full ones do not."""
    seconds = milliseconds(6000) / 1000
    hosts.lab.lose_long(1, 2, 1000)
    try:
        with pace.within(6 + 2, "a matrix with a pair that hangs"):
            done = hosts.run("--json", "--no-ping", "-t", "tcp,grpc", "-D", 0.1, "--deadline", seconds, nodes=(1, 2, 3, 4))
    finally:
        for i in (1, 2):
            hosts.lab.shape(i, share(1))
    document = document_of(done)
    assert done.returncode == 1 and not document["judged"] and "--deadline" in document["not_judged_reason"]
    failed = [row for row in document["results"] if "error" in row]
    assert failed and pairs_of(failed) == {frozenset((hosts.name(1), hosts.name(2)))}, failed


@pytest.mark.timing
def test_a_good_network_has_no_suspects(hosts):
    # Pings of so many bytes that the links decide how long they take, and not who else the hosts have to serve.
    done = hosts.run("-t", "tcp,grpc", "--pings", 30, "--warmup", 5, "-s", 65536, "-D", 0.2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no suspects" in done.stdout
    assert "28 pairs in 7 rounds over tcp, grpc" in done.stderr
    assert f"{NODES}  {hosts.name(NODES)}" in done.stdout


def test_repeats_tell_compare_what_noise_is(hosts, directory):
    path = directory / "repeats.jsonl"
    done = hosts.run("--json", "--jsonl", path, "--repeat", 3, *QUICK, nodes=(1, 2, 3))
    document = document_of(done)
    assert "3 pairs in 9 rounds over tcp, 3 times" in done.stderr and document["plan"]["repeat"] == 3
    by_measurement: dict[tuple, list] = {}
    for row in document["results"]:
        by_measurement.setdefault((row["kind"], row["source"], row["target"]), []).append(row["repeat"])
    assert len(by_measurement) == 3 * 3 and all(repeats == [1, 2, 3] for repeats in by_measurement.values())
    assert [row["repeat"] for row in document["results"]] == sorted(row["repeat"] for row in document["results"]), "all pairs, and all again"

    more = hosts.run("--json", "--resume", path, "--repeat", 4, *QUICK, nodes=(1, 2, 3))
    assert "27 measurements are there already" in more.stderr
    assert [row["repeat"] for row in document_of(more)["results"]][27:] == [4] * 9
    compared = hosts.lab.run(1, [hosts.bin / "netsense-bench", "compare", path, path, "--json"])
    rows = json.loads(compared.stdout)["rows"]
    assert compared.returncode == 0 and len(rows) == 9 and all(row["noise_known"] and row["a"]["repeats"] == 4 for row in rows)


@pytest.mark.timing
def test_two_runs_over_a_good_network_compare_as_the_same(hosts, directory):
    """Of all rows none is slower; as above, by pings of so many bytes that the links decide."""
    for name in ("before", "after"):
        (directory / name).write_text(hosts.run("--json", "--repeat", 3, "--pings", 30, "--warmup", 5, "-s", 65536, "-D", 0.2).stdout)
    done = hosts.lab.run(1, [hosts.bin / "netsense-bench", "compare", directory / "before", directory / "after", "--all"])
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_it_will_cost_is_said_before_it_starts(hosts):
    done = hosts.run("--dry-run", "--bytes", 1_000_000)
    assert done.returncode == 0 and done.stderr == ""
    assert "8 of 8 nodes are there: 28 pairs in 7 rounds over tcp" in done.stdout
    document = document_of(hosts.run("--dry-run", "--bytes", 1_000_000, "--no-ping", "--json"))
    assert document["plan"]["estimated_bytes"] == 28 * 2 * 1_000_000
    assert document["results"] == []


@pytest.mark.timing
def test_dead_nodes_cost_one_timeout_together(hosts):
    """Two hosts that swallow what is sent to them, as a machine that is off, and one that refuses."""
    lab = hosts.lab
    lab.cut(3)
    lab.cut(7)
    hosts.stop(8)
    try:
        # One timeout, and the measurement of the others: two of them would be too long.
        with pace.within(2 + 1.5, "a matrix with dead nodes") as witness:
            done = hosts.run("--json", *QUICK, "--no-bw", "--timeout", milliseconds(2000))
    finally:
        lab.mend(3)
        lab.mend(7)
        hosts.start(8)
    document = document_of(done)
    assert done.returncode == 1
    assert witness.elapsed >= milliseconds(2000) / 1000
    dead = {node["name"]: node["reason"] for node in document["nodes"] if not node["alive"]}
    assert set(dead) == set(map(hosts.name, (3, 7, 8))) and all(dead.values())
    assert len(pairs_of(document["results"])) == 5 * 4 // 2
    assert all(name in done.stderr for name in dead)
    assert document["suspects"] == []


@pytest.mark.timing
def test_a_node_that_dies_in_mid_run_costs_two_timeouts(hosts, directory):
    path = directory / "dies.jsonl"
    # Seven rounds of some 0.6 s, two timeouts, 6 s until a peer lets go of its port, and 3 s: not fourteen timeouts.
    with pace.within(7 * 0.6 + 2 + 6 + 3, "a matrix in which a node dies"):
        running = hosts.popen("--json", "--jsonl", path, "--pings", 30, "-D", 0.2, "--timeout", milliseconds(1000))
        wait_until("the first rows", lambda: path.exists() and len(path.read_text().splitlines()) > 3, every=0.01)
        hosts.lab.cut(4)
        try:
            out, err = running.communicate(timeout=pace.hangs_after())
        finally:
            hosts.lab.mend(4)
    assert running.returncode == 1, err
    document = json.loads(out)
    (dead,) = [node for node in document["nodes"] if not node["alive"]]
    assert dead["name"] == hosts.name(4) and "mid-run" in dead["reason"]
    others = [row for row in document["results"] if hosts.name(4) not in (row["source"], row["target"])]
    assert len(pairs_of(others)) == 7 * 6 // 2, "all pairs of the living"
    assert not [row for row in document["results"] if "error" in row]
    assert document["suspects"] == []


def test_a_process_that_is_killed_in_mid_run_costs_nothing(hosts, directory):
    path = directory / "killed.jsonl"
    running = hosts.popen("--json", "--jsonl", path, *QUICK)
    wait_until("the first rows", lambda: path.exists() and len(path.read_text().splitlines()) > 3, every=0.01)
    hosts.stop(6)
    try:
        out, err = running.communicate(timeout=pace.hangs_after())
    finally:
        hosts.start(6)
    assert running.returncode == 1, err
    document = json.loads(out)
    assert [node["name"] for node in document["nodes"] if not node["alive"]] == [hosts.name(6)]
    assert document["suspects"] == []


@pytest.mark.timing
def test_ctrl_c_keeps_what_was_measured_and_resume_goes_on(hosts, directory):
    path = directory / "stopped.jsonl"
    running = hosts.popen("--json", "--jsonl", path, *QUICK)
    wait_until("some rows", lambda: path.exists() and len(path.read_text().splitlines()) > 15, every=0.01)
    with pace.within(1, "the end by Ctrl-C"):
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=pace.hangs_after())
    assert running.returncode == 3 and f"--resume {path}" in err
    document = json.loads(out)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert not document["judged"] and document["not_judged_reason"] == "interrupted" and document["suspects"] == []
    kept = len(document["results"])
    assert document["interrupted"] and 15 <= kept < 28 * 3
    assert [line for line in lines_of(path) if "kind" in line] == document["results"]

    with path.open("a") as file:
        file.write('{"kind":"ping","source":"10.77')  # as a kill leaves it
    other = hosts.run("--json", "--resume", path, "--pings", 31, "--warmup", 5, "-D", 0.1)
    assert other.returncode == 2 and "measured otherwise" in other.stderr

    begun_ms = time.time() * 1000
    done = hosts.run("--json", "--resume", path, *QUICK)
    resumed = document_of(done)
    assert "cut off" in done.stderr and f"{kept} measurements are there already" in done.stderr
    assert len(resumed["results"]) == 28 * 3 and not resumed["interrupted"]
    assert resumed["results"][:kept] == document["results"] and resumed["started_at_ms"] >= begun_ms - 1000
    lines = lines_of(path)
    assert [line for line in lines if "kind" in line] == resumed["results"], "the file grew, without the broken line"
    linked = path.parent / "." / "linked.jsonl"
    linked.symlink_to(path)
    again = document_of(hosts.run("--json", "--resume", path, "--jsonl", linked, *QUICK))
    assert len([line for line in lines_of(path) if "kind" in line]) == 28 * 3, "not truncated by another name of it"
    assert again["plan"]["pairs"] == 0 and len(again["results"]) == 28 * 3


def test_ctrl_c_while_it_looks_again_blames_nobody(hosts, slow, directory):
    path = directory / "looking.jsonl"
    running = hosts.popen("--jsonl", path, "--no-ping", "-D", 0.3)
    wait_until("all rows", lambda: path.exists() and len(path.read_text().splitlines()) > 28 * 2, every=0.01)
    sent = lambda: hosts.lab.packets(SLOW_NODE, "e0")[0]  # noqa: E731 - by the node whose pairs get second looks
    before = sent()
    wait_until("a second look", lambda: sent() > before + 200, every=0.01)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=pace.hangs_after())
    assert running.returncode == 3, out + err
    assert "not judged: interrupted" in out and "SUSPECT" not in out and "no suspects" not in out


def test_what_cannot_be_judged_is_not_called_good(hosts):
    for flag in ("--no-bw", "--no-ping"):
        done = hosts.run(flag, "--pings", 30, "-D", 0.1, nodes=(1, 2))
        assert done.returncode == 3 and "not judged: nothing to compare" in done.stdout and "no suspects" not in done.stdout, done
    done = hosts.run("-t", "no-such-transport", nodes=(1, 2, 3))
    assert done.returncode == 3 and "not judged: every measurement failed" in done.stdout


@pytest.mark.timing
def test_slow_round_trips_are_no_failures(hosts):
    """A ping takes 0.1 s or more, by its size: 200 of them take longer than an order may, and are made for two seconds instead."""
    hosts.lab.shape(3, "5mbit")
    try:
        document = document_of(hosts.run("--json", "--no-bw", "-s", 65536, "--pings", 200, "--timeout", 1000, nodes=(1, 3)))
    finally:
        hosts.lab.shape(3, share(1))
    (row,) = document["results"]
    assert "error" not in row, row
    assert 1 < row["samples"] < 100 and row["network_rtt_us"]["p50"] > 80_000


def test_a_pair_is_pinged_by_the_same_node_whatever_the_order(hosts):
    (row,) = document_of(hosts.run("--json", "--no-bw", "--pings", 30, nodes=(2, 1)))["results"]
    assert (row["source"], row["target"]) == (hosts.name(1), hosts.name(2))


def test_output_that_cannot_be_written_is_said(hosts):
    done = hosts.run("--json", "--jsonl", "/dev/full", *QUICK, nodes=(1, 2))
    assert "cannot write /dev/full: No space left on device" in done.stderr and len(json.loads(done.stdout)["results"]) == 3
    assert done.returncode == 3 and "could not be written whole" in done.stderr, done
    both = hosts.run("--json", "--jsonl", "-", nodes=(1, 2))
    assert both.returncode == 2 and both.stdout == "" and "--jsonl -" in both.stderr


def test_odd_rows_of_an_earlier_run_are_measured_again(hosts, directory):
    path = directory / "odd.jsonl"
    head, *_ = lines_of_run(hosts, path)
    odd = {"kind": "ping", "source": 7, "target": [1], "transport": {}, "direction": None, "network_rtt_us": 3}
    path.write_text("".join(json.dumps(line) + "\n" for line in (head, odd)))
    assert len(document_of(hosts.run("--json", "--resume", path, *QUICK, nodes=(1, 2)))["results"]) == 3
    path.write_text(json.dumps(head | {"plan": [1]}) + "\n")
    done = hosts.run("--json", "--resume", path, *QUICK, nodes=(1, 2))
    assert done.returncode == 2 and "measured otherwise" in done.stderr


def lines_of_run(hosts, path):
    document_of(hosts.run("--json", "--jsonl", path, *QUICK, nodes=(1, 2)))
    return lines_of(path)


def test_a_list_in_a_file(hosts, directory):
    path = directory / "hosts"
    path.write_text(f"# the lab\n{hosts.name(1)}\n{hosts.lab.address(2)}  # the usual port\n\n{hosts.name(1)}\n")
    done = hosts.run("--json", "--hosts", path, *QUICK, "--no-bw", nodes=[])
    assert [node["name"] for node in document_of(done)["nodes"]] == [hosts.name(1), hosts.name(2)]


def test_nobody_without_the_token_gives_orders(hosts):
    done = hosts.lab.run(
        1,
        [hosts.bin / "netsense-bench", "matrix", hosts.name(2), hosts.name(3), "--insecure"],
        env=clean_environment(hosts.directory),
    )
    assert done.returncode == 3 and "token" in done.stderr
    without = hosts.lab.run(1, [hosts.bin / "netsense-bench", "matrix", hosts.name(2), hosts.name(3)], env=clean_environment(hosts.directory))
    assert without.returncode == 2 and "no token" in without.stderr
    mixed = hosts.run("127.0.1.1:18590", "--dry-run", nodes=[2])
    assert mixed.returncode == 2 and "127.0.1.1" in mixed.stderr


def test_all_nodes_of_a_cluster(namespaces, bin_dir, directory):
    """Engines, found by the head's API: they give a share of their ports only."""
    with NetLab(3) as lab, EmbeddedCluster(lab, bin_dir, directory) as cluster:
        cluster.wait_all_ok()
        done = lab.run(
            2,
            [bin_dir / "netsense-bench", "matrix", "--cluster", f"http://{lab.address(1)}:18591", "--json",
             "--token-file", directory / "token-2", "--pings", "30"],
            env=cluster.environment,
        )  # fmt: skip
        document = document_of(done)
        assert {node["address"] for node in document["nodes"]} == {lab.address(i) for i in (1, 2, 3)}
        assert all(node["alive"] for node in document["nodes"])
        assert len(document["results"]) == 3 * 3 and not [row for row in document["results"] if "error" in row]
        assert document["plan"]["settings"]["stream_bytes"] == 16 << 20
        # An engine gives a share of its port only: the load that it refuses is the reason, and the idle figures stay.
        node = document["nodes"][0]
        loaded = lab.run(
            2,
            [bin_dir / "netsense-bench", "loaded", f"{node['address']}:{node['port']}", "--json", "-D", "0.3", "--token-file", directory / "token-2"],
            env=cluster.environment,
        )
        assert loaded.returncode == 3, loaded
        idle, failed = json.loads(loaded.stdout)["results"]
        assert idle["load"] == "idle" and idle["rtt_us"]["p50"] > 0
        assert failed["kind"] == "bw" and failed["error"]["code"] == "RESOURCE_EXHAUSTED", failed
