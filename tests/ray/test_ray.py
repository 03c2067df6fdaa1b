"""netsense beside a real Ray: three raylets in three network namespaces of one machine.

NETSENSE_RAY is the path of Ray's command; its Python has Ray.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pace
import pytest
from cluster import RayCluster, wait_shown, wait_until
from conftest import skip_or_fail
from netlab import NetLab

REDIS_PORT = 6380


@pytest.fixture(scope="module")
def ray_command():
    path = os.environ.get("NETSENSE_RAY", "")
    if not os.path.exists(path):
        skip_or_fail(f"no Ray at NETSENSE_RAY='{path}': `make test` makes one")
    return path


@pytest.fixture(scope="module")
def cluster(namespaces, bin_dir, directory, ray_command):
    with NetLab(3) as lab:
        redis = lab.popen(
            1,
            ["redis-server", "--port", REDIS_PORT, "--bind", lab.address(1), "127.0.0.1", "--protected-mode", "no",
             "--save", "", "--appendonly", "no", "--dir", directory, "--daemonize", "no", "--logfile", directory / "redis.log"],
        )  # fmt: skip
        wait_until("Redis", lambda: lab.run(1, ["redis-cli", "-p", REDIS_PORT, "ping"]).stdout.strip() == "PONG")
        environment = {"RAY_REDIS_ADDRESS": f"{lab.address(1)}:{REDIS_PORT}"}
        settings = {"bw_enabled": "true", "bw_slot_ms": "200"}
        with RayCluster(lab, bin_dir, directory, ray_command, ray_environment=environment, settings=settings) as cluster:
            cluster.wait_all_ok(with_bandwidth=True)
            yield cluster
        redis.kill()
        redis.wait()


def reports_as_ray_reads_them(cluster):
    """Through `ray.experimental.internal_kv`, as any Ray program would."""
    out = cluster.python(
        2,
        f"""
import json, ray
from ray.experimental import internal_kv
ray.init(address="{cluster.gcs_address}", _node_ip_address="{cluster.lab.address(2)}", log_to_driver=False, logging_level="ERROR")
nodes = {{n["NodeID"]: [n["NodeManagerAddress"], n["Alive"]] for n in ray.nodes()}}
keys = internal_kv._internal_kv_list(b"edge_samples:", namespace=b"network_sense")
reports = {{k.decode(): json.loads(internal_kv._internal_kv_get(k, namespace=b"network_sense")) for k in keys}}
print("@@" + json.dumps([nodes, reports]))
""",
    )
    return json.loads(out.split("@@")[1])


def test_reports_as_rays_own_python_reads_them(cluster):
    nodes, reports = reports_as_ray_reads_them(cluster)
    assert sorted(reports) == sorted(f"edge_samples:{node_id}" for node_id in nodes)
    for key, report in reports.items():
        node_id = key.removeprefix("edge_samples:")
        assert report["node_id"] == node_id and report["schema_version"] == 1
        assert abs(report["ts_ms"] - time.time() * 1000) < 30_000 * pace.scale()
        assert sorted(e["dst_node_id"] for e in report["edges"]) == sorted(set(nodes) - {node_id})
        for edge in report["edges"]:
            # The prototype's fields, in the prototype's units: milliseconds and decimal megabits a second.
            slow = pace.scale()
            assert 0.001 < edge["rtt_p50_ms"] < 50 * slow and 0.001 < edge["rtt_ms"] < 50 * slow
            assert 0 <= edge["jitter_ms"] < 200 * slow
            assert 100 / slow < edge["bw_p50_mbps"] < 1_000_000 and 100 / slow < edge["bw_mbps"] < 1_000_000
            assert edge["state"] == "OK" and edge["transport"] == "tcp"


def test_endpoint_and_status(cluster):
    code, body = cluster.http_get("/api/v0/network_topology", i=3, headers=cluster.bearer())
    assert code == 200
    payload = json.loads(body)["data"]["result"]
    assert payload["num_nodes"] == 3 and payload["num_ok_edges"] == 6
    assert [n["is_head"] for n in payload["nodes"]].count(True) == 1
    shown = cluster.status_run(2)
    assert shown.returncode == 0 and "3/3 reachable" in shown.stdout


def test_prometheus_finds_the_bridges_beside_rays_own_file(cluster):
    targets = json.loads((cluster.temp / "prom_metrics_service_discovery_netsense.json").read_text())
    assert sorted(t["targets"][0].split(":")[0] for t in targets) == [cluster.lab.address(i) for i in (1, 2, 3)]
    assert {t["labels"]["node_id"] for t in targets} == {node["node_id"] for node in cluster.status()["nodes"]}


LIE = """
import json, ray, time
from ray.experimental import internal_kv
ray.init(address="{gcs}", _node_ip_address="{node}", log_to_driver=False, logging_level="ERROR")
ids = {{n["NodeManagerAddress"]: n["NodeID"] for n in ray.nodes() if n["Alive"]}}
while True:
    for address, told in {lies}.items():
        key = ("door:" + ids[address]).encode()
        door = json.loads(internal_kv._internal_kv_get(key, namespace=b"network_sense"))
        door["address"] = told
        door["ports"] = [{{"name": "e0", "netdev": "e0", "fabric": "ethernet", "addresses": [told], "rail": 0}}]
        internal_kv._internal_kv_put(key, json.dumps(door).encode(), overwrite=True, namespace=b"network_sense")
    time.sleep(0.02)
