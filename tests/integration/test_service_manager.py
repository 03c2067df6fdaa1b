"""What the programs tell systemd, on a socket of our own: ready, how they do, that the loop turns, the end."""

import itertools
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pace
import pytest
from cluster import clean_environment, wait_until
from netlab import die_with_parent

NO_SUCH_NODE = "10.255.255.1"


class Manager:
    """Listens where NOTIFY_SOCKET says, and remembers what comes, and when. Limits of the watchdog are for a machine that keeps up."""

    def __init__(self, directory):
        self.directory = directory
        self.told = []  # (seconds, assignment)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._path = str(directory / "notify")
        self._socket.bind(self._path)
        self._started = []

    def start(self, command, watchdog_s=30):
        """A service, as systemd starts one of Type=notify: WATCHDOG_PID is its own."""
        environment = clean_environment(self.directory) | {
            "NOTIFY_SOCKET": self._path,
            "WATCHDOG_USEC": str(int(watchdog_s * pace.scale() * 1_000_000)),
        }
        words = ["sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh", *map(str, command)]
        log = open(self.directory / "service.log", "ab")
        service = subprocess.Popen(words, env=environment, stderr=log, stdout=log, preexec_fn=die_with_parent)
        log.close()
        self._started.append(service)
        return service

    def hear(self):
        while True:
            try:
                message = self._socket.recv(8192).decode()
            except BlockingIOError:
                return self.told
            self.told += [(time.monotonic(), line) for line in message.splitlines()]

    def times(self, word):
        return [at for at, line in self.hear() if line == word]

    def status(self):
        lines = [line.removeprefix("STATUS=") for _, line in self.hear() if line.startswith("STATUS=")]
        return lines[-1] if lines else ""

    def wait_for(self, word, count=1, limit=None):
        return wait_until(f"{count} times {word}", lambda: len(at := self.times(word)) >= count and at, limit=limit)

    def close(self):
        for service in self._started:
            service.send_signal(signal.SIGCONT)
            service.terminate()
            try:
                service.wait(timeout=pace.hangs_after())
            except subprocess.TimeoutExpired:
                service.kill()
                service.wait()
        self._socket.close()
        os.unlink(self._path)


@pytest.fixture
def manager(directory):
    made = Manager(directory)
    yield made
    made.close()


@pytest.fixture
def head(bin_dir):
    """A standalone head on loopback, on ports that are free."""
    return [bin_dir / "netsense-bridge", "run", "--standalone", "--head", "--gcs-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
            "--network-sense-door-port", "0", "--network-sense-enabled", "true"]  # fmt: skip


def test_a_bridge_is_ready_when_its_door_is_open_and_says_when_it_leaves(manager, head, bin_dir):
    bridge = manager.start(head)
    manager.wait_for("READY=1")
    door = wait_until("the door in the status", lambda: re.match(r"door (127\.0\.0\.1:\d+), ", manager.status()))[1]
    shown = subprocess.run([bin_dir / "netsense-bench", "ping", door, "-n", "5"], capture_output=True, text=True, timeout=pace.hangs_after())
    assert shown.returncode == 0, shown.stderr
    # What is for the bridge alone is not passed on.
    (engine,) = [pid for task in Path(f"/proc/{bridge.pid}/task").iterdir() for pid in (task / "children").read_text().split()]
    variables = Path(f"/proc/{engine}/environ").read_text().split("\0")
    assert not [entry for entry in variables if entry.startswith(("NOTIFY_SOCKET", "WATCHDOG_"))]
    assert any(entry.startswith("NETSENSE_RUNTIME_DIR=") for entry in variables), "and everything else is"
    assert not manager.times("STOPPING=1")
    bridge.terminate()
    manager.wait_for("STOPPING=1")
    assert bridge.wait(timeout=pace.hangs_after()) == 0


