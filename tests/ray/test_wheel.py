"""From nothing to a matrix: the wheel in a clean environment, a real Ray, `python -m netsense_ray up`; with two versions of Ray."""

import json
import os
import signal
import subprocess

import pace
import pytest
from cluster import wait_shown, wait_until
from ray_overlay import ray_alone
from wheel_cluster import RAYS, Hosts, WheelCluster, install_wheel, installed_ray

# Rows as a program gets them, from within one process that called ray.init; then `up` once more, with other settings.
PROGRAM = """
import dataclasses, json, ray, netsense_ray
ray.init(log_to_driver=False, logging_level="ERROR")
seen = netsense_ray.topology()
assert isinstance(seen, netsense_ray.Topology) and all(isinstance(edge, netsense_ray.Edge) for edge in seen.edges)
rows = netsense_ray.up(settings={"tick_ms": 500, "network_sense_bw_slot_ms": 200, "rtt_ttl_ms": 3000})
assert ray.is_initialized()
ids = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes()}
print("@@" + json.dumps([dataclasses.asdict(seen), [dataclasses.asdict(row) for row in rows], ids]))
"""

# A kernel of Jupyter, in whose thread an event loop runs all the time.
# A figure lives for three rounds of this cluster's short ones: on a busy machine it may be gone at any moment.
NOTEBOOK = """
RANK_ONCE_MEASURED = '''
import time
while True:
    try:
        print('edges', len(n.topology().edges), 'ranked', len(n.rank_nodes(2).node_ids))
        break
    except n.NetsenseError as error:
        if 'bandwidth is not known' not in str(error): raise
        time.sleep(0.5)
'''
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel()
for cell in ("import asyncio, ray, netsense_ray as n; print('loop', asyncio.get_running_loop().is_running())",
             "print('reporting', sum(row.reporting for row in n.up()))",
             RANK_ONCE_MEASURED):
    reply = client.execute_interactive(cell, timeout=600)
    assert reply["content"]["status"] == "ok", reply["content"]
client.stop_channels()
manager.shutdown_kernel()
"""

LEFT = """
import json, ray
from ray.experimental import internal_kv
ray.init(log_to_driver=False, logging_level="ERROR")
keys = [key.decode() for key in internal_kv._internal_kv_list(b"", namespace=b"network_sense")]
print("@@" + json.dumps([keys, ray.util.list_named_actors(all_namespaces=True)]))
"""


def printed(output):
    return json.loads(output.split("@@")[1])


@pytest.fixture(scope="module", params=["pinned", "newest"])
def cluster(request, namespaces, directory):
    ray = installed_ray(request.param, directory)
    here = directory / f"{request.param}-lab"
    here.mkdir()
    with Hosts(4, here) as lab, WheelCluster(lab, here, ray, nodes=3) as cluster:
        cluster.which = request.param
        yield cluster


def test_the_programs_bring_what_they_link(cluster):
    of_every_linux = ("linux-vdso", "ld-linux", "libc.", "libm.", "libz.", "libstdc++", "libgcc_s")  # what manylinux counts on
    for program in ("netsense-engine", "netsense-bridge", "netsense-bench"):
        for line in subprocess.run(["ldd", cluster.bin / program], capture_output=True, text=True).stdout.splitlines():
            name = os.path.basename(line.split()[0])
            assert "ray_netsense.libs" in line or name.startswith(of_every_linux), line


def test_a_host_without_ucx_and_verbs_says_so(cluster):
    libraries = "/usr/lib/*/libucp.so.*.* /usr/lib/*/libibverbs.so.*.*"
    script = f"for found in {libraries}; do mount --bind /dev/null $found || exit 9; done; exec {cluster.bin}/netsense-engine --list-transports"
    listed = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    assert "tcp: available" in listed.stdout and "grpc: available" in listed.stdout
    assert "ucx: not available: " in listed.stdout and "a library that it needs is missing" in listed.stdout
    assert "verbs: not available: library missing" in listed.stdout


