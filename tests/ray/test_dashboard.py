"""netsense on the dashboard of a real Ray, and in its `ray` command: of the version of tests/requirements.txt, and of the newest.

NETSENSE_RAY and NETSENSE_RAY_NEWEST are the paths of the two `ray` commands. Nothing is written there: each cluster runs from an overlay.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pace
import pytest
from cluster import wait_shown, wait_until
from conftest import skip_or_fail
from dashboard_cluster import TOPOLOGY, DashboardCluster
from netlab import NetLab
from ray_overlay import ray_overlay, site_packages

NEWEST = Path(__file__).parents[2] / "build/venv-newest/bin/ray"
SECRET = "ray's own token"

# What may be wrong with what netsense brings, and runs in Ray's processes. Whatever it is, Ray must go on.
BROKEN_WHEN_LOADED = {
    "does not compile": "def answer(:\n",
    "raises": "raise RuntimeError('broken on purpose')\n",
    "needs what is not there": "import no_such_module\n",
    "exits": "import sys\nsys.exit(3)\n",
}
BROKEN_WHEN_ASKED = {
    "raises": "async def answer(module, request):\n    raise RuntimeError('broken on purpose')\n",
    "exits": "import sys\nasync def answer(module, request):\n    sys.exit(3)\n",
    "answers nonsense": "async def answer(module, request):\n    return 42\n",
    "ends the process": "import os\nasync def answer(module, request):\n    os._exit(3)\n",
}


@pytest.fixture(scope="module", params=["pinned", "newest"])
def ray(request, directory):
    path = os.environ.get("NETSENSE_RAY", "") if request.param == "pinned" else os.environ.get("NETSENSE_RAY_NEWEST", NEWEST)
    if not os.path.exists(path):
        skip_or_fail(f"no {request.param} Ray at '{path}': `make test` makes one")
    return ray_overlay(path, directory / request.param)


def what_answers(ray):
    return site_packages(ray) / "netsense_ray/dashboard.py"


@pytest.fixture(scope="module")
def cluster(namespaces, bin_dir, directory, ray):
    """Two nodes; their Ray was started with a netsense that ends the process which loads it."""
    good = what_answers(ray).read_text()
    what_answers(ray).write_text(BROKEN_WHEN_LOADED["exits"])
    with NetLab(2) as lab, DashboardCluster(lab, bin_dir, directory, ray) as cluster:
        cluster.good = good
        yield cluster


@pytest.mark.parametrize("absent", ["ray", "aiohttp", "ray.dashboard.subprocesses.module", "ray.dashboard.subprocesses.routes", "nothing"])
def test_what_every_agent_imports_fails_on_no_ray(ray, absent):
    """Also where another package has taken our path, which the second of two imports of one file shows."""
    shim = site_packages(ray) / "ray/dashboard/modules/netsense/__init__.py"
    done = subprocess.run(
        [
            ray.parent / "python",
            "-c",
            f"""