def test_a_bridge_without_an_engine_is_not_ready_and_says_why(manager, head):
    bridge = manager.start([*head, "--engine", "/nonexistent/netsense-engine"], watchdog_s=1)
    manager.wait_for("WATCHDOG=1", count=5)
    assert not manager.times("READY=1")
    assert "engine" in manager.status()
    assert bridge.poll() is None


@pytest.mark.timing
def test_the_watchdog_hears_of_the_loop_at_half_its_limit(manager, head):
    # Between two ticks, too.
    seldom = ["--network-sense-tick-ms", "50000", "--network-sense-rtt-ttl-ms", "150000", "--network-sense-lease-ms", "60000"]
    bridge = manager.start([*head, *seldom], watchdog_s=2)
    limit = 2 * pace.scale()
    times = manager.wait_for("WATCHDOG=1", count=4)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap < limit for gap in gaps) and sum(gaps) > 0.95 * len(gaps) * limit / 2, gaps  # a message that is heard late shortens a gap
    # And no more when the loop does not turn.
    bridge.send_signal(signal.SIGSTOP)
    wait_until("the bridge to be stopped", lambda: "T (stopped)" in Path(f"/proc/{bridge.pid}/status").read_text())
    heard = len(manager.times("WATCHDOG=1"))
    with pytest.raises(TimeoutError):
        manager.wait_for("WATCHDOG=1", count=heard + 1, limit=limit)
    bridge.send_signal(signal.SIGCONT)
    manager.wait_for("WATCHDOG=1", count=heard + 1)


@pytest.mark.timing
def test_a_gcs_that_hangs_does_not_stop_the_watchdog(manager, head, directory):
    """A restart would not bring the GCS back, and would lose what the engine has measured."""
    gcs_directory = directory / "gcs"
    gcs_directory.mkdir()
    others = Manager(gcs_directory)
    try:
        serving = others.start(head)
        others.wait_for("READY=1")
        log = (gcs_directory / "service.log").read_text()
        address = re.search(r"join by: .* --gcs-address (\S+)", log).group(1)
        limit = 8
        manager.start([head[0], "run", "--standalone", "--node-ip", "127.0.0.2", "--gcs-address", address, "--http-listen", "127.0.0.2:0",
                       "--network-sense-door-port", "0"], watchdog_s=limit)  # fmt: skip
        manager.wait_for("READY=1")
        serving.send_signal(signal.SIGSTOP)
        wait_until("the outage in the status", lambda: "did not answer" in manager.status())
        heard = len(manager.times("WATCHDOG=1"))
        times = manager.wait_for("WATCHDOG=1", count=heard + 2)[heard - 1 :]
        assert all(later - earlier < limit * pace.scale() for earlier, later in itertools.pairwise(times))
    finally:
        others.close()


def test_a_bridge_that_waits_for_a_raylet_is_ready_and_turns(manager, bin_dir):
    bridge = manager.start([bin_dir / "netsense-bridge", "run", "--wait-for-raylet", "--node-ip", NO_SUCH_NODE], watchdog_s=2)
    manager.wait_for("READY=1")
    wait_until("the reason", lambda: "waiting for a raylet" in manager.status())
    manager.wait_for("WATCHDOG=1", count=3)
    bridge.terminate()
    assert bridge.wait(timeout=pace.hangs_after()) == 0


def test_an_engine_alone_is_a_service_too(manager, bin_dir, directory):
    engine = manager.start(
        [bin_dir / "netsense-engine", "--listen", "127.0.0.1:0", "--control-socket", directory / "e" / "engine.sock"], watchdog_s=2
    )
    manager.wait_for("READY=1")
    wait_until("where it answers", lambda: re.fullmatch(r"answers on 127\.0\.0\.1:[1-9]\d*", manager.status()))
    manager.wait_for("WATCHDOG=1", count=3)
    engine.terminate()
    assert engine.wait(timeout=pace.hangs_after()) == 0
    manager.wait_for("STOPPING=1")
