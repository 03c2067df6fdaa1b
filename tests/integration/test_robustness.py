"""What strangers do to an engine: garbage, silence, oversize and half-open connections, some thousands of each, on the door and on the
control socket. The engine's pid, its memory and its honest probes stay as they were. And what an engine costs when nothing happens.
"""

import os
import random
import socket
import struct
import subprocess
import time
from pathlib import Path

import pace
import pytest
from cluster import EmbeddedCluster, wait_until
from netlab import NetLab

EACH = 2000
AT_ONCE = 200
MAX_GROWTH_KB = 12 * 1024


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def times_woken(pid):
    """How often its threads went on after they had waited for something."""
    switches = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        switches += int(status.read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return switches


# One for the probe's answer, one for its turn; the control socket's questions and housekeeping are shared by few pings here.
WAKES_A_PING = 30


noise = random.Random(7).randbytes
HELLO = b"NETSENSE" + struct.pack(">HHH", 1, 1, 1) + bytes(2) + noise(32) + bytes(16)
ATTACKS = {
    "garbage": noise(300),
    "silence": b"",
    "half a hello": HELLO[:40],
    "a hello and no proof": HELLO,
    "a forged proof and an oversize request": HELLO + noise(64) + b"\xff" * 200,
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10,
    "http/2 beginnings": b"PRI * HTTP/2.0\r\n\r\nSM\r\n",
    "half-open": None,  # connected and shut down for writing
}


def attack(connect, payload):
    """EACH connections, AT_ONCE of them open at the same time."""
    done = 0
    while done < EACH:
        sockets = []
        for _ in range(AT_ONCE):
            try:
                s = connect()
                if payload is None:
                    s.shutdown(socket.SHUT_WR)
                elif payload:
                    s.sendall(payload)
                sockets.append(s)
            except OSError:
                pass  # the engine may refuse or reset: only honest probes must not suffer
        done += AT_ONCE
        for s in sockets:
            s.close()


def in_namespace(namespace, function):
    """Runs `function` in a child process inside a network namespace; fails when it does."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with open(f"/run/netns/{namespace}") as handle:
                os.setns(handle.fileno(), 0) if hasattr(os, "setns") else _setns(handle.fileno())
            function()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def _setns(descriptor):
    import ctypes

    if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture(scope="module")
def cluster(namespaces, bin_dir, directory):
    with NetLab(4) as lab, EmbeddedCluster(lab, bin_dir, directory, settings=EmbeddedCluster.patient(rtt_ttl_ms=6000, lease_ms=2000)) as cluster:
        cluster.wait_all_ok()
        yield cluster


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("place", ["door", "control socket"])
def test_strangers_change_nothing(cluster, place, name):
    pid = cluster.engine_pid(2)
    path = cluster.engine_socket(2)
    address = (cluster.lab.address(2), 18590)

    def connect():
        if place == "door":
            return socket.create_connection(address, timeout=pace.hangs_after())
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(pace.hangs_after())
        s.connect(path)
        return s

    def lost():
        """Pings that any node lost, and how many were sent."""
        paths = [p for i in (1, 2, 3, 4) for p in cluster.engine_status(i)["snapshot"]["paths"]]
        return sum(int(p["pings_lost"]) for p in paths), sum(int(p["pings_sent"]) for p in paths)

    def rejected():
        return int(cluster.engine_status(2)["snapshot"]["counters"]["door_rejected"])

    before_kb, rejected_before = resident_kb(pid), rejected()
    lost_before, sent_before = lost()
    in_namespace(cluster.lab.namespace(1), lambda: attack(connect, ATTACKS[name]))
    wait_until("more honest probes", lambda: lost()[1] > sent_before + 20, every=0.2)
    if place == "door":
        wait_until("the door to have rejected them", lambda: rejected() - rejected_before >= EACH)
    assert cluster.engine_pid(2) == pid
    growth = resident_kb(pid) - before_kb
    print(f"{EACH} x {name} on the {place}: {growth} kB")
    assert growth < MAX_GROWTH_KB
    assert lost()[0] - lost_before <= 1, "honest probes suffered"
    assert cluster.engine_status(2)["snapshot"]["lease_in_force"]


@pytest.mark.timing
def test_silent_connections_are_gone_in_3_s(cluster):
    pid = cluster.engine_pid(2)
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))

    def hold_a_thousand():
        address = (cluster.lab.address(2), 18590)
        silent = [socket.create_connection(address, timeout=pace.hangs_after()) for _ in range(1000)]
        with pace.within(3, "the door closes silent connections"):
            for s in silent:
                assert s.recv(1) == b"", "and says nothing"
        for s in silent:
            s.close()

    in_namespace(cluster.lab.namespace(1), hold_a_thousand)
    wait_until("the descriptors to be free", lambda: len(os.listdir(f"/proc/{pid}/fd")) <= descriptors + 2)


def test_few_descriptors_and_many_connections(namespaces, bin_dir, directory):
    """RLIMIT_NOFILE 64 and 300 connections: the engine lives on and answers again."""
    engine = subprocess.Popen(
        ["prlimit", "--nofile=64", bin_dir / "netsense-engine", "--listen", "127.0.0.1:0", "--control-socket", directory / "few" / "e.sock"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = engine.stderr.readline()
        port = int(line.split("127.0.0.1:")[1].split(",")[0])
        crowd = [socket.create_connection(("127.0.0.1", port), timeout=pace.hangs_after()) for _ in range(300)]
        for s in crowd:
            s.close()

        def answers():
            done = subprocess.run(
                [bin_dir / "netsense-bench", "ping", f"127.0.0.1:{port}", "-n", "10"], capture_output=True, timeout=pace.hangs_after()
            )
            return done.returncode == 0

        wait_until("an honest ping", answers)
        assert engine.poll() is None
    finally:
        engine.terminate()
        engine.wait(timeout=pace.hangs_after())
        engine.stderr.close()


def test_a_second_engine_leaves_the_first_alone(cluster, bin_dir):
    pid, path = cluster.engine_pid(2), cluster.engine_socket(2)
    second = cluster.lab.run(2, [bin_dir / "netsense-engine", "--listen", "127.0.0.1:0", "--control-socket", path], env=cluster.environment)
    assert second.returncode == 3 and "another engine" in second.stderr
    assert cluster.engine_pid(2) == pid
    assert cluster.engine_status(2)["snapshot"]["lease_in_force"]


@pytest.mark.timing
def test_an_idle_engine_costs_next_to_nothing(namespaces, bin_dir, directory):
    settings = {"tick_ms": "2000"} | EmbeddedCluster.patient(rtt_ttl_ms=6000, lease_ms=6000)  # Ray's prototype's defaults
    with NetLab(4) as lab, EmbeddedCluster(lab, bin_dir, directory, settings=settings) as cluster:
        cluster.wait_all_ok()
        pid = cluster.engine_pid(2)

        def pings():
            return sum(int(path["pings_sent"]) for path in cluster.engine_status(2)["snapshot"]["paths"])

        begun, woken, start, first = cpu_seconds(pid), times_woken(pid), time.monotonic(), pings()
        wait_until("five ticks of idling", lambda: pings() >= first + 5 * 3, every=1)
        wakes = (times_woken(pid) - woken) / (pings() - first)
        share = (cpu_seconds(pid) - begun) / (time.monotonic() - start)
        print(f"{wakes:.1f} wakes a ping, CPU {share:.2%} of a core, {resident_kb(pid)} kB resident")
        assert wakes < WAKES_A_PING
        assert share < 0.05 * pace.scale()  # nothing spins; how much less it is depends on what else the processors' caches serve
        assert resident_kb(pid) < 40 * 1024
