"""The relay of packets of tests/chaos does what it says: by packets that are counted where they come in."""

import contextlib
import socket
import sys
import time
from pathlib import Path

import pace
import pytest
from cluster import wait_until

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chaos"))

import namespace
from chaos_lab import ChaosLab

PACKETS = 400
PORT = 7


def udp(lab, node):
    def make():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        s.bind((lab.address(node), PORT))
        s.settimeout(pace.hangs_after(2))
        return s

    return namespace.inside(lab.namespace(node), make)


@pytest.fixture(scope="module")
def lab(namespaces):
    with ChaosLab(2) as made:
        with contextlib.closing(udp(made, 1)) as here, contextlib.closing(udp(made, 2)) as there:
            # What waits until a neighbour is known comes after what is sent just then.
            there.sendto(b"who is it", (made.address(1), PORT))
            here.recv(2000)
            here.sendto(b"who is it", (made.address(2), PORT))
            there.recv(2000)
        yield made


def send_through(lab, *flags):
    """What came at node 1 of PACKETS numbered packets from node 2, whose link has a relay; and what the relay counted."""
    with contextlib.ExitStack() as stack:
        here, there = (stack.enter_context(contextlib.closing(udp(lab, node))) for node in (1, 2))
        relay = lab.open_link(2, *flags, "--seed=3")
        came = []
        try:
            for number in range(PACKETS):
                there.sendto(number.to_bytes(4, "big") + bytes(60), (lab.address(1), PORT))
            here.settimeout(pace.hangs_after(0.5))
            with contextlib.suppress(TimeoutError):
                while True:
                    came.append(here.recv(2000))
        finally:
            counts = lab.close_link(2, relay)
    return came, eval(counts, {})


def test_all_pass_in_order_unless_told(lab):
    came, counts = send_through(lab)
    assert [int.from_bytes(each[:4], "big") for each in came] == list(range(PACKETS))
    assert counts["forwarded"] >= PACKETS and not any(counts[name] for name in ("lost", "reordered", "duplicated", "corrupted"))


def test_some_are_lost(lab):
    came, counts = send_through(lab, "--lose=0.25")
    assert len(came) == PACKETS - counts["lost"] and PACKETS / 8 < counts["lost"] < PACKETS / 2


def test_some_come_twice(lab):
    came, counts = send_through(lab, "--duplicate=0.25")
    assert len(came) == PACKETS + counts["duplicated"] and counts["duplicated"] > PACKETS / 8
    assert len(set(came)) == PACKETS


def test_some_are_overtaken(lab):
    came, counts = send_through(lab, "--reorder=0.1")
    numbers = [int.from_bytes(each[:4], "big") for each in came]
    assert sorted(numbers) == list(range(PACKETS)) and numbers != sorted(numbers) and counts["reordered"] > PACKETS / 50


def test_what_is_corrupted_a_kernel_drops(lab):
    came, counts = send_through(lab, "--corrupt=0.25")
    assert len(came) == PACKETS - counts["corrupted"] and counts["corrupted"] > PACKETS / 8
    assert all(each[4:] == bytes(60) for each in came)


def test_with_a_good_checksum_it_arrives(lab):
    came, counts = send_through(lab, "--corrupt=0.25", "--repair")
    whole = {number.to_bytes(4, "big") + bytes(60) for number in range(PACKETS)}
    assert len(came) == PACKETS and sum(each not in whole for each in came) >= counts["corrupted"] - 5 > PACKETS / 8


def test_they_are_late(lab):
    """Each way passes the relay."""
    with contextlib.ExitStack() as stack:
        here, there = (stack.enter_context(contextlib.closing(udp(lab, node))) for node in (1, 2))
        relay = lab.open_link(2, "--delay-ms=40")
        try:
            begun = time.monotonic()
            there.sendto(b"there", (lab.address(1), PORT))
            here.sendto(here.recv(100), (lab.address(2), PORT))
            there.recv(100)
            assert time.monotonic() - begun >= 0.08
        finally:
            lab.close_link(2, relay)


def test_the_link_is_as_before(lab):
    with contextlib.ExitStack() as stack:
        here, there = (stack.enter_context(contextlib.closing(udp(lab, node))) for node in (1, 2))
        here.settimeout(0.3)
        relay = lab.open_link(2, "--lose=1")
        there.sendto(b"lost", (lab.address(1), PORT))
        with pytest.raises(TimeoutError):
            here.recv(100)
        lab.close_link(2, relay)

        def comes():
            there.sendto(b"there", (lab.address(1), PORT))
            with contextlib.suppress(TimeoutError):
                return here.recv(100)

        assert wait_until("a packet", comes) == b"there"
