"""The helper by which these tests judge time: it catches what is slow or hangs, and excuses a machine that stands still."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pace
import pytest
from cluster import wait_until

pytestmark = pytest.mark.timing

LAB = Path(pace.__file__).parent
STOPS_ITSELF = """
import os, pace, signal
pace._scale = 1.0
pace.measure = lambda: 1.0
with pace.within(0.5, "a process that is stopped") as witness:
    os.kill(os.getpid(), signal.SIGSTOP)
print(witness.elapsed, witness.stood_still)
"""


@pytest.fixture
def as_the_reference(monkeypatch):
    """A machine that keeps up, whatever this one does."""
    monkeypatch.setattr(pace, "_scale", 1.0)
    monkeypatch.setattr(pace, "measure", lambda: 1.0)


def child(code, **environment):
    return subprocess.Popen([sys.executable, "-c", code], cwd=LAB, env=os.environ | environment, stdout=subprocess.PIPE, text=True)


def test_what_is_slow_is_caught(as_the_reference):
    with pytest.raises(pace.TooSlow, match=r"a slow peer: took .* s, and may take 0.05 s times 1.00"), pace.within(0.05, "a slow peer"):
        time.sleep(2)  # the peer
    with pace.within(30, "a quick one"):
        pass


def test_what_hangs_is_named(as_the_reference):
    with pytest.raises(TimeoutError, match=r"an answer that was lost: not within 0.1 s"):
        wait_until("an answer that was lost", lambda: None, limit=0.1)


def test_a_standstill_is_excused():
    with child(STOPS_ITSELF) as process:
        wait_until("it to be stopped", lambda: "T (stopped)" in Path(f"/proc/{process.pid}/status").read_text())
        time.sleep(1)  # so long it stands still
        process.send_signal(signal.SIGCONT)
        elapsed, stood_still = map(float, process.communicate()[0].split())
    assert process.returncode == 0 and elapsed >= 1 and elapsed - 0.5 <= stood_still <= elapsed


def test_a_machine_that_has_slowed_down_is_measured_anew(monkeypatch):
    monkeypatch.setattr(pace, "_scale", 1.0)
    monkeypatch.setattr(pace, "measure", lambda: 4.0)
    pace.judge("three times as slow", 3, nominal=1)
    with pytest.raises(pace.TooSlow):
        pace.judge("five times as slow", 5, nominal=1)


def test_the_scale_is_at_least_the_callers():
    assert pace.scale() >= 1 and float(pace.environment()[pace.VARIABLE]) == pytest.approx(pace.scale(), abs=0.01)
    with child("import pace; print(pace.scale())", **{pace.VARIABLE: "7"}) as process:
        assert float(process.communicate()[0]) >= 7
