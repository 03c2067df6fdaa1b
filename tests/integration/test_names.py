"""A host's name whose servers never answer: everybody who waits for it says so in time, and ends at SIGTERM meanwhile.

A mount namespace has a resolv.conf of its own: three servers on loopback, which hear and say nothing. By glibc's rules that takes seven
minutes; a test waits for less.
"""

import contextlib
import signal
import socket
import subprocess

import pace
import pytest
from cluster import clean_environment

SERVERS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
RESOLVER = "".join(f"nameserver {server}\\n" for server in SERVERS) + "options timeout:30 attempts:5\\n"
HOST = f"""
set -eu
folder=$1
shift
printf '{RESOLVER}' > "$folder/resolv.conf"
printf 'hosts: files dns\\n' > "$folder/nsswitch.conf"
mount --bind "$folder/resolv.conf" /etc/resolv.conf
mount --bind "$folder/nsswitch.conf" /etc/nsswitch.conf
exec "$@"
"""
LIMIT_S = 30  # so long none of them needs: the longest limit of theirs is 5 s


@pytest.fixture
def servers(namespaces):
    """Sockets that hear what is asked."""
    with contextlib.ExitStack() as stack:
        sockets = []
        for address in SERVERS:
            server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            server.bind((address, 53))
            server.settimeout(pace.hangs_after())
            sockets.append(server)
        yield sockets


@pytest.fixture
def start(bin_dir, directory):
    started = []

    def starts(program, *words):
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", HOST, "sh", directory, bin_dir.resolve() / program, *words]
        process = subprocess.Popen(
            list(map(str, command)), env=clean_environment(directory), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield starts
    for process in started:
        process.kill()
        process.communicate()


def waiters():
    """Who looks up a name, each one of its own: label -> the program and its words."""
    return {
        "ping": ["netsense-bench", "ping", "ping.example:18590", "-n", "5", "--insecure"],
        "bw": ["netsense-bench", "bw", "bw.example:18590", "-n", "5", "--insecure"],
        "matrix": ["netsense-bench", "matrix", "matrix.example:18590", "two.matrix.example:18590", "--insecure"],
        "cluster": ["netsense-bench", "matrix", "--cluster", "http://cluster.example:18591", "--insecure"],
        "serve": ["netsense-bench", "serve", "--listen", "serve.example:18590", "--insecure"],
        "engine": ["netsense-engine", "--listen", "engine.example:18590", "--insecure"],
        "bridge": ["netsense-bridge", "run", "--standalone", "--gcs-address", "bridge.example:18592", "--insecure"],
    }


def wait_until_asked(server, labels):
    missing = set(labels)
    while missing:
        question = server.recv(512)
        missing -= {label for label in missing if bytes([len(label)]) + label.encode() + b"\x07example\0" in question}


def test_a_name_that_nobody_answers_for_is_said_in_time(servers, start):
    waiting = {label: start(*words) for label, words in waiters().items()}
    for label, process in waiting.items():
        _, said = process.communicate(timeout=pace.hangs_after(LIMIT_S))
        assert process.returncode in (1, 2, 3) and f"cannot resolve {label}.example: no answer within the deadline" in said, said


def test_who_waits_for_a_name_ends_at_sigterm(servers, start):
    """gRPC, which a bridge asks its GCS by, has a resolver of its own."""
    by_grpc = ["netsense-bridge", "run", "--standalone", "--node-ip", "127.0.0.1", "--gcs-address", "grpc.example:18592", "--insecure"]
    waiting = {label: start(*words) for label, words in {**waiters(), "grpc": by_grpc}.items()}
    wait_until_asked(servers[0], waiting)
    for process in waiting.values():
        process.send_signal(signal.SIGTERM)
    for label, process in waiting.items():
        process.communicate(timeout=pace.hangs_after(LIMIT_S))
        assert process.returncode in (-signal.SIGTERM, 0, 1, 2, 3), label
