"""Nodes that end without saying so: LOST, wherever a person or a program looks, until they are back, replaced or forgotten."""

import json
import os
import signal

import pytest
from cluster import EmbeddedCluster, wait_shown, wait_until
from netlab import NetLab


@pytest.fixture(scope="module")
def cluster(namespaces, bin_dir, directory):
    with NetLab(3) as lab, EmbeddedCluster(lab, bin_dir, directory) as cluster:
        cluster.wait_all_ok()
        yield cluster


@pytest.fixture(autouse=True)
def good_before_and_after_each(cluster):
    cluster.wait_all_ok()
    assert cluster.status_run().returncode == 0
    yield
    if 3 not in cluster.bridges:
        cluster.start_bridge(3)
    cluster.wait_all_ok()


def kill(cluster, i):
    """As a node that loses its power."""
    engine = cluster.engine_pid(i)
    cluster.bridges[i].kill()
    os.kill(engine, signal.SIGKILL)
    cluster.stop_bridge(i, signal.SIGKILL)


def lost(cluster):
    return [node["address"] for node in (cluster.status() or {}).get("lost_nodes", [])]


def wait_lost(cluster, i):
    """Never between the two is it a good cluster of two nodes."""

    def noticed():
        shown = cluster.status_run()
        assert shown.returncode == 1, f"a dead node, and all is well?\n{shown.stdout}"
        return "1 LOST" in shown.stdout

    wait_until(f"node {i} to be LOST", noticed)
    assert lost(cluster) == [cluster.lab.address(i)]


def command(cluster, *words):
    return cluster.lab.run(
        1,
        [cluster.bin / "netsense-bridge", *words, "--gcs-address", cluster.gcs_address, *cluster.gcs_token_flags(1)],
        env=cluster.environment,
    )


def dead_node(cluster, i=3):
    """Killed, and no edge to it good any more: what follows is about its trace."""
    node_id = next(n["node_id"] for n in cluster.status()["nodes"] if n["address"] == cluster.lab.address(i))
    kill(cluster, i)
    wait_until("nobody to reach it", lambda: cluster.status_run().returncode == 1)
    wait_lost(cluster, i)
    return node_id


def test_a_dead_node_leaves_a_trace_everywhere(cluster):
    node_id = dead_node(cluster)
    shown = wait_shown("2/2 reachable, 1 LOST, 2 of 2 edges OK", cluster.status_run, code=1)
    (line,) = [line for line in shown.stdout.splitlines() if "LOST for" in line]
    assert cluster.lab.address(3) in line and node_id[:8] in line and "no heartbeat" in line, line

    for path in ("network_topology", "network_topology?edges=none"):
        code, body = cluster.http_get(f"/api/v0/{path}", i=2, headers=cluster.bearer())
        payload = json.loads(body)["data"]["result"]
        (told,) = payload["lost_nodes"]
        assert code == 200 and payload["num_lost_nodes"] == 1 and payload["num_nodes"] == 2
        assert told["node_id"] == node_id and told["address"] == cluster.lab.address(3) and told["hostname"]
        assert 0 < told["lost_since_ms"] <= payload["generated_at_ms"] and told["lost_age_ms"] >= 0 and told["reason"]

    page = cluster.http_get("/metrics", headers=cluster.bearer())[1].splitlines()
    assert "ray_network_sense_cluster_lost_nodes 1" in page
    (reachable,) = [line for line in page if line.startswith("ray_network_sense_cluster_node_reachable") and node_id in line]
    assert reachable.endswith("} 0") and cluster.lab.address(3) in reachable
    assert any(line.startswith("ray_network_sense_cluster_node_lost_age_seconds") and node_id in line for line in page)
    assert "is LOST: no heartbeat" in cluster.log(1)


def test_it_is_kept_over_a_restart_of_the_head_and_a_new_node_of_its_address_replaces_it(cluster):
    dead_node(cluster)
    cluster.stop_bridge(1, signal.SIGKILL)
    cluster.start_bridge(1)
    wait_until("the two that live", lambda: (cluster.status() or {}).get("num_ok_edges") == 2)
    wait_lost(cluster, 3)
    cluster.start_bridge(3)
    wait_until("nobody to be lost", lambda: cluster.status_run().returncode == 0)
    assert lost(cluster) == []


def test_a_node_that_dies_while_there_is_no_head_is_lost(cluster):
    cluster.stop_bridge(1, signal.SIGKILL)
    kill(cluster, 3)
    cluster.start_bridge(1)
    wait_until("a GCS", lambda: cluster.status() is not None)
    wait_lost(cluster, 3)


def test_a_node_is_forgotten_on_demand(cluster):
    node_id = dead_node(cluster)
    wrong = command(cluster, "forget", "nobody")
    assert wrong.returncode == 2 and node_id in wrong.stderr and "no lost nodes are called 'nobody'" in wrong.stderr
    done = command(cluster, "forget", node_id[:8])
    assert done.returncode == 0, done.stderr
    wait_until("a good cluster of two", lambda: cluster.status_run().returncode == 0)
    fewer = cluster.status_run(1, "--expect-nodes", "3")
    assert fewer.returncode == 1 and "3 nodes are expected (--expect-nodes), and 2 alive" in fewer.stdout
    assert cluster.status_run(1, "--expect-nodes", "2").returncode == 0
    none = command(cluster, "forget", node_id)
    assert none.returncode == 2 and "no node is lost" in none.stderr
    # Over a restart, too.
    cluster.stop_bridge(1, signal.SIGKILL)
    cluster.start_bridge(1)
    wait_until("a good cluster of two", lambda: (s := cluster.status()) and s["num_ok_edges"] == 2 and cluster.status_run().returncode == 0)
    assert lost(cluster) == []


def test_a_node_that_is_stopped_in_order_is_not_lost(cluster):
    assert cluster.stop_bridge(3) == 0
    cluster.wait_left_in_order(2)


def test_a_pulled_cable(cluster):
    cluster.lab.cut(3)
    try:
        wait_until("nobody to reach it", lambda: cluster.status_run().returncode == 1)
        wait_lost(cluster, 3)
    finally:
        cluster.lab.mend(3)
    cluster.wait_all_ok()
    assert lost(cluster) == [], "it is back under its own id"
