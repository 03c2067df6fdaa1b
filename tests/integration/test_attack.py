"""Strangers at every open port of a head at once, from two hundred addresses: whoever belongs there notices nothing."""

import json
import os
import random
import statistics
import sys

import pace
import pytest
from cluster import GCS_PORT, HTTP_PORT, EmbeddedCluster, wait_until
from netlab import NetLab

CONNECTIONS = 20_000
ADDRESSES = 200
AT_ONCE = 600
HEAD, HONEST, STRANGERS = 1, 2, 4
MAX_GROWTH_KB = 40 * 1024  # of the bridge, whose allocator keeps some of what 600 connections needed at a time
TIMES_SLOWER = 10  # that /healthz may be meanwhile, beside what the strangers take of the machine

# Run in the strangers' namespace: connects from each address in turn to each port in turn, and says what that port hates most.
ATTACK = """
import itertools, random, socket, sys, time
noise = random.Random(11).randbytes
hello = b"NETSENSE" + bytes([0, 1, 0, 2, 0, 1, 0, 0]) + noise(32) + bytes(16)
said = [b"", b"G", b"GET / HTTP/1.1\\r\\nA: ", b"POST /healthz HTTP/1.1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n10000\\r\\n" + bytes(65536),
        b"GET /api/v0/network_topology HTTP/1.1\\r\\n\\r\\n", noise(300), hello, hello + noise(64) + b"\\xff" * 200,
        b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes(64), b"A: b\\r\\n" * 8000]
head, ports, addresses, count, at_once = sys.argv[1], eval(sys.argv[2]), eval(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
held, refused = [], 0
for i, (source, port, words) in enumerate(zip(itertools.cycle(addresses), itertools.cycle(ports), itertools.cycle(said))):
    if i == count:
        break
    s = socket.socket()
    s.settimeout(float(sys.argv[6]))
    try:
        s.bind((source, 0))
        s.connect((head, port))
        s.setblocking(False)
        s.send(words) if words else None
    except OSError:
        refused += 1
    held.append(s)
    if len(held) >= at_once:
        held.pop(0).close()
print(refused)
"""

# Run in an honest node's namespace: asks for /healthz until its standard input is closed; the seconds of each answer.
ASK = """
import json, select, socket, sys, time
times, wrong = [], []
while not select.select([sys.stdin], [], [], 0.02)[0]:
    begun = time.monotonic()
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3]))
    s.sendall(b"GET /healthz HTTP/1.1\\r\\n\\r\\n")
    answer = b""
    while piece := s.recv(65536):
        answer += piece
    s.close()
    times.append(time.monotonic() - begun)
    if not answer.startswith(b"HTTP/1.1 200 "):
        wrong.append(answer.decode(errors="replace"))
print(json.dumps({"times": times, "wrong": wrong}))
"""


class Asking:
    """Somebody asks for /healthz all the time; afterwards `times` are the seconds of each answer, `wrong` those that were not right."""

    def __init__(self, cluster):
        self.cluster = cluster

    def __enter__(self):
        lab = self.cluster.lab
        self.process = lab.popen(
            HONEST, [sys.executable, "-c", ASK, lab.address(HEAD), HTTP_PORT, pace.hangs_after()], stdin=-1, stdout=-1, stderr=-1, text=True
        )
        return self

    def __exit__(self, *_):
        out, err = self.process.communicate(timeout=pace.hangs_after())
        assert self.process.returncode == 0, err
        answers = json.loads(out)
        self.times, self.wrong = answers["times"], answers["wrong"]


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.timing
def test_twenty_thousand_connections_at_every_open_port(namespaces, bin_dir, directory):
    with NetLab(4) as lab, EmbeddedCluster(lab, bin_dir, directory, settings=EmbeddedCluster.patient(rtt_ttl_ms=6000, lease_ms=4000)) as cluster:
        cluster.wait_all_ok()
        addresses = [f"10.77.0.{50 + i}" for i in range(ADDRESSES)]
        for address in addresses:
            lab.run(STRANGERS, ["ip", "address", "add", f"{address}/24", "dev", "e0"])
        random.Random(5).shuffle(addresses)
        bridge, engine = cluster.bridges[HEAD].pid, cluster.engine_pid(HEAD)

        def pings():
            paths = [path for i in (1, 2, 3) for path in cluster.engine_status(i)["snapshot"]["paths"]]
            return sum(int(path["pings_lost"]) for path in paths), sum(int(path["pings_sent"]) for path in paths)

        first = pings()[1]
        with Asking(cluster) as quiet:
            wait_until("some seconds without strangers", lambda: pings()[1] > first + 30, every=0.2)
        before = {pid: (resident_kb(pid), descriptors(pid)) for pid in (bridge, engine)}
        lost, sent = pings()
        ports = [18590, HTTP_PORT, GCS_PORT]
        with Asking(cluster) as attacked:
            done = lab.run(STRANGERS, [sys.executable, "-c", ATTACK, lab.address(HEAD), ports, addresses, CONNECTIONS, AT_ONCE, pace.hangs_after()])
            assert done.returncode == 0, done.stderr
            assert int(done.stdout) < CONNECTIONS / 100, "they did not come through"
        lost_then, sent_then = pings()
        print(f"{done.stdout.strip()} of {CONNECTIONS} were refused; {len(attacked.times)} answers, median "
              f"{statistics.median(attacked.times) * 1000:.1f} ms, {statistics.median(quiet.times) * 1000:.1f} ms without")  # fmt: skip
        assert attacked.wrong == [] and quiet.wrong == []
        assert statistics.median(attacked.times) < TIMES_SLOWER * statistics.median(quiet.times)
        assert sent_then > sent and lost_then - lost == 0, "honest probes suffered"
        assert all(edge["state"] == "OK" for edge in cluster.edges().values())
        assert cluster.bridges[HEAD].poll() is None and cluster.engine_pid(HEAD) == engine
        for pid, (kb, open_ones) in before.items():
            wait_until("the descriptors to be free", lambda pid=pid, most=open_ones: descriptors(pid) <= most + 4, every=0.2)
            print(f"{resident_kb(pid) - kb} kB more")
            assert resident_kb(pid) - kb < MAX_GROWTH_KB
        # The GCS takes new nodes, as ever.
        assert cluster.stop_bridge(3) == 0
        cluster.start_bridge(3)
        cluster.wait_all_ok()
