"""What is not good, or not known, is never shown as good: faults in the network that pings alone do not show."""

import json
import os
import signal
import tempfile
from pathlib import Path

import pace
import pytest
from cluster import EmbeddedCluster, wait_until
from netlab import NetLab

MTU = 9000
SEGMENT = MTU - 40 - 12  # IP, TCP, and its timestamps


@pytest.fixture(scope="module")
def cluster(namespaces, bin_dir, directory):
    # A round of bandwidth probes takes some seconds: 3 nodes have 6 slots.
    settings = {"bw_enabled": "true", "bw_slot_ms": pace.setting(500), "transports": "tcp"} | EmbeddedCluster.patient(rtt_ttl_ms=6000, lease_ms=6000)
    with NetLab(3, mtu=MTU) as lab, EmbeddedCluster(lab, bin_dir, directory, settings=settings) as cluster:
        cluster.wait_all_ok(with_bandwidth=True)
        yield cluster


@pytest.fixture
def mended(cluster):
    """Whatever was dropped: in the end all is good again, by itself."""
    yield cluster
    for i in range(1, 4):
        cluster.lab.stop_dropping(i)
    cluster.wait_all_ok(with_bandwidth=True)


def figure(page, name, **labels):
    """The sum of the samples of a metric that have these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    lines = [line for line in page.splitlines() if line.startswith(name + "{") and all(label in line for label in wanted)]
    return sum(float(line.rpartition(" ")[2]) for line in lines) if lines else None


def metrics(cluster, i):
    code, page = cluster.http_get("/metrics", i=i, headers=cluster.bearer(i), host=cluster.lab.address(i))
    assert code == 200
    return page


def test_a_black_hole_is_degraded_named_and_starves_nobody(mended):
    """Packets above 1,500 B are lost between two nodes of MTU 9000: pings pass, streams do not. Once "2 of 2 edges OK, 14.7 Gb/s"."""
    cluster = mended
    lost = cluster.edge(1, 2)["pings_lost"]
    cluster.lab.drop(2, f"ip saddr {cluster.lab.address(1)} meta length > 1500")

    def degraded():
        edge = cluster.edge(1, 2)
        return edge if edge["state"] == "DEGRADED" and edge["bw_state"] == "FAILED" else None

    edge = wait_until("edge 1 -> 2 DEGRADED", degraded, every=0.5)
    assert f"64 B pass, {SEGMENT} B do not: MTU {MTU} here, something on the way has less" in edge["reason"]
    assert edge["bw_mbps"] is edge["bw_p50_mbps"] is edge["bw_percent"] is None and edge["bw_failed"] >= 3
    assert edge["pings_lost"] <= lost + 1, "pings pass (a busy machine may lose one)"
    shown = cluster.status_run()
    assert shown.returncode == 1 and f"{SEGMENT} B do not" in shown.stdout and "5 of 6 edges OK" in shown.stdout
    code, body = cluster.http_get("/api/v0/network_topology", headers=cluster.bearer())
    assert code == 200 and f"{SEGMENT} B do not" in body
    page = metrics(cluster, 1)
    assert figure(page, "ray_network_sense_bandwidth_edges", state="FAILED") == 1
    assert figure(page, "ray_network_sense_bandwidth_failed_total") >= 3
    # The pair that fails rests, and its ports are free: the others go on.
    before = {way: edge["bw_probes"] for way, edge in cluster.edges().items()}
    failed = before.pop((cluster.lab.address(1), cluster.lab.address(2)))

    def others_went_on():
        now = cluster.edges()
        return all(now[way]["bw_probes"] >= probes + 3 for way, probes in before.items())

    wait_until("three more rounds of all other pairs", others_went_on, every=0.5)
    assert cluster.edge(1, 2)["bw_probes"] - failed <= 3, "it rests for some rounds after a failure"


@pytest.mark.parametrize("receiver, sender", [(2, 1), (1, 2)], ids=["pings are lost", "answers are lost"])
def test_loss_that_tcp_hides_is_seen(mended, receiver, sender):
    """TCP sends again within a ping's timeout: 10 % of loss once read as 0 lost, on either way."""
    cluster = mended
    cluster.lab.drop(receiver, f"ip saddr {cluster.lab.address(sender)} numgen random mod 10 == 0")

    def degraded():
        edge = cluster.edge(1, 2)
        return edge if edge["state"] == "DEGRADED" and (edge["retransmits"] or 0) >= 4 else None

    edge = wait_until("edge 1 -> 2 DEGRADED", degraded, every=0.5)
    assert "lost" in edge["reason"] or "bandwidth probes failed" in edge["reason"]
    assert cluster.status_run().returncode == 1
    assert figure(metrics(cluster, 1), "ray_network_sense_ping_retransmits_total") >= 4


