"""The limits that this package sets itself, in seconds. NETSENSE_TIME_SCALE lengthens them all, as it does those of the programs
(docs/operations.md); they are the ones that say what is wrong with a value, which counts as 1 here too.
"""

from __future__ import annotations

import os


def _time_scale() -> float:
    try:
        scale = float(os.environ.get("NETSENSE_TIME_SCALE") or 1)
    except ValueError:
        return 1.0
    return scale if 1 <= scale <= 100 else 1.0


_SCALE = _time_scale()

RAY_CALL_S = 30.0 * _SCALE  # for the answer of netsense's supervisor, and for the end of an actor
BRIDGE_END_S = 10.0 * _SCALE  # from SIGTERM to SIGKILL; longer than the bridge's own limits on its way out
PASSED_ON_S = 5.0 * _SCALE  # the dashboard, for the GCS, and for each silence of the bridge
