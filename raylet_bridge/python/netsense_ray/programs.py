"""Where netsense's programs are, and how a command of netsense-bridge is run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path


class NetsenseError(RuntimeError):
    """netsense could not do what was asked; the text says why, and what to do next."""


def program(name: str) -> Path:
    """The path of `netsense-engine`, `netsense-bridge` or `netsense-bench`.

    Looked for inside this package (where a wheel puts it), then in the folder NETSENSE_BIN, then in PATH.
    """
    inside = Path(__file__).parent / "bin" / name
    if inside.exists():
        return inside
    if (folder := os.environ.get("NETSENSE_BIN")) and (named := Path(folder) / name).exists():
        return named
    if found := shutil.which(name):
        return Path(found)
    raise NetsenseError(f"{name} is not there: install the wheel of ray-netsense, or name the folder that holds it by NETSENSE_BIN")


def run_bridge(arguments: Sequence[str], timeout: float = 30) -> subprocess.CompletedProcess[str]:
    """Runs `netsense-bridge` with `arguments`, and waits at most `timeout` seconds for it.

    NetsenseError when it does not end in time; its exit code is the caller's to look at.
    """
    command = [str(program("netsense-bridge")), *arguments]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise NetsenseError(f"netsense-bridge {arguments[0]} did not end within {timeout} s: is the GCS busy, or behind a firewall?") from None


def gcs_flags(address: str | None) -> list[str]:
    """The flags that name the cluster to netsense-bridge.

    `address` is HOST:PORT of its GCS. None or "auto": the cluster that this process is connected to by `ray.init`, else none, and the
    bridge finds it as Ray does (RAY_ADDRESS, a raylet of this host, the cluster that was started last on it).
    """
    if address not in (None, "auto"):
        if "://" in address:
            raise NetsenseError(
                f"{address}: a Ray Client connection reaches no GCS; run this inside the cluster (`ray job submit`), or name its GCS as HOST:PORT"
            )
        return ["--gcs-address", address]
    connected = _connected_gcs_address()
    return ["--gcs-address", connected] if connected else []


def _connected_gcs_address() -> str | None:
    import sys

    ray = sys.modules.get("ray")  # a process that never imported Ray is connected to nothing
    if ray is None or not ray.is_initialized():
        return None
    address: str = ray.get_runtime_context().gcs_address
    return address