"""


def test_who_writes_the_kv_aims_no_engine(cluster):
    """Any Ray program may write a door record: of a node that is elsewhere, with a rail that is somebody else's."""
    elsewhere = "10.77.0.33"
    run = cluster.lab.run
    run(3, ["ip", "addr", "add", f"{elsewhere}/24", "dev", "e0"])
    listens = f"import socket; s = socket.create_server(('{elsewhere}', 18590)); print('ready', flush=True); print(s.accept()[1], flush=True)"
    stranger = cluster.lab.popen(3, [cluster.ray.parent / "python", "-c", listens], stdout=subprocess.PIPE, text=True)
    assert stranger.stdout.readline() == "ready\n"
    lies = {cluster.lab.address(1): cluster.lab.address(1), cluster.lab.address(2): elsewhere}
    lie = LIE.format(gcs=cluster.gcs_address, node=cluster.lab.address(3), lies=lies)
    liar = cluster.lab.popen(3, [cluster.ray.parent / "python", "-c", lie], env=cluster.ray_environment)
    try:

        def refused():
            edges = cluster.status()["edges"]
            return any(f"names {elsewhere}, which the node itself does not" in edge["reason"] for edge in edges) or stranger.poll() is not None

        wait_until("it to be refused", refused)
        assert stranger.poll() is None, "somebody dialled it"
        assert cluster.edge(1, 3)["state"] == "OK"
    finally:
        for process in (liar, stranger):
            process.kill()
            process.communicate()
        run(3, ["ip", "addr", "del", f"{elsewhere}/24", "dev", "e0"])
    wait_until("the bridges to have put it right", lambda: cluster.status_run().returncode == 0)


def test_the_gcs_client_agrees_with_rays_own_gcs(cluster):
    """The same tests that pass against the embedded GCS."""
    done = cluster.lab.run(
        2,
        [Path(os.environ.get("NETSENSE_UNIT_TESTS_FROM") or cluster.bin) / "gcs_tests", "--gtest_filter=*/Ray"],
        env=cluster.environment | {"NETSENSE_TEST_GCS": cluster.gcs_address},
    )
    print(done.stdout[-2000:])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SKIPPED" not in done.stdout and "PASSED" in done.stdout


def gcs_server(cluster):
    (pid,) = cluster.pids_of(1, "gcs_server")
    return pid


