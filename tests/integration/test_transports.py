"""Several transports in one cluster: side by side in the report, and a fragile one that dies without harm to anything else."""

import json
import os
import random
import re
import shutil
import signal
import subprocess

import pytest
from cluster import EmbeddedCluster, clean_environment, wait_until
from netlab import NetLab

SETTINGS = {"transports": "tcp,grpc,ucx", "bw_enabled": "true", "bw_slot_ms": "200", "bw_payload_bytes": str(1 << 20)}


@pytest.fixture(scope="module")
def cluster(namespaces, bin_dir, directory):
    with NetLab(2) as lab, EmbeddedCluster(lab, bin_dir, directory, settings=SETTINGS) as running:
        yield running


def list_transports(program, directory):
    done = subprocess.run([program, "--list-transports", "--json"], capture_output=True, text=True, env=clean_environment(directory))
    assert done.returncode == 0, done.stderr
    return {entry["name"]: entry for entry in json.loads(done.stdout)["transports"]}


def test_every_transport_is_listed_with_what_it_can_or_why_not(bin_dir, directory):
    listed = list_transports(bin_dir / "netsense-engine", directory)
    assert list(listed) == ["tcp", "grpc", "ucx", "verbs"]
    for name, entry in listed.items():
        assert entry["available"] or entry["reason"], name
    assert listed["tcp"]["available"] and listed["grpc"]["available"] and listed["ucx"]["available"]
    assert {"ping", "stream_to_peer", "stream_from_peer"} <= set(listed["grpc"]["capabilities"])
    if not os.path.isdir("/sys/class/infiniband") or not os.listdir("/sys/class/infiniband"):
        assert "no RDMA device" in listed["verbs"]["reason"]


def test_without_the_helper_program_ucx_says_so_and_the_rest_runs(bin_dir, directory):
    alone = directory / "alone"
    alone.mkdir()
    shutil.copy(bin_dir / "netsense-engine", alone)
    listed = list_transports(alone / "netsense-engine", directory)
    assert not listed["ucx"]["available"] and "netsense-ucx" in listed["ucx"]["reason"]
    assert listed["tcp"]["available"] and listed["grpc"]["available"]


def test_a_host_without_libibverbs_runs_the_rest(bin_dir, directory):
    """An empty library in front of the real one: as if it were not installed."""
    hidden = directory / "hidden"
    hidden.mkdir()
    (hidden / "libibverbs.so.1").write_bytes(b"")
    done = subprocess.run(
        [bin_dir / "netsense-engine", "--list-transports", "--json"],
        capture_output=True,
        text=True,
        env=clean_environment(directory) | {"LD_LIBRARY_PATH": str(hidden)},
    )
    listed = {entry["name"]: entry for entry in json.loads(done.stdout)["transports"]}
    assert "library missing" in listed["verbs"]["reason"]
    assert listed["tcp"]["available"] and listed["grpc"]["available"]


def test_transports_stand_side_by_side(cluster):
    paths = cluster.wait_all_ok(with_bandwidth=True)
    assert {transport for _, _, transport in paths} == {"tcp", "grpc", "ucx"}
    for edge in paths.values():
        assert edge["rtt_p50_ms"] > 0 and edge["bw_p50_mbps"] > 0
    # The same fields for all: only the transport's name differs.
    assert len({tuple(sorted(edge)) for edge in paths.values()}) == 1
    text = cluster.status_run().stdout
    for transport in ("tcp", "grpc", "ucx"):
        assert f"Round-trip time over {transport}" in text and f"Bandwidth over {transport}" in text


def ucx_pid(cluster, i):
    return wait_until("a UCX process", lambda: next(iter(cluster.pids_of(i, "netsense-ucx")), None))


def test_a_dead_ucx_process_is_a_matter_of_ucx_alone(cluster):
    engine = cluster.engine_pid(1)
    source, target = cluster.lab.address(1), cluster.lab.address(2)
    tcp_lost = cluster.paths()[source, target, "tcp"]["pings_lost"]
    for sig, words in (
        (signal.SIGABRT, "ucx process was killed by signal"),
        (signal.SIGKILL, "ucx process was killed by signal"),
        (signal.SIGSTOP, "ucx process did not read what it was told"),
    ):
        cluster.wait_all_ok()
        os.kill(ucx_pid(cluster, 1), sig)

        def unknown_with_reason(words=words):  # for a second or so: the head's answers, which are made once a second, need not show it
            told = [path for path in cluster.engine_status(1)["snapshot"]["paths"] if words in path["reason"]]
            return told and {path["state"] for path in told} == {"PATH_STATE_UNKNOWN"}

        wait_until("UNKNOWN with the reason", unknown_with_reason, every=0.1)
        assert cluster.paths()[source, target, "tcp"]["state"] == "OK"
    cluster.wait_all_ok()
    assert cluster.engine_pid(1) == engine
    assert cluster.paths()[source, target, "tcp"]["pings_lost"] == tcp_lost


def listening_ports(cluster, i):
    """port -> program, of everything of ours that listens on TCP in node i."""
    text = cluster.lab.run(i, ["ss", "-Hltnp"]).stdout
    ports = {}
    for line in text.splitlines():
        match = re.search(r'\(\("(netsense-[a-z]+)"', line)
        if match:
            host, _, port = line.split()[3].rpartition(":")
            ports[int(port)] = (match.group(1), host)
    return ports


def test_garbage_on_every_port_that_a_backend_opens(cluster):
    cluster.wait_all_ok()
    engine = cluster.engine_pid(2)
    seen = set()
    for number in range(6):
        ports = listening_ports(cluster, 2)
        print(ports)
        seen |= {program for program, _ in ports.values()}
        # Nothing but the door in the engine itself; UCX opens ports of its own, in its own process.
        assert [p for p, (program, _) in ports.items() if program == "netsense-engine"] == [18590]
        for port, (program, _) in ports.items():
            if program == "netsense-bridge":
                continue
            for _ in range(5):
                garbage = random.Random(number).randbytes(4096)
                cluster.lab.run(1, ["timeout", "2", "bash", "-c", f"cat > /dev/tcp/{cluster.lab.address(2)}/{port}"], input=garbage, text=False)
        assert cluster.engine_pid(2) == engine
    cluster.wait_all_ok()
    assert cluster.engine_pid(2) == engine
    assert seen <= {"netsense-engine", "netsense-ucx", "netsense-bridge"}, seen
