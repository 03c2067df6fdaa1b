"""Nodes with two rails beside their management network: each rail is measured on its own links, and on no other."""

import json
import subprocess

import pytest
from cluster import EmbeddedCluster, clean_environment, wait_until
from netlab import NetLab

SETTINGS = {"rails": "r0,r1", "transports": "tcp,grpc,ucx", "bw_enabled": "true", "bw_slot_ms": "150", "bw_payload_bytes": str(1 << 20)}


@pytest.fixture(scope="module")
def lab(namespaces):
    with NetLab(2, rails=2) as made:
        yield made


@pytest.fixture(scope="module")
def cluster(lab, bin_dir, directory):
    with EmbeddedCluster(lab, bin_dir, directory, settings=SETTINGS) as running:
        yield running


@pytest.fixture
def serving(lab, bin_dir, directory):
    """`netsense-bench serve` on rail 0 of node 2; its port."""
    process = lab.popen(
        2,
        [bin_dir / "netsense-bench", "serve", "--listen", f"{lab.rail_address(2, 0)}:0", "--interface", "r0", "--insecure", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=clean_environment(directory),
    )
    yield json.loads(process.stdout.readline())["port"]
    process.kill()
    process.communicate()


def traffic(lab):
    return {(i, device): lab.packets(i, device) for i in (1, 2) for device in ("e0", "r0", "r1")}


def moved(before, after):
    """Devices over which more went than the odd ARP or multicast listener report."""
    return {key[1] for key in before if any(b - a > 10 for a, b in zip(before[key], after[key], strict=True))}


# The kernel's own routes lead astray in both directions: only who is tied to its port gets through on it.
@pytest.fixture
def wrong_routes(lab):
    lab.route(1, "add", f"{lab.rail_address(2, 0)}/32", "dev", "r1")
    lab.route(2, "add", f"{lab.rail_address(1, 0)}/32", "via", lab.address(1), "dev", "e0")
    yield
    lab.route(1, "del", f"{lab.rail_address(2, 0)}/32")
    lab.route(2, "del", f"{lab.rail_address(1, 0)}/32")


def measure(lab, bin_dir, directory, command, port, transport, *flags):
    done = lab.run(
        1,
        [bin_dir / "netsense-bench", command, f"{lab.rail_address(2, 0)}:{port}", "--insecure", "--json", "-t", transport,
         "--source-address", lab.rail_address(1, 0), *flags],
        env=clean_environment(directory),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["results"][0]


@pytest.mark.parametrize("transport", ["tcp", "grpc"])
def test_the_source_port_is_really_used_whatever_the_routes_say(lab, bin_dir, directory, serving, wrong_routes, transport):
    before = traffic(lab)
    ping = measure(lab, bin_dir, directory, "ping", serving, transport, "-n", 200, "--interface", "r0")
    measure(lab, bin_dir, directory, "bw", serving, transport, "-n", 5, "--interface", "r0")
    assert ping["lost"] == 0
    assert moved(before, traffic(lab)) == {"r0"}


def test_without_being_tied_the_routes_would_lead_astray(lab, bin_dir, directory, serving, wrong_routes):
    """The witness for the test before: it can fail."""
    done = lab.run(
        1,
        [bin_dir / "netsense-bench", "ping", f"{lab.rail_address(2, 0)}:{serving}", "--insecure", "-n", 20],
        env=clean_environment(directory),
    )
    assert done.returncode == 3, done.stdout


def test_ucx_uses_the_device_that_it_is_told(lab, bin_dir, directory, serving):
    before = traffic(lab)
    for command, count in (("ping", 200), ("bw", 5)):
        measure(lab, bin_dir, directory, command, serving, "ucx", "-n", count, "--interface", "r0", "--device", "r0", "--peer-device", "r0")
    assert moved(before, traffic(lab)) == {"r0"}


def test_every_rail_is_an_edge_of_its_own_and_rails_apart_are_isolated(lab, cluster):
    def all_there():
        payload = cluster.status()
        edges = [e for e in payload["edges"] if e["src_node_id"] != e["dst_node_id"]] if payload else []
        good = [e for e in edges if e["state"] == "OK"]
        by_rail = [e for e in good if e["rail"] is not None]
        isolated = [e for e in edges if e["state"] == "ISOLATED"]
        full = len(by_rail) == 2 * 2 * 3 and all(e["bw_p50_mbps"] for e in by_rail) and len(isolated) == 2
        return edges if full and len(good) + len(isolated) == len(edges) else None

    edges = wait_until("every rail and transport measured, both ways", all_there)
    for edge in edges:
        if edge["rail"] is not None:
            assert edge["src_port"] == edge["dst_port"] == f"r{edge['rail']}"
        elif edge["cross_rail"]:
            assert {edge["src_port"], edge["dst_port"]} == {"r0", "r1"} and "no route between these rails" in edge["reason"]
        else:
            assert edge["transport"] == "tcp" and edge["src_port"] == "e0" and edge["bw_probes"] == 0
    run = cluster.status_run()
    assert run.returncode == 0, "isolated rails are no fault\n" + run.stdout
    for rail in (0, 1):
        for transport in ("tcp", "grpc", "ucx"):
            assert f"over {transport} on rail {rail}" in run.stdout


def test_a_rail_that_fails_is_seen_on_that_rail_alone(lab, cluster):
    def states():
        return {(e["transport"], e["rail"]): e["state"] for e in cluster.status()["edges"] if not e["cross_rail"]}

    wait_until("all is well", lambda: set(states().values()) == {"OK"})
    lab.cut(2, rail=1)
    try:

        def rail_1_is_down():
            now = states()
            bad = {way for way, state in now.items() if state != "OK"}
            return bad == {("tcp", 1), ("grpc", 1), ("ucx", 1)}

        wait_until("rail 1 is down, and nothing else", rail_1_is_down)
        assert cluster.status_run().returncode == 1
    finally:
        lab.mend(2, rail=1)
    wait_until("all is well again", lambda: set(states().values()) == {"OK"})