import importlib.util, sys
sys.modules[{absent!r}] = None
for name in ("one", "two"):
    spec = importlib.util.spec_from_file_location(name, {str(shim)!r})
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    print(hasattr(module, "NetworkHead"), end=" ")
print([name for name in sys.modules if "netsense" in name])
""",
        ],
        capture_output=True,
        text=True,
        timeout=pace.hangs_after(),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ("True False []" if absent == "nothing" else "False False []")


def test_ray_goes_on_whatever_is_wrong_with_netsense(cluster, ray):
    for i in (1, 2):  # the agents import Ray's modules before they listen
        ask = ["curl", "-s", "-m", "5", "http://127.0.0.1:52365/api/local_raylet_healthz"]
        wait_until(f"the agent of node {i}", lambda: cluster.lab.run(i, ask).stdout == "success", every=0.2)
    before = cluster.ray_processes()
    assert all(len(pids) == 1 for pids in before.values()), before

    for name, source in BROKEN_WHEN_LOADED.items():
        what_answers(ray).write_text(source)
        code, message = cluster.refused()
        assert code == 500 and "install ray-netsense anew" in message, name
    for name, source in BROKEN_WHEN_ASKED.items():
        what_answers(ray).write_text(source)
        cluster.restart_module()
        code, body, _ = cluster.ask(TOPOLOGY)
        assert code == 500, (name, body)
    assert cluster.ask("/api/version")[0] == 200
    assert cluster.ray_processes() == before, "nothing of Ray's ended"

    started = cluster.modules_started()  # the last one ended its process
    what_answers(ray).write_text(cluster.good)
    wait_until("Ray to start the module anew", lambda: cluster.modules_started() > started, every=0.1)
    assert cluster.refused()[0] == 503, "repaired, without a restart of Ray"
    assert cluster.ray_processes() == before


def test_without_a_bridge_it_says_what_to_do(cluster):
    for path in (TOPOLOGY, "/api/v0/network_matrix", "/api/v0/network_edge?src=a&dst=b", "/api/v0/network_node?node=a", "/network/"):
        code, message = cluster.refused(path)
        assert code == 503 and "python -m netsense_ray up" in message, path


def at_rest(payload):
    """What does not change from one moment to the next."""
    nodes = {node["node_id"]: (node["address"], node["hostname"], node["is_head"], node["state"], sorted(node)) for node in payload["nodes"]}
    edges = {(e["src_node_id"], e["dst_node_id"], e["transport"]): (e["state"], e["reason"], sorted(e)) for e in payload["edges"]}
    return sorted(payload), nodes, edges


def test_it_answers_what_the_bridge_of_the_head_answers(cluster):
    token = cluster.session / "netsense/token"  # where `netsense_ray.up` leaves it for the dashboard
    token.parent.mkdir(0o700)
    token.touch(0o600)
    token.write_text("not this one\n")
    for i in (1, 2):
        cluster.start_bridge(i)
    wait_until("a bridge that does not know this token", lambda: "refuses the token" in cluster.refused()[1], every=0.1)
    assert cluster.refused()[0] == 503, "the asker has done nothing wrong"

    token.write_text(cluster.tokens[1] + "\n")
    wait_until("two good edges", lambda: json.loads(cluster.ask(TOPOLOGY)[1])["data"]["result"]["num_ok_edges"] == 2, every=0.2)
    code, body, head = cluster.ask(TOPOLOGY)
    answer = json.loads(body)
    assert code == 200 and answer["result"] is True and "application/json" in head
    own = json.loads(cluster.http_get(TOPOLOGY, headers=cluster.bearer())[1])
    assert sorted(answer) == sorted(own) and sorted(answer["data"]) == sorted(own["data"]) == ["result"]
    payload = answer["data"]["result"]
    assert at_rest(payload) == at_rest(own["data"]["result"])
    assert payload["num_nodes"] == 2 and payload["num_ok_edges"] == 2
    assert abs(payload["generated_at_ms"] - time.time() * 1000) < 5000 * pace.scale()
    assert all(edge["rtt_p50_ms"] > 0 for edge in payload["edges"])

    src, dst = (node["node_id"] for node in payload["nodes"])
    edge = json.loads(cluster.ask(f"/api/v0/network_edge?src={src}&dst={dst}")[1])["data"]["result"]
    assert [(e["src_node_id"], e["dst_node_id"]) for e in edge["edges"]] == [(src, dst)]
    node = json.loads(cluster.ask(f"/api/v0/network_node?node={src}")[1])["data"]["result"]
    assert node["node"]["node_id"] == src
    assert cluster.refused("/api/v0/network_node?node=" + "0" * 56)[0] == 404
    assert cluster.refused("/api/v0/network_node?node=no%20such")[0] == 400


def test_binary_answers_pass_unchanged(cluster):
    saved = cluster.directory / "matrix"
    url = f"http://{cluster.lab.address(1)}:8265/api/v0/network_matrix?layer=0"
    assert cluster.lab.run(1, ["curl", "-s", "-f", "-o", saved, url]).returncode == 0
    document = saved.read_bytes()
    size = int.from_bytes(document[4:8], "little")
    header = json.loads(document[8 : 8 + size])
    assert document[:4] == b"NSM1" and len(header["nodes"]) == 2
    (states,) = [column for column in header["layers"][0]["columns"] if column["name"] == "state"]
    ok = header["states"].index("OK")
    assert list(document[states["offset"] : states["offset"] + 4]) == [255, ok, ok, 255]


def test_the_page_stands_below_network(cluster):
    code, _, head = cluster.ask("/network")
    assert code == 302 and "\nLocation: network/\n" in head
    for file in ("", "page.js", "page.css"):
        own_code, own = cluster.http_get(f"/{file}")
        code, body, head = cluster.ask(f"/network/{file}")
        assert code == own_code == 200 and body == own, file
        assert "Content-Security-Policy: default-src 'none'" in head
    assert "<html" in cluster.ask("/network/")[1]
    code, body, _ = cluster.ask("/network" + TOPOLOGY)  # as the page asks, relative to where it stands
    assert code == 200 and json.loads(body)["data"]["result"]["num_nodes"] == 2


def ray_network(cluster, ray, *arguments):
    environment = cluster.ray_environment | {"NETSENSE_BIN": str(cluster.bin)}
    return cluster.lab.run(1, [ray, "network", *arguments], env=environment)


def netsense(cluster, ray, command):
    done = cluster.lab.run(1, [ray.parent / "python", "-m", "netsense_ray", command], env=cluster.ray_environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ray_network_is_there_when_it_was_asked_for(cluster, ray):
    assert "No such command 'network'" in ray_network(cluster, ray, "status").stderr
    before = sorted(site_packages(ray).iterdir())
    assert "wrote" in netsense(cluster, ray, "enable-cli")
    assert "already" in netsense(cluster, ray, "enable-cli")
    assert len(sorted(site_packages(ray).iterdir())) == len(before) + 1, "one file, and nothing else"

    wait_shown("2/2 reachable, 2 of 2 edges OK", lambda: ray_network(cluster, ray, "status"))
    rows = ray_network(cluster, ray, "topology", "--json")
    assert json.loads(rows.stdout)["num_ok_edges"] == 2
    assert ray_network(cluster, ray, "status", "--no-such-flag").returncode == 2
    assert "network" in cluster.lab.run(1, [ray, "--help"], env=cluster.ray_environment).stdout
    assert cluster.lab.run(1, [ray, "status"], env=cluster.ray_environment).returncode == 0

    # Only the file is left behind, as by `pip uninstall`: Ray and Python do not mind, and have nothing to say.
    away = site_packages(ray) / "netsense_ray.away"
    (site_packages(ray) / "netsense_ray").rename(away)
    try:
        for command in ([ray, "--version"], [ray.parent / "python", "-c", "print('python')"]):
            done = cluster.lab.run(1, command, env=cluster.ray_environment)
            assert done.returncode == 0 and done.stdout and not done.stderr, (command, done.stderr)
    finally:
        away.rename(site_packages(ray) / "netsense_ray")

    assert "removed" in netsense(cluster, ray, "disable-cli")
    assert "was not there" in netsense(cluster, ray, "disable-cli")
    assert "No such command 'network'" in ray_network(cluster, ray, "status").stderr
    assert sorted(site_packages(ray).iterdir()) == before


def test_a_place_that_is_read_only_is_named(ray):
    site = site_packages(ray)
    mount = f"mount --bind {site} {site} && mount -o remount,bind,ro {site}"
    for command in ("enable-cli", "disable-cli"):
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", f"{mount} && exec {ray.parent}/python -m netsense_ray {command}"], capture_output=True, text=True
        )
        assert done.returncode == 3 and str(site) in done.stderr and "Read-only" in done.stderr, (command, done.stderr)


# After this one the head's bridge is gone.
@pytest.mark.timing
def test_a_bridge_that_is_silent_or_gone_is_told_in_time(cluster, ray):
    if 1 not in cluster.bridges:  # this test is run alone
        what_answers(ray).write_text(cluster.good)
        token_file = cluster.session / "netsense/token"
        token_file.parent.mkdir()
        token_file.write_text(cluster.tokens[1] + "\n")
        cluster.start_bridge(1)
    wait_until("the bridge's answers", lambda: cluster.ask(TOPOLOGY)[0] == 200, every=0.1)
    bridge = cluster.bridges[1].pid
    os.kill(bridge, signal.SIGSTOP)
    try:
        with pace.within(7, "the answer for a silent bridge") as witness:  # which is waited for for 5 s
            code, message = cluster.refused()
    finally:
        os.kill(bridge, signal.SIGCONT)
    assert code == 503 and "does not answer" in message and "python -m netsense_ray" in message
    assert witness.elapsed > 4
    wait_until("the bridge's answers again", lambda: cluster.ask(TOPOLOGY)[0] == 200, every=0.1)

    cluster.stop_bridge(1, signal.SIGKILL)  # no farewell: its key still names it
    code, message = cluster.refused()
    assert code == 503 and "does not answer" in message and "python -m netsense_ray" in message


@pytest.fixture(scope="module")
def guarded(namespaces, bin_dir, directory, ray):
    """One node, whose Ray asks for a token."""
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": SECRET}
    folder = directory / "guarded"
    folder.mkdir(exist_ok=True)
    options = {"ray_environment": environment, "tokens": {1: SECRET}, "gcs_port": 6380}
    with NetLab(1) as lab, DashboardCluster(lab, bin_dir, folder, ray, **options) as cluster:
        yield cluster


def test_rays_token_guards_it_too(guarded):
    paths = (TOPOLOGY, "/api/v0/network_matrix", "/api/v0/network_edge", "/api/v0/network_node", "/network", "/network/", "/network/x")
    strangers = {401: {}, 403: {"Authorization": "Bearer another"}}

    def refuses_strangers():
        for path in paths:
            for code, headers in strangers.items():
                assert guarded.ask(path, headers)[0] == code, path

    refuses_strangers()
    assert guarded.refused(headers=guarded.bearer())[0] == 503, "no bridge yet"
    guarded.start_bridge(1)
    wait_until("the bridge", lambda: guarded.ask(TOPOLOGY, guarded.bearer())[0] == 200, every=0.1)
    payload = json.loads(guarded.ask(TOPOLOGY, guarded.bearer())[1])["data"]["result"]
    assert [node["address"] for node in payload["nodes"]] == [guarded.lab.address(1)]
    refuses_strangers()
