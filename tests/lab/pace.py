"""How fast this machine is at this moment: the one measure by which these tests look at the clock.

    with pace.within(3, "the engine is back"):     # seconds on a machine that keeps up; judged by this machine's pace
        ...
    subprocess.run(command, timeout=pace.hangs_after())   # ends a hung test, and judges nothing

The programs and processes that a test starts get the scale as NETSENSE_TIME_SCALE (base/deadlines.h), so that their own limits are as
patient. tests/lab/pace.h is the same for C++.
"""

import os
import socket
import threading
import time
from contextlib import contextmanager

VARIABLE = "NETSENSE_TIME_SCALE"
HIGHEST = 100  # that the programs take

# What a machine that keeps up needs: for one piece of work, and for one hand-over to another process and back.
WORK_S, WORK_STEPS = 0.025, 400_000
HANDOVER_S, HANDOVERS = 0.0001, 300
PIECES = 5

TICK_S = 0.01  # of the witness
LATE_S = 0.002  # that any timer may be

_given = float(os.environ.get(VARIABLE) or 1)  # the caller's; read before a test sets its own
_scale = None


def scale():
    """How many times slower than the reference this machine was when it was first asked for here; at least 1."""
    global _scale
    if _scale is None:
        _scale = measure()
    return _scale


def measure():
    """The same, now."""
    begun = time.perf_counter()
    for _ in range(PIECES):
        value = 0
        for step in range(WORK_STEPS):
            value = (value * 31 + step) & 0xFFFF
    work = (time.perf_counter() - begun) / (PIECES * WORK_S)
    return min(HIGHEST, max(1.0, work, _handover_s() / HANDOVER_S) * _given)


def _handover_s():
    ours, its = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        while its.recv(1):
            its.send(b"x")
        os._exit(0)
    its.close()
    begun = time.perf_counter()
    for _ in range(HANDOVERS):
        ours.send(b"x")
        ours.recv(1)
    took = time.perf_counter() - begun
    ours.close()
    os.waitpid(child, 0)
    return took / HANDOVERS


def environment():
    """For what a test starts."""
    return {VARIABLE: f"{scale():.2f}"}


def hangs_after(seconds=120):
    """Seconds after which something has hung, on this machine."""
    return seconds * scale()


def setting(milliseconds):
    """A time to live or a limit that a test sets, as the programs take it."""
    return str(round(milliseconds * scale()))


class Witness:
    """Notes how long the machine stood still: by how much a thread that wants to wake up every 10 ms was late, together."""

    def __init__(self):
        self.begun = time.monotonic()
        self.elapsed = 0.0  # when it has ended
        self.stood_still = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self):
        asleep, ended = time.monotonic(), False
        while not ended:
            ended = self._end.wait(TICK_S)  # who is stopped may be told the end as it wakes up
            awake = time.monotonic()
            late = awake - asleep - TICK_S
            if late > LATE_S:
                self.stood_still += late
            asleep = awake

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.elapsed = time.monotonic() - self.begun
        self._end.set()
        self._thread.join()


class TooSlow(AssertionError):
    pass


def judge(what, elapsed, nominal, stood_still=0.0):
    """TooSlow when `elapsed` is more than `nominal` times the scale and what the witness saw. A machine that has slowed down since its
    scale was measured is measured anew: what has hung is not excused by that."""
    now = scale()
    if elapsed > nominal * now + stood_still:
        now = max(now, measure())
    if elapsed > nominal * now + stood_still:
        raise TooSlow(
            f"{what}: took {elapsed:.2f} s, and may take {nominal:g} s times {now:.2f} (this machine's pace) and the {stood_still:.2f} s that it stood still"
        )


@contextmanager
def within(nominal, what):
    """What is done inside takes `nominal` seconds at most on a machine that keeps up. Gives the witness."""
    with Witness() as witness:
        yield witness
    judge(what, witness.elapsed, nominal, witness.stood_still)
