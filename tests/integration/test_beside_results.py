"""What stands beside a figure: where the threads ran, which counters moved, what the path could carry."""

import json
import os
import subprocess
from pathlib import Path

import pace
import pytest
from cluster import EmbeddedCluster, clean_environment, wait_until
from netlab import NetLab


@pytest.fixture(scope="module")
def lab(namespaces):
    with NetLab(2) as made:
        yield made


@pytest.fixture
def serve(lab, bin_dir, directory):
    """Starts `netsense-bench serve` in node 2; its process and port."""
    started = []

    def start(*flags):
        process = lab.popen(
            2,
            [bin_dir / "netsense-bench", "serve", "--listen", f"{lab.address(2)}:0", "--insecure", "--json", *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=clean_environment(directory),
        )
        started.append(process)
        return process, json.loads(process.stdout.readline())["port"]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def bench(lab, bin_dir, directory, command, port, *flags):
    return [bin_dir / "netsense-bench", command, f"{lab.address(2)}:{port}", "--insecure", "--json", *flags], {"env": clean_environment(directory)}


def cpus_of_threads(pid):
    lists = []
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        lists += [line.split()[1] for line in status.read_text().splitlines() if line.startswith("Cpus_allowed_list")]
    return lists


@pytest.mark.parametrize("transport", ["tcp", "grpc", "ucx"])
def test_threads_are_where_the_result_says(lab, bin_dir, directory, serve, transport):
    last = str(max(os.sched_getaffinity(0)))
    server, port = serve("--cpus", "0")
    command, options = bench(
        lab, bin_dir, directory, "ping", port, "-t", transport, "-D", str(3 * pace.scale()), "--interval", "5", "--blocking", "--cpus", last
    )
    prober = lab.popen(1, command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **options)
    programs = {"prober": ([prober.pid], last), "responder": ([server.pid], "0")}
    if transport == "ucx":  # its sessions run in children

        def children():
            lists = {pid: [f.read_text().split() for f in Path(f"/proc/{pid}/task").glob("*/children")] for pid in (prober.pid, server.pid)}
            pids = {pid: [int(child) for one in found for child in one] for pid, found in lists.items()}
            return pids if all(pids.values()) else None

        found = wait_until("both UCX processes", children)
        programs = {"prober": (found[prober.pid], last), "responder": (found[server.pid], "0")}
    for side, (pids, wanted) in programs.items():
        wait_until(f"a thread of the {side} on {wanted}", lambda p=pids, w=wanted: any(w in cpus_of_threads(i) for i in p))
    result = json.loads(prober.communicate(timeout=pace.hangs_after())[0])["results"][0]
    assert result["binding"]["prober"]["cpus"] == last
    assert result["binding"]["responder"]["cpus"] == "0"


def test_no_pin_leaves_threads_alone(lab, bin_dir, directory, serve):
    _, port = serve("--no-pin")
    command, options = bench(lab, bin_dir, directory, "ping", port, "-n", 10, "--no-pin")
    result = json.loads(lab.run(1, command, **options).stdout)["results"][0]
    for side in ("prober", "responder"):
        assert result["binding"][side]["cpus"] == "" and "turned off" in result["binding"][side]["reason"]


def test_processors_that_are_not_there_are_refused(lab, bin_dir, directory, serve):
    _, port = serve()
    command, options = bench(lab, bin_dir, directory, "ping", port, "--cpus", "4095")
    done = lab.run(1, command, **options)
    assert done.returncode == 2 and "may use the processors" in done.stderr


def test_retransmits_stand_beside_the_bandwidth(lab, bin_dir, directory, serve):
    """A link whose queue holds next to nothing drops; the same link without that does not."""
    _, port = serve()
    command, options = bench(lab, bin_dir, directory, "bw", port, "-n", 20)

    def retransmits():
        done = lab.run(1, command, **options)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)["results"][0]
        assert result["expected"]["gbps"] is None and "not known" in result["expected"]["reason"], "a veth has no rate"
        return {c["name"]: c for c in result["counters"]}.get("tcp_retransmits", {"delta": 0})["delta"]

    lab._tc(lab.namespace(1), "qdisc", "replace", "dev", "e0", "root", "tbf", "rate", "200mbit", "burst", "16kb", "limit", "20kb")
    try:
        assert retransmits() > 0
    finally:
        lab._tc(lab.namespace(1), "qdisc", "del", "dev", "e0", "root")


def test_the_report_has_them_too(lab, bin_dir, directory):
    settings = {"bw_enabled": "true", "bw_slot_ms": "200", "bw_payload_bytes": str(4 << 20), "cpus": "0"}
    with EmbeddedCluster(lab, bin_dir, directory, settings=settings) as cluster:
        lab._tc(lab.namespace(1), "qdisc", "replace", "dev", "e0", "root", "tbf", "rate", "100mbit", "burst", "16kb", "limit", "20kb")

        def edge_with_counters():
            edge = cluster.edge(1, 2)
            return edge if edge and edge["counters"].get("tcp_retransmits", 0) > 0 else None

        edge = wait_until("a report with retransmits", edge_with_counters)
        assert edge["binding"].startswith("processors 0") and edge["peer_binding"].startswith("processors 0")
        assert edge["bw_expected_mbps"] is None