def test_the_gcs_is_killed_and_started_again(cluster):
    pid = gcs_server(cluster)
    bridges = {i: cluster.bridges[i].pid for i in cluster.bridges}
    engines = {i: cluster.engine_pid(i) for i in cluster.bridges}
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        command = [argument.decode() for argument in file.read().split(b"\0")[:-1]]
    with open(f"/proc/{pid}/environ", "rb") as file:
        environment = dict(entry.decode().split("=", 1) for entry in file.read().split(b"\0") if b"=" in entry)
    os.kill(pid, signal.SIGKILL)
    wait_until("the GCS to be gone", lambda: cluster.status() is None)
    sent = pings_sent(cluster, 2)
    wait_until("probing without a GCS", lambda: pings_sent(cluster, 2) > sent + 6)
    restarted_ms = time.time() * 1000
    log = open(cluster.directory / "gcs-again.log", "wb")
    cluster.lab.popen(1, command, env=environment, stdout=log, stderr=log)
    log.close()

    def reported_again():
        edges = cluster.edges()
        fresh = [e for e in edges.values() if e["state"] == "OK" and (e["report_ts_ms"] or 0) > restarted_ms]
        return len(fresh) == len(edges) == 6

    wait_until("reports of all nodes, newer than the restart", reported_again, every=0.2)
    assert {i: cluster.bridges[i].pid for i in cluster.bridges} == bridges
    assert {i: cluster.engine_pid(i) for i in cluster.bridges} == engines, "nothing of ours was restarted"
    assert all(bridge.poll() is None for bridge in cluster.bridges.values())


def test_a_bridge_that_was_killed_is_followed_by_one_that_adopts_its_engine(cluster):
    engine = cluster.engine_pid(2)
    cluster.stop_bridge(2, signal.SIGKILL)
    cluster.start_bridge(2)
    wait_until("the new bridge's renewals", lambda: cluster.engine_status(2)["snapshot"]["lease_in_force"])
    cluster.wait_all_ok()
    assert cluster.engine_pid(2) == engine, "the engine and what it had measured live on"


def pings_sent(cluster, i):
    return sum(int(path["pings_sent"]) for path in cluster.engine_status(i)["snapshot"]["paths"])


def lost(cluster):
    return [node["address"] for node in cluster.status()["lost_nodes"]]


def test_a_node_that_ray_stops_in_order_is_not_lost(cluster):
    """SIGTERM, as `ray stop`, Kubernetes and the autoscaler say it."""
    bridge = cluster.bridges[3]
    os.kill(cluster.raylet_pid(3), signal.SIGTERM)
    wait_until("the bridge to leave", lambda: bridge.poll() is not None)
    cluster.wait_left_in_order(2)
    cluster.stop_bridge(3)
    cluster.join([3])
    cluster.start_bridge(3)
    cluster.wait_all_ok()
    assert lost(cluster) == []


# The last one: it costs the cluster a node.
@pytest.mark.timing
def test_a_killed_raylet_takes_its_bridge_and_engine_along(cluster):
    gone = cluster.lab.address(3)
    raylet, engine, bridge = cluster.raylet_pid(3), cluster.engine_pid(3), cluster.bridges[3]
    with pace.within(5, "bridge and engine leave with their raylet"):
        os.kill(raylet, signal.SIGKILL)
        wait_until("the bridge to leave", lambda: bridge.poll() is not None)
        wait_until("the engine to leave", lambda: not os.path.exists(f"/proc/{engine}"))
    assert bridge.returncode == 0

    def edges_of_the_gone():
        return [e for pair, e in cluster.edges().items() if gone in pair]

    # The others notice within interval and timeout; from then on no edge of it is ever shown as OK again, until Ray itself has
    # noticed (some 13 s) and the node is gone from the list.
    with pace.within(5, "no good edge of the gone node"):
        wait_until("no good edge", lambda: all(e["state"] != "OK" for e in edges_of_the_gone()))

    def ray_has_noticed():
        edges = edges_of_the_gone()
        assert all(e["state"] != "OK" for e in edges)
        return not edges

    wait_until("Ray to notice that a raylet died", ray_has_noticed)
    _, reports = reports_as_ray_reads_them(cluster)
    assert len(reports) == 2, "the keys of the dead are deleted"
    assert all(len(r["edges"]) == 1 and r["edges"][0]["state"] == "OK" for r in reports.values())
    wait_shown("2/2 reachable, 1 LOST, 2 of 2 edges OK", cluster.status_run, code=1)
    assert lost(cluster) == [gone]
    assert "health check" in cluster.status()["lost_nodes"][0]["reason"].lower()
    # A new node of its address takes its place.
    cluster.stop_bridge(3)
    cluster.join([3])
    cluster.start_bridge(3)
    cluster.wait_all_ok()
    wait_until("nobody to be lost", lambda: lost(cluster) == [])
