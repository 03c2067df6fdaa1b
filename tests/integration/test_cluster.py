"""A cluster of three nodes on the embedded GCS: what users see, and what follows each fault."""

import json
import os
import signal
import time

import pace
import pytest
from cluster import EmbeddedCluster, wait_until
from netlab import NetLab

TICK_S = 0.5
LEASE_S = 2  # EmbeddedCluster's
TIMEOUT_S = 0.5  # of a ping


@pytest.fixture(scope="module")
def cluster(namespaces, bin_dir, directory):
    settings = {"bw_enabled": "true", "bw_slot_ms": "200"}
    with NetLab(3) as lab, EmbeddedCluster(lab, bin_dir, directory, settings=settings) as cluster:
        cluster.wait_all_ok(with_bandwidth=True)
        yield cluster


@pytest.fixture(autouse=True)
def good_before_each(cluster):
    cluster.wait_all_ok()


def test_status_for_people(cluster):
    shown = cluster.status_run()
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "3/3 reachable" in shown.stdout
    for i in (1, 2, 3):
        assert cluster.lab.address(i) in shown.stdout or f"n{i}" in shown.stdout


@pytest.mark.timing
def test_status_for_scripts(cluster):
    payload = cluster.status()
    assert payload["schema_version"] == 1
    assert payload["reachable"] == {"n": 3, "m": 3}
    assert payload["num_nodes"] == payload["num_reports"] == 3
    assert payload["num_edges"] == payload["num_ok_edges"] == len(payload["edges"]) == 6
    assert payload["directed"] is True
    for edge in payload["edges"]:
        assert edge["state"] == "OK" and edge["reason"] == ""
        assert 0 < edge["rtt_p50_ms"] < 50 * pace.scale(), "milliseconds"
        assert edge["rtt_ms"] > 0 and edge["jitter_ms"] >= 0
        assert edge["network_rtt_p50_ms"] <= edge["rtt_p50_ms"]
        assert edge["bw_p50_mbps"] > 100 / pace.scale(), "a veth carries more than 100 Mb/s"
        assert edge["transport"] == "tcp" and edge["fabric"] == "ethernet" and edge["src_port"] == "e0"
        assert 0 <= edge["age_ms"] <= int(cluster.settings["rtt_ttl_ms"]) and edge["rtt_age_ms"] >= 0 and edge["rtt_samples"] >= 1
        assert abs(edge["report_ts_ms"] - time.time() * 1000) < 10_000 * pace.scale(), "milliseconds since the Unix epoch"


def test_status_without_a_gcs_is_no_answer(cluster):
    nowhere = cluster.lab.run(1, [cluster.bin / "netsense-bridge", "status", "--gcs-address", "10.77.0.1:1"], env=cluster.environment)
    assert nowhere.returncode == 3
    assert "10.77.0.1:1" in nowhere.stderr


def test_http_endpoint(cluster):
    code, body = cluster.http_get("/api/v0/network_topology", i=2, headers=cluster.bearer())
    assert code == 200
    envelope = json.loads(body)
    assert envelope["result"] is True and isinstance(envelope["msg"], str)
    payload = envelope["data"]["result"]
    for field in ("generated_at_ms", "directed", "num_reports", "num_nodes", "num_edges", "nodes", "edges"):
        assert field in payload
    for field in ("node_id", "last_report_ts_ms", "num_out_edges"):
        assert field in payload["nodes"][0]
    for field in ("src_node_id", "dst_node_id", "report_ts_ms", "rtt_ms", "rtt_p50_ms", "jitter_ms", "bw_mbps", "bw_p50_mbps"):
        assert field in payload["edges"][0]
    assert len(payload["nodes"][0]["node_id"]) == 56


def test_http_needs_the_token(cluster):
    assert cluster.http_get("/api/v0/network_topology")[0] == 401
    assert cluster.http_get("/api/v0/network_topology", headers={"Authorization": "Bearer wrong"})[0] == 403
    code, body = cluster.http_get("/healthz")
    assert code == 200 and json.loads(body)["status"] == "ok"
    assert cluster.http_get("/nothing", headers=cluster.bearer())[0] == 404


@pytest.mark.timing
def test_a_killed_engine_is_back_with_its_whole_plan_within_3_s(cluster):
    before = cluster.engine_status(2)

    def back():
        pids = cluster.pids_of(2, "netsense-engine")
        if not pids or pids == [before["info"]["pid"]]:
            return None
        try:
            now = cluster.engine_status(2)
        except (AssertionError, ValueError):
            return None
        return now if now["snapshot"]["lease_in_force"] and len(now["snapshot"]["paths"]) == 2 else None

    with pace.within(3, "an engine with its whole plan"):
        os.kill(before["info"]["pid"], signal.SIGKILL)
        now = wait_until("the engine with its plan", back)
    assert now["info"]["incarnation"] != before["info"]["incarnation"]
    assert sorted(p["path_id"] for p in now["snapshot"]["paths"]) == sorted(p["path_id"] for p in before["snapshot"]["paths"])