def test_up_gives_a_matrix(cluster, capsys):
    version = subprocess.run([cluster.ray, "--version"], capture_output=True, text=True).stdout.strip()
    with capsys.disabled():
        print(f"\n{version}")
    done = cluster.netsense(2, "up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "netsense runs on 3 of 3 nodes" in done.stdout and done.stdout.count("  reports") == 3
    wait_shown("3/3 reachable, 6 of 6 edges OK", lambda: cluster.netsense(3, "status"))
    wait_until("bandwidths", lambda: all(edge["bw_p50_mbps"] for edge in cluster.edges().values()), every=0.5)


def test_rows_are_typed_and_up_again_changes_settings(cluster):
    seen, rows, ids = printed(cluster.python(1, PROGRAM))
    assert {node["node_id"]: node["address"] for node in seen["nodes"]} == ids
    assert [node["address"] for node in seen["nodes"] if node["is_head"]] == [cluster.lab.address(1)]
    pairs = {(edge["src_node_id"], edge["dst_node_id"]) for edge in seen["edges"]}
    assert pairs == {(a, b) for a in ids for b in ids if a != b} and len(seen["edges"]) == 6
    for edge in seen["edges"]:
        assert edge["state"] == "OK" and edge["transport"] == "tcp" and edge["rail"] is None
        assert 0.001 < edge["rtt_p50_ms"] < 100 * pace.scale() and 10 / pace.scale() < edge["bw_p50_mbps"] < 1_000_000
    assert {row["node_id"]: row["reporting"] for row in rows} == dict.fromkeys(ids, True)
    config = json.loads(cluster.lab.run(1, [cluster.bin / "netsense-bridge", "config", "--json"], env=cluster.environment).stdout)
    values = {setting["name"]: setting["value"] for setting in config["settings"]}
    assert values["network_sense_tick_ms"] == "500" and values["network_sense_bw_enabled"] == "true"
    ranked = cluster.netsense(2, "rank", "3", "--json")
    assert ranked.returncode == 0 and sorted(json.loads(ranked.stdout)["node_ids"]) == sorted(ids)


def test_a_wrong_setting_is_told_and_changes_nothing(cluster):
    before = cluster.processes()
    done = cluster.netsense(1, "up", "--set", "tick_ms=7", "--disabled")
    assert done.returncode == 2 and "network_sense_tick_ms" in done.stderr and "Traceback" not in done.stderr
    assert cluster.processes() == before
    wait_shown("6 of 6 edges OK", lambda: cluster.netsense(1, "status"))
    forgotten = cluster.netsense(1, "forget", "10.77.0.9")
    assert forgotten.returncode == 2 and "no node is lost" in forgotten.stderr


def test_the_dashboard_shows_it_and_the_api_asks_for_the_token(cluster):
    def on_rays_dashboard():
        done = cluster.lab.run(2, ["curl", "-s", f"http://{cluster.lab.address(1)}:8265/api/v0/network_topology"])
        return json.loads(done.stdout)["data"]["result"] if '"result": true' in done.stdout or '"result":true' in done.stdout else None

    assert len(wait_until("the dashboard's answer", on_rays_dashboard)["edges"]) == 6
    secret = cluster.token_path().read_text().strip()
    assert len(secret) == 64 and cluster.token_path().stat().st_mode & 0o777 == 0o600
    assert cluster.http_get("/api/v0/network_topology", i=2)[0] == 401
    assert cluster.http_get("/api/v0/network_topology", i=2, headers={"Authorization": "Bearer guessed"})[0] == 403
    assert cluster.http_get("/api/v0/network_topology", i=2, headers={"Authorization": f"Bearer {secret}"})[0] == 200


def test_it_works_in_a_job(cluster):
    code = "import netsense_ray as n; print(sum(row.reporting for row in n.up()), len(n.topology().edges))"
    entrypoint = [cluster.ray.parent / "python", "-c", code]
    command = [cluster.ray, "job", "submit", "--address", f"http://{cluster.lab.address(1)}:8265", "--", *entrypoint]
    done = cluster.lab.run(1, command, env=cluster.ray_environment)
    assert done.returncode == 0 and "\n3 6\n" in done.stdout, done.stdout + done.stderr


def test_it_works_in_a_notebook(cluster):
    done = cluster.python(1, NOTEBOOK)
    assert "loop True" in done and "reporting 3" in done and "edges 6 ranked 2" in done, done


def parent(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])


def another_bridge(cluster, i, old):
    def found():
        pids = cluster.pids_of(i, "netsense-bridge")
        return pids[0] if len(pids) == 1 and pids[0] != old else None

    return wait_until(f"another bridge than {old} on node {i}", found)


def test_what_dies_comes_back(cluster):
    (bridge,) = cluster.pids_of(2, "netsense-bridge")
    actor = parent(bridge)
    os.kill(bridge, signal.SIGKILL)
    second = another_bridge(cluster, 2, bridge)
    assert parent(second) == actor
    os.kill(actor, signal.SIGKILL)  # its bridge goes with it, and Ray starts the actor again
    third = another_bridge(cluster, 2, second)
    assert parent(third) != actor
    cluster.wait_all_ok(nodes=3)


def test_a_new_node_is_included(cluster):
    """Its Python lacks the package at first: that is told, and tried again."""
    with_wheel, cluster.ray = cluster.ray, ray_alone(RAYS[cluster.which], cluster.directory / "bare")
    cluster.join([4])
    bare, cluster.ray = cluster.ray, with_wheel
    done = cluster.netsense(1, "up", "--set", "tick_ms=500", "--timeout", pace.hangs_after(60))
    assert done.returncode == 1 and "netsense runs on 3 of 4 nodes" in done.stdout, done.stdout + done.stderr
    assert f"{cluster.lab.address(4)} " in done.stderr and "ray-netsense is not installed" in done.stderr
    install_wheel(bare)
    cluster.wait_all_ok(nodes=4)
    wait_shown("4/4 reachable, 12 of 12 edges OK", lambda: cluster.netsense(1, "status"))


def test_down_leaves_nothing(cluster):
    done = cluster.netsense(3, "down")
    assert done.returncode == 0 and "netsense ended on 4 nodes" in done.stdout, done.stdout + done.stderr
    assert cluster.processes() == {}
    assert printed(cluster.python(1, LEFT)) == [[], []]
    assert not any(cluster.token_path(i).parent.exists() for i in range(1, 5))
    again = cluster.netsense(1, "down")
    assert again.returncode == 0 and "did not run" in again.stdout
