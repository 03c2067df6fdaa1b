"""Our figures against independent ones on the same link. Whoever is wrong by a factor of 2 (half round trips, bits for bytes) fails here."""

import json
import re
import statistics
import subprocess

import pace
import pytest
from cluster import EmbeddedCluster, clean_environment, wait_until
from netlab import NetLab

ROUNDS = 5


def serve(lab, bin_dir, home):
    server = lab.popen(
        2,
        ["taskset", "-c", "0", bin_dir / "netsense-bench", "serve", "--listen", f"{lab.address(2)}:0", "--insecure", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(home),
    )
    return f"{lab.address(2)}:{json.loads(server.stdout.readline())['port']}"


@pytest.mark.timing
def test_rtt_agrees_with_sockperf(namespaces, bin_dir, directory):
    with NetLab(2) as lab:
        address = serve(lab, bin_dir, directory)
        sockperf = lab.popen(
            2,
            ["taskset", "-c", "0", "sockperf", "server", "--tcp", "-i", lab.address(2), "-p", "11111"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        listening = ["ss", "-Hltn", "sport", "=", ":11111"]
        wait_until("sockperf's server", lambda: lab.run(2, listening).stdout.strip())

        def theirs():
            done = lab.run(
                1,
                ["taskset", "-c", "0", "sockperf", "ping-pong", "--tcp", "-i", lab.address(2), "-p", "11111", "-m", "64", "-t", "1", "--full-rtt"],
            )
            return float(re.search(r"percentile 50\.0+ = +([\d.]+)", done.stdout + done.stderr).group(1))

        def ours():
            done = lab.run(
                1,
                ["taskset", "-c", "0", bin_dir / "netsense-bench", "ping", address, "--insecure", "--blocking", "-D", "1", "-s", "32", "--json"],
                env=clean_environment(directory),
            )
            return json.loads(done.stdout)["results"][0]["rtt_us"]["p50"]

        pairs = [(ours(), theirs()) for _ in range(ROUNDS)]  # by turns: the machine's moods hit both
        ratio = statistics.median(mine / other for mine, other in pairs)
        print(f"RTT p50 in us, ours and sockperf's: {pairs}; median ratio {ratio:.2f}")
        assert 0.67 < ratio < 1.5, pairs
        sockperf.kill()
        sockperf.wait()


@pytest.mark.timing
def test_a_long_ping_takes_its_whole_time_on_the_network(namespaces, bin_dir, directory):
    """A new connection's window is open for a part of it only: the first packet's departure counts, not the last one's."""
    with NetLab(2) as lab:
        lab.shape(2, f"{5000 / pace.scale():.0f}kbit")  # a tenth of a second or more for 64 KiB: as much longer as its parts in the hosts
        address = serve(lab, bin_dir, directory)

        def run(*arguments):
            done = lab.run(1, [bin_dir / "netsense-bench", *arguments, "--insecure", "--json"], env=clean_environment(directory))
            return json.loads(done.stdout)["results"][0]

        run("bw", address, "-n", 4, "-s", 65536)  # takes what the shaper lets through at once
        row = run("ping", address, "--blocking", "-n", 1, "--warmup", 0, "-s", 65536)
        assert row["timestamp_source"] == "kernel"
        print(row["network_rtt_us"]["p50"], "of", row["rtt_us"]["p50"])
        assert row["network_rtt_us"]["p50"] > 0.85 * row["rtt_us"]["p50"]


# Of a shaped link's wire bytes, MTU-sized segments carry 8948 of 9014 as payload. The shaper is the upper bound of every single figure; a host
# that stands still for a moment can only lower one, so the median of some is judged. The link is slow by what the machine itself carries
# at this moment: then nothing but the shaper decides.
CLOSE = 0.95
NEVER_ABOVE = 1.05
ROOM = 10  # so many times the shaper's rate


def bandwidth(lab, bin_dir, directory, address, *flags):
    done = lab.run(1, [bin_dir / "netsense-bench", "bw", address, "--insecure", "--json", *map(str, flags)], env=clean_environment(directory))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["results"]


@pytest.fixture(scope="module")
def shaped(namespaces, bin_dir, directory):
    """Two nodes, a server's address, and the rate in Gb/s of the link between them."""
    with NetLab(2, mtu=9000) as lab:
        address = serve(lab, bin_dir, directory)
        (own,) = bandwidth(lab, bin_dir, directory, address, "-D", 1)
        mbit = min(1000, own["bw_gbps"]["avg"] * 1000 / ROOM)
        print(f"this machine carries {own['bw_gbps']['avg']:.2f} Gb/s: the link is shaped to {mbit:.0f} Mb/s")
        lab.shape(2, f"{mbit:.3f}mbit")
        yield lab, address, mbit / 1000


@pytest.mark.parametrize("direction", [[], ["--reverse"]])
@pytest.mark.timing
def test_bandwidth_by_hand_agrees_with_the_shaper(shaped, bin_dir, directory, direction):
    lab, address, rate = shaped
    rows = bandwidth(lab, bin_dir, directory, address, "-D", 1, "--repeat", ROUNDS, *direction)
    figures = [row["bw_gbps"]["avg"] / rate for row in rows]
    print("of the shaper's rate:", figures)
    assert len(figures) == ROUNDS and max(figures) < NEVER_ABOVE and statistics.median(figures) >= CLOSE


@pytest.mark.timing
def test_bandwidth_in_the_matrix_agrees_with_the_shaper(shaped, bin_dir, directory):
    lab, _, rate = shaped
    slot_ms = 500
    payload = int(rate * 1e9 / 8 * slot_ms / 1000 / 4)
    settings = {"bw_enabled": "true", "bw_slot_ms": str(slot_ms), "bw_payload_bytes": str(payload), "bw_m": str(ROUNDS)}
    with EmbeddedCluster(lab, bin_dir, directory, settings=settings) as cluster:

        def measured():
            edges = cluster.edges()
            return edges if len(edges) == 2 and all(edge["bw_samples"] == ROUNDS for edge in edges.values()) else None

        edges = wait_until(f"{ROUNDS} samples of every edge", measured, every=0.5)
        figures = {pair: edge["bw_p50_mbps"] / 1000 / rate for pair, edge in edges.items()}
        print("of the shaper's rate:", figures)
        assert all(CLOSE <= figure < NEVER_ABOVE for figure in figures.values()), figures
