"""A peer that sends UCX what it cannot bear, and ends: UCX takes its process along, and after the first time no other peer's sessions."""

import json
import random
import re
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from cluster import clean_environment, wait_until

HONEST, ROGUE = "127.0.0.3", "127.0.0.2"


class Responder:
    def __init__(self, bin_dir, directory):
        self.bin_dir, self.environment = bin_dir, clean_environment(directory)
        self.log = directory / "serve.log"
        self.process = subprocess.Popen(
            [bin_dir / "netsense-bench", "serve", "--listen", "127.0.0.1:0", "--insecure", "--json"],
            stdout=subprocess.PIPE,
            stderr=self.log.open("w"),
            text=True,
            env=self.environment,
        )
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.pings = []

    def close(self):
        for process in [*self.pings, self.process]:
            process.kill()
            process.communicate()

    def ping_from(self, address):
        flags = ["--source-address", address, "--blocking", "--interval", "5", "--timeout", "60000", "-D", "3600", "--json"]
        target = f"127.0.0.1:{self.port}"
        process = subprocess.Popen(
            [self.bin_dir / "netsense-bench", "ping", target, "-t", "ucx", "--insecure", *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        self.pings.append(process)
        return process

    def children(self):
        tasks = Path(f"/proc/{self.process.pid}/task")
        return {int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()}

    def ucx_ports(self):
        """port -> process, of UCX on the responder's side."""
        text = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
        found = {int(line.split()[3].rpartition(":")[2]): int(pid) for line in text.splitlines() for pid in re.findall(r"pid=(\d+)", line)}
        return {port: pid for port, pid in found.items() if pid in self.children()}

    def session_from(self, address):
        """(who pings, the responder's port for it, its process). After a crash the process is away for a moment."""
        while True:
            before = self.ucx_ports()
            process = self.ping_from(address)
            new = wait_until("a port of UCX, or a refusal", lambda: set(self.ucx_ports()) - set(before) or process.poll() is not None)
            if new is not True:
                (port,) = new
                return process, port, self.ucx_ports()[port]


def corrupt(port, seed):
    """As UCX 1.13 begins a connection over tcp, and then frames of its that make no sense."""
    chance = random.Random(seed)
    frames = [bytes([chance.randrange(34)]) + chance.randrange(8, 64).to_bytes(4, "little") + chance.randbytes(64) for _ in range(20)]
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall((0xCAFEBABE12345678).to_bytes(8, "little") + b"".join(frames))


@pytest.fixture
def responder(bin_dir, directory):
    running = Responder(bin_dir, directory)
    yield running
    running.close()


def crash_by(responder, address):
    """The process that it took along."""
    rogue, port, pid = responder.session_from(address)

    def gone():
        for seed in range(20):
            with suppress(OSError):
                corrupt(port, seed)
        return pid not in responder.children()

    wait_until("UCX aborts", gone)
    rogue.kill()
    return pid


def test_only_the_first_crash_is_everybodys(responder):
    first, _, shared = responder.session_from(HONEST)
    assert crash_by(responder, ROGUE) == shared, "both were in one process"
    _, error = first.communicate()
    assert first.returncode != 0, f"its session lived on: {error}"

    honest, _, shared = responder.session_from(HONEST)
    for _ in range(3):
        assert crash_by(responder, ROGUE) != shared
    assert shared in responder.children()
    honest.send_signal(signal.SIGINT)
    output, error = honest.communicate()
    (row,) = json.loads(output)["results"]
    assert row["lost"] == 0 and row["samples"] > 0 and not row.get("error"), f"{row}\n{error}"
    told = responder.log.read_text()
    assert re.search(rf"sessions with {re.escape(ROGUE)} are kept in a process apart for \d+ min more: one was killed by signal", told), told
    assert f"sessions with {HONEST}" not in told, told