@pytest.mark.timing
def test_a_frozen_peer_is_not_ok_within_interval_and_timeout(cluster):
    pid = cluster.engine_pid(3)
    try:
        # Beside interval and timeout: the report's way through the GCS to the head, which looks once a tick and answers once a second
        # with something new, and our own asking.
        with pace.within(TICK_S + TIMEOUT_S + 1.5 + TICK_S + 1, "the frozen peer's edges are not OK"):
            os.kill(pid, signal.SIGSTOP)
            for src in (1, 2):
                wait_until(f"edge {src} -> 3 not OK", lambda: cluster.edge(src, 3)["state"] != "OK")
        for src in (1, 2):
            wait_until(f"edge {src} -> 3 UNREACHABLE", lambda: cluster.edge(src, 3)["state"] == "UNREACHABLE")
        edge = cluster.edge(1, 3)
        assert edge["reason"] and edge["rtt_p50_ms"] is None and edge["last_ok_age_ms"] > 0
        bad = cluster.status_run()
        assert bad.returncode == 1
        assert "UNREACHABLE" in bad.stdout and "2/3 reachable" in bad.stdout
        assert cluster.edge(1, 2)["state"] == cluster.edge(2, 1)["state"] == "OK", "the others go on"
    finally:
        os.kill(pid, signal.SIGCONT)
    cluster.wait_all_ok()


@pytest.mark.timing
def test_a_cut_link_is_back_soon_after_it_is_mended(cluster):
    cluster.lab.cut(3)
    wait_until("edge 2 -> 3 UNREACHABLE", lambda: cluster.engine_paths_state(2, 3) == "PATH_STATE_UNREACHABLE")
    descriptors = len(os.listdir(f"/proc/{cluster.engine_pid(2)}/fd"))
    # Two intervals of probing, and the bridge's own time to forward again (it must learn the MAC address anew).
    with pace.within(2 * (TICK_S + TIMEOUT_S) + 2, "the mended link answers"):
        cluster.lab.mend(3)
        wait_until("path 2 -> 3 answers", lambda: cluster.engine_paths_state(2, 3) == "PATH_STATE_OK")
    assert len(os.listdir(f"/proc/{cluster.engine_pid(2)}/fd")) <= descriptors + 4


def pings_sent(snapshot, peer=""):
    return sum(int(path["pings_sent"]) for path in snapshot["paths"] if path["path_id"].startswith(peer))


@pytest.mark.timing
def test_a_killed_bridge_leaves_an_engine_that_stops_when_its_lease_ends(cluster):
    engine, socket = cluster.engine_pid(2), cluster.engine_socket(2)
    with pace.within(LEASE_S + 2, "the lease ends"):
        assert cluster.stop_bridge(2, signal.SIGKILL) == -signal.SIGKILL
        stopped = wait_until(
            "the lease to end",
            lambda: (s := cluster.engine_status(2, socket)["snapshot"]) and not s["lease_in_force"] and s,
        )
    sent = pings_sent(stopped)
    assert cluster.pids_of(2, "netsense-engine") == [engine], "it answers others, and is there for the next bridge"
    node_3 = next(node["node_id"] for node in cluster.status()["nodes"] if node["address"] == cluster.lab.address(3))

    def sent_by_another():
        return pings_sent(cluster.engine_status(1)["snapshot"], node_3)

    before = sent_by_another()

    def another_went_on():
        now = cluster.engine_status(2, socket)["snapshot"]
        assert pings_sent(now) <= sent + len(now["paths"]), "it goes on probing"
        return sent_by_another() >= before + 4

    wait_until("four ticks of another engine", another_went_on)
    # A report that nobody renews goes stale, and a new bridge takes over.
    cluster.start_bridge(2)
    cluster.wait_all_ok()


def test_an_engine_that_no_bridge_comes_back_for_leaves(cluster):
    socket = cluster.engine_socket(2)
    cluster.stop_bridge(2, signal.SIGKILL)
    wait_until("the engine to leave", lambda: not cluster.pids_of(2, "netsense-engine"))
    assert not os.path.exists(os.path.dirname(socket)), "it leaves nothing behind"
    cluster.start_bridge(2)
    cluster.wait_all_ok()


def test_a_forgetful_gcs_hears_everything_again(cluster):
    """The head's bridge, and with it the embedded GCS, is killed and started again: it knows nothing."""
    others = {i: cluster.bridges[i].pid for i in (2, 3)}
    cluster.stop_bridge(1, signal.SIGKILL)
    cluster.start_bridge(1)
    # Node 1 comes back under a new id; 2 and 3 were not restarted.
    cluster.wait_all_ok()
    assert {i: cluster.bridges[i].pid for i in (2, 3)} == others
    assert all(cluster.bridges[i].poll() is None for i in (2, 3))


def test_a_node_that_leaves_is_gone_from_the_matrix(cluster):
    assert cluster.stop_bridge(3) == 0
    assert cluster.pids_of(3, "netsense-engine") == []
    wait_until("two nodes left", lambda: cluster.status()["num_nodes"] == 2)
    wait_until("both edges good", lambda: cluster.status()["num_ok_edges"] == 2)
    cluster.start_bridge(3)
    cluster.wait_all_ok()


def test_settings_of_the_whole_cluster_take_effect_live(cluster):
    def config(*arguments):
        return cluster.lab.run(
            1,
            [cluster.bin / "netsense-bridge", "config", *arguments, "--gcs-address", cluster.gcs_address, *cluster.gcs_token_flags(1)],
            env=cluster.environment,
        )

    # Not among the flags that this cluster was started with, which go before it.
    done = config("set", "network_sense_rtt_m", "7")
    assert done.returncode == 0, done.stderr
    try:
        wait_until("the new window", lambda: cluster.edge(1, 2)["rtt_window"] == 7)
        bad = config("set", "network_sense_rtt_m", "minus one")
        assert bad.returncode == 2 and "network_sense_rtt_m" in bad.stderr
        unknown = config("set", "network_sense_rtt_n", "7")
        assert unknown.returncode == 2 and "network_sense_rtt_m" in unknown.stderr, "the nearest name is suggested"
    finally:
        assert config("unset", "network_sense_rtt_m").returncode == 0
    wait_until("the old window", lambda: cluster.edge(1, 2)["rtt_window"] == 5)