def test_loss_that_tcp_hides_is_seen_over_grpc(namespaces, bin_dir):
    """Its connections are gRPC's own, and tell all the same."""
    settings = {"transports": "tcp,grpc"} | EmbeddedCluster.patient(rtt_ttl_ms=6000, lease_ms=6000)
    with tempfile.TemporaryDirectory(prefix="nst-") as folder, NetLab(2) as lab, EmbeddedCluster(lab, bin_dir, folder, settings=settings) as cluster:
        way = (lab.address(1), lab.address(2), "grpc")
        for receiver, sender in ((2, 1), (1, 2)):
            cluster.wait_all_ok()
            before = cluster.paths()[way]["retransmits"]
            lab.drop(receiver, f"ip saddr {lab.address(sender)} numgen random mod 10 == 0")

            def degraded(before=before):
                edge = cluster.paths().get(way)
                return edge and edge["state"] == "DEGRADED" and edge["retransmits"] >= before + 4

            wait_until("the edge over gRPC DEGRADED", degraded, every=0.5)
            lab.stop_dropping(receiver)


def test_slow_is_a_mark_on_a_good_edge(mended):
    """One node far below the others: once "6 of 6 edges OK", exit code 0. Among three nodes it takes 20 rounds."""
    cluster = mended
    wait_until("nobody is slow", lambda: cluster.status_run().returncode == 0, every=0.5)
    cluster.lab.shape(1, "100mbit")
    try:
        shown = wait_until(
            "4 slow edges",
            lambda: "6 of 6 edges OK, 4 of them slow\n" in (done := cluster.status_run()).stdout and done,
            every=0.5,
            limit=4 * pace.hangs_after(),
        )
    finally:
        cluster.lab.stop_shaping(1)
    assert shown.returncode == 1
    first = shown.stdout.index("Slow edges, the slowest first")
    assert first < shown.stdout.index("Round-trip time over tcp") and "times less: bandwidth below 50 % of the best of its class" in shown.stdout
    lines = [line for line in shown.stdout.splitlines() if "  slow  " in line]
    assert len(lines) == 4 and all(cluster.lab.address(1) in line and 0 < float(line.split("slow")[1].split()[0]) < 0.15 for line in lines), (
        "its figure is true, and stays"
    )

    def told_everywhere():
        code, body = cluster.http_get("/api/v0/network_topology", headers=cluster.bearer())
        topology = json.loads(body)["data"]["result"]
        return code == 200 and topology["num_slow_edges"] == figure(metrics(cluster, 1), "ray_network_sense_cluster_edges_slow", figure="bandwidth")

    wait_until("API and metrics agree", told_everywhere, every=0.5)
    wait_until("nobody is slow any more", lambda: cluster.status_run().returncode == 0, every=0.5)


def test_bandwidth_that_is_switched_off_is_gone(cluster):
    """The last figure once stood for ever, on an edge that was OK, and in /metrics."""

    def config(value):
        done = cluster.lab.run(
            1,
            [cluster.bin / "netsense-bridge", "config", "set", "network_sense_bw_enabled", value,
             "--gcs-address", cluster.gcs_address, *cluster.gcs_token_flags(1)],
            env=cluster.environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    for i in (1, 2, 3):  # a flag goes before what is set for the whole cluster
        cluster.stop_bridge(i)
    del cluster.settings["bw_enabled"]
    for i in (1, 2, 3):
        cluster.start_bridge(i)
    cluster.wait_all_ok()
    config("true")
    cluster.wait_all_ok(with_bandwidth=True)
    config("false")

    def gone():
        edges = cluster.edges().values()
        return len(edges) == 6 and all(edge["bw_p50_mbps"] is None for edge in edges)

    wait_until("no figure any more", gone, every=0.2)
    assert all(edge["state"] == "OK" and edge["rtt_p50_ms"] and edge["bw_state"] == "NOT_KNOWN" for edge in cluster.edges().values())
    assert figure(metrics(cluster, 1), "ray_network_sense_bandwidth_worst_bytes_per_second") is None
    assert json.loads(cluster.status_run(1, "--json").stdout)["reachable"] == {"n": 3, "m": 3}
    config("true")
    cluster.wait_all_ok(with_bandwidth=True)


def test_an_engine_that_stands_still_answers_over_no_transport(namespaces, bin_dir):
    """UCX has a process of its own, which once went on answering for an engine that was stopped."""
    with (
        tempfile.TemporaryDirectory(prefix="nst-") as directory,
        NetLab(2) as lab,
        EmbeddedCluster(lab, bin_dir, Path(directory), settings={"transports": "tcp,ucx"}) as cluster,
    ):
        cluster.wait_all_ok()
        engine = cluster.engine_pid(2)
        os.kill(engine, signal.SIGSTOP)
        try:
            ways = [(lab.address(1), lab.address(2), transport) for transport in ("tcp", "ucx")]
            wait_until("no answer over either", lambda: all(cluster.paths()[way]["state"] not in ("OK", "DEGRADED") for way in ways), every=0.2)
        finally:
            os.kill(engine, signal.SIGCONT)
        cluster.wait_all_ok()
