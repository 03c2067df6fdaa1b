"""The result document: what each command writes against the schema, the three forms of output, thresholds. Loopback only."""

import csv
import io
import json
import os
import signal
import subprocess
from pathlib import Path

import jsonschema
import pace
import pytest
from cluster import wait_until

BENCH = Path(os.environ["NETSENSE_BIN"]) / "netsense-bench"
SCHEMA = json.loads((Path(__file__).parents[2] / "bench/schema/result.schema.json").read_text())


@pytest.fixture(scope="module")
def server():
    process = subprocess.Popen([BENCH, "serve", "--listen", "127.0.0.1:0", "--json"], stdout=subprocess.PIPE, text=True)
    yield f"127.0.0.1:{json.loads(process.stdout.readline())['port']}"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=pace.hangs_after()) == 0


def bench(*arguments):
    return subprocess.run([BENCH, *map(str, arguments)], capture_output=True, text=True, timeout=pace.hangs_after())


def document(*arguments, code=0):
    done = bench(*arguments, "--json")
    assert done.returncode == code, done.stderr
    result = json.loads(done.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(result)
    return result


@pytest.mark.parametrize(
    "command",
    [
        ("ping", "-n", 200),
        ("ping", "-n", 200, "--blocking", "-t", "tcp,grpc,ucx", "--repeat", 2),
        ("bw", "-D", 0.2, "-t", "tcp,grpc,ucx"),
        ("bw", "-D", 0.2, "--bidirectional", "--streams", 3),
        ("bw", "-n", 4, "-s", 1000, "--reverse"),
        ("sweep", "-D", 0.05, "--max-size", 100),
        ("loaded", "-D", 0.3, "-t", "tcp,ucx"),
    ],
    ids=lambda command: " ".join(map(str, command)),
)
def test_documents_keep_to_the_schema(server, command):
    result = document(command[0], server, *command[1:])
    assert result["command"] == command[0]
    assert result["arguments"][0] == command[0]
    assert result["results"] and all("error" not in row for row in result["results"])


def test_the_schema_can_refuse(server):
    result = document("ping", server, "-n", 10)
    for spoil in (
        lambda r: r.pop("kernel"),
        lambda r: r["results"][0].pop("rtt_us"),
        lambda r: r["results"][0].update(rtt_ms=1),
        lambda r: r["results"][0].update(timestamp_source="sundial"),
    ):
        spoilt = json.loads(json.dumps(result))
        spoil(spoilt)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(SCHEMA).validate(spoilt)


def test_failures_keep_to_the_schema_too():
    result = document("ping", "127.0.0.1:1", "-n", 1, code=3)
    assert result["results"][0]["error"]["code"] == "UNAVAILABLE"


def test_repeats_are_interleaved(server):
    rows = document("ping", server, "-n", 10, "-t", "tcp,grpc", "--repeat", 2)["results"]
    assert [(row["transport"], row["repeat"]) for row in rows] == [("tcp", 1), ("grpc", 1), ("tcp", 2), ("grpc", 2)]


def test_a_blocking_ping_takes_the_network_from_the_kernels_clock(server):
    (blocking,) = document("ping", server, "-n", 300, "--interval", 1, "--blocking")["results"]
    assert blocking["timestamp_source"] == "kernel"
    assert blocking["stamped_samples"] >= 0.95 * blocking["samples"]
    # The parts are the whole, whatever the wake-ups were.
    whole = blocking["network_rtt_us"]["mean"] + blocking["responder_hold_us"]["mean"] + blocking["host_delay_us"]["mean"]
    assert whole == pytest.approx(blocking["rtt_us"]["mean"], rel=0.1)
    (spinning,) = document("ping", server, "-n", 300, "--busy-poll")["results"]
    assert spinning["timestamp_source"] == "user" and spinning["host_delay_us"] is None


def test_the_median_lies_in_its_interval(server):
    (row,) = document("ping", server, "-n", 2000)["results"]
    low, high = row["rtt_us"]["p50_ci95"]
    assert row["rtt_us"]["min"] <= low <= row["rtt_us"]["p50"] <= high <= row["rtt_us"]["max"]
    percentiles = row["rtt_us"]["percentiles"]
    assert percentiles == sorted(percentiles) and percentiles[0][0] == 0 and percentiles[-1][0] == 100


def test_streams_add_up(server):
    (row,) = document("bw", server, "-n", 20, "-s", 100000, "--streams", 3, "--bidirectional")["results"]
    assert row["direction"] == "both"
    assert sorted(stream["direction"] for stream in row["by_stream"]) == ["from_peer"] * 3 + ["to_peer"] * 3
    assert all(stream["bytes"] == 2_000_000 for stream in row["by_stream"])
    assert row["bytes"] == 12_000_000


def test_sweep_ends_at_what_a_transport_can(server):
    rows = document("sweep", server, "-D", 0.02, "--min-size", 60000, "--max-size", 140000)["results"]
    assert [row["payload_bytes"] for row in rows if row["kind"] == "ping"] == [60000, 65536]
    assert [row["message_bytes"] for row in rows if row["kind"] == "bw"] == [60000, 65536, 131072, 140000]


def test_loaded_tells_idle_from_loaded_and_names_its_formula(server):
    rows = document("loaded", server, "-D", 0.4)["results"]
    assert [row.get("load") for row in rows] == ["idle", "loaded", "loaded-priority", None, None]
    summary = rows[-1]
    assert summary["kind"] == "loaded" and "idle" in summary["formula"]
    assert summary["added_us"] == pytest.approx(summary["loaded_p50_us"] - summary["idle_p50_us"])


def test_json_lines_and_csv_come_while_running(server, tmp_path):
    lines, table = tmp_path / "rows.jsonl", tmp_path / "rows.csv"
    done = bench("ping", server, "-n", 10, "-t", "tcp,grpc", "--jsonl", lines, "--csv", table)
    assert done.returncode == 0 and "network rtt" in done.stdout
    head, *rows, end = map(json.loads, lines.read_text().splitlines())
    assert head["command"] == "ping" and "results" not in head
    assert end["interrupted"] is False and end["checks"] == []
    cells = list(csv.DictReader(io.StringIO(table.read_text())))
    assert [row["transport"] for row in rows] == [row["transport"] for row in cells] == ["tcp", "grpc"]
    assert float(cells[0]["rtt_p50_us"]) == pytest.approx(rows[0]["rtt_us"]["p50"])
    on_stdout = bench("ping", server, "-n", 10, "--csv", "-").stdout
    assert len(list(csv.DictReader(io.StringIO(on_stdout)))) == 1
    assert bench("ping", server, "-n", 10, "--csv", "-", "--json").returncode == 2


@pytest.mark.parametrize(
    "command, check, code",
    [
        (("ping", "-n", 50, "--max-rtt", 0.001), "max_rtt_us", 1),
        (("bw", "-n", 50, "--min-bw", 1e6), "min_bw_gbps", 1),
        (("bw", "-n", 50, "--expect", "90%"), "expect_percent", 3),  # of loopback nothing can be expected: nobody can judge
    ],
)
def test_below_a_threshold(server, command, check, code):
    result = document(command[0], server, *command[1:], code=code)
    (found,) = result["checks"]
    assert found["check"] == check and not found["passed"]


def test_within_the_thresholds(server):
    result = document("bw", server, "-n", 50, "--min-bw", 0.001)
    assert [check["passed"] for check in result["checks"]] == [True]


def test_priority_is_marked_on_the_wire_both_ways(server):
    assert document("ping", server, "-n", 10, "--tclass", 184, "-t", "tcp,grpc")
    refused = bench("ping", server, "-n", 10, "--tclass", 184, "-t", "ucx")
    assert refused.returncode == 2 and "traffic-class" in refused.stderr


def test_gpu_memory_is_refused_with_the_reason(server):
    refused = bench("bw", server, "-n", 1, "--memory", "cuda")
    assert refused.returncode == 3 and "memory" in refused.stderr


def test_ctrl_c_keeps_what_was_measured(server, tmp_path):
    rows = tmp_path / "rows.jsonl"
    process = subprocess.Popen([BENCH, "ping", server, "-D", "0.2", "--repeat", "100", "--json", "--jsonl", rows], stdout=subprocess.PIPE, text=True)
    wait_until("three rows", lambda: rows.exists() and rows.read_text().count("\n") >= 3)
    process.send_signal(signal.SIGINT)
    result = json.loads(process.communicate(timeout=pace.hangs_after())[0])
    assert result["interrupted"] and len(result["results"]) >= 2
