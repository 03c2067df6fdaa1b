"""The limits of the Python package follow the one scale of the programs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "raylet_bridge" / "python"
PRINT = "from netsense_ray import deadlines; print(deadlines.RAY_CALL_S, deadlines.BRIDGE_END_S, deadlines.PASSED_ON_S)"


@pytest.mark.parametrize(("text", "scale"), [(None, 1), ("", 1), ("2.5", 2.5), ("100", 100), ("0.5", 1), ("101", 1), ("nan", 1), ("fast", 1)])
def test_the_scale_of_the_environment(text, scale):
    env = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    env.pop("NETSENSE_TIME_SCALE", None)
    if text is not None:
        env["NETSENSE_TIME_SCALE"] = text
    done = subprocess.run([sys.executable, "-c", PRINT], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert [float(word) for word in done.stdout.split()] == [30 * scale, 10 * scale, 5 * scale]
