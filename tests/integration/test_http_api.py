"""What the head's bridge says of a real cluster besides its topology: the matrix, one edge with its history, one node with its inventory, and the page."""

import json
import signal
import sys
from pathlib import Path

import pace
import pytest
from cluster import HTTP_PORT, EmbeddedCluster, wait_shown, wait_until
from netlab import NetLab

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from matrix_document import Matrix


@pytest.fixture(scope="module")
def cluster(namespaces, bin_dir, directory):
    with NetLab(3) as lab, EmbeddedCluster(lab, bin_dir, directory) as cluster:
        cluster.wait_all_ok()
        yield cluster


def result(cluster, path):
    code, body = cluster.http_get(f"/api/v0/{path}", i=2, headers=cluster.bearer())
    return json.loads(body)["data"]["result"] if code == 200 else None


def node_ids(cluster):
    """By number."""
    ids = {node["address"]: node["node_id"] for node in cluster.status()["nodes"]}
    return {i: ids[cluster.lab.address(i)] for i in range(1, cluster.lab.nodes + 1)}


def matrix(cluster):
    target = cluster.directory / "matrix"
    cluster.lab.run(2, ["curl", "-s", "-m", "5", "-o", target, "-H", f"Authorization: {cluster.bearer()['Authorization']}",
                        f"http://{cluster.lab.address(1)}:{HTTP_PORT}/api/v0/network_matrix?layer=0"])  # fmt: skip
    return Matrix(target.read_bytes())


def test_the_matrix_says_what_the_topology_says(cluster):
    def all_measured():
        seen = matrix(cluster)
        return seen if all(state == "OK" for _, _, state, _, _ in seen.edges("state")) else None

    seen = wait_until("a matrix as good as the status", all_measured)
    assert [node["node_id"] for node in seen.nodes] == sorted(node_ids(cluster).values())
    assert [(layer["transport"], layer["fabric"], layer["rail"]) for layer in seen.header["layers"]] == [("tcp", "ethernet", None)]
    edges = list(seen.edges("rtt_p50_ms"))
    assert len(edges) == 6
    for src, dst, state, reason, rtt_p50_ms in edges:
        assert src != dst and state == "OK" and reason == "" and 0 < rtt_p50_ms < 50 * pace.scale()


def test_an_edge_has_a_history(cluster):
    ids = node_ids(cluster)

    def remembered():
        seen = result(cluster, f"network_edge?src={ids[1]}&dst={ids[3]}")
        return seen if seen and seen["history"] and seen["history"][0]["points"][-1][1] else None

    seen = wait_until("a point", remembered)
    (edge,) = seen["edges"]
    assert edge["src_node_id"] == ids[1] and edge["dst_node_id"] == ids[3] and edge["state"] == "OK"
    (line,) = seen["history"]
    assert line["transport"] == "tcp" and line["fabric"] == edge["fabric"] and line["step_ms"] == 10_000
    ts_ms, rtt_p50_ms, _, _ = line["points"][-1]
    assert abs(ts_ms - seen["generated_at_ms"]) <= 10_000 + 1000 * pace.scale() and 0 < rtt_p50_ms < 50 * pace.scale()


def inventory_of(cluster, node_id):
    seen = result(cluster, f"network_node?node={node_id}")
    return seen["inventory"] if seen else None


def test_a_node_has_an_inventory(cluster):
    ids = node_ids(cluster)
    inventory = wait_until("an inventory", lambda: inventory_of(cluster, ids[3]))
    assert "e0" in [port["name"] for port in inventory["ports"]]
    assert set(inventory) == {"ports", "gpus", "numa_nodes", "inventory_notes"}
    node = result(cluster, f"network_node?node={ids[3]}")["node"]
    assert node["node_id"] == ids[3] and node["state"] == "OK"


def test_the_page_is_there_for_everybody(cluster):
    code, page = cluster.http_get("/", i=3)
    assert code == 200 and "<script" in page and "page.js" in page
    assert cluster.http_get("/page.js", i=3)[0] == 200
    assert cluster.http_get("/", i=3, host=cluster.lab.address(2))[0] == 401, "the page is the head's"


def test_a_gcs_that_forgot_everything_is_told_the_inventory_again(cluster):
    ids = node_ids(cluster)
    cluster.stop_bridge(1, signal.SIGKILL)
    cluster.start_bridge(1)
    wait_until("the inventory of node 3", lambda: inventory_of(cluster, ids[3]))
    cluster.wait_all_ok()


def test_a_node_that_leaves_is_no_node_anymore(cluster):
    ids = node_ids(cluster)
    assert cluster.stop_bridge(3) == 0
    wait_until("the node's end", lambda: cluster.http_get(f"/api/v0/network_node?node={ids[3]}", headers=cluster.bearer())[0] == 404)
    assert cluster.http_get(f"/api/v0/network_edge?src={ids[3]}&dst={ids[1]}", headers=cluster.bearer())[0] == 404
    wait_until("two nodes in the matrix", lambda: len(matrix(cluster).nodes) == 2)
    wait_until("two nodes in the topology, which is made once a second", lambda: len(cluster.status()["nodes"]) == 2)


# The last one: this head's API is where no other node would send the token to.
def test_status_asks_the_head_and_without_it_reads_until_every_report_has_changed(cluster):
    cluster.start_bridge(3)
    cluster.wait_all_ok()
    asked = cluster.status_run(2)
    assert asked.returncode == 0 and asked.stderr == "", asked.stdout + asked.stderr
    assert cluster.stop_bridge(1) == 0
    cluster.start_bridge(1, ["--http-listen", f"127.0.0.1:{HTTP_PORT}"])
    cluster.wait_all_ok()
    read = wait_shown("3/3 reachable, 6 of 6 edges OK", lambda: cluster.status_run(2))
    assert "read from the GCS instead" in read.stderr
