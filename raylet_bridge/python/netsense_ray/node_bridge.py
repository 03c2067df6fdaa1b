"""What runs inside the actor of one node: it keeps a netsense-bridge beside its raylet."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from .deadlines import BRIDGE_END_S
from .private_file import open_log, remove_private
from .programs import NetsenseError, program
from .shared_token import write_token

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_HEALTHY_AFTER_S = 10.0

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)  # loaded here: between fork and exec nothing may be


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(frozen=True)
class BridgeState:
    """How the bridge of a node is doing, as its actor sees it."""

    running: bool
    pid: int | None
    failures: int  # starts in a row that came to an end within 10 s
    reason: str  # why it does not run, or how the last one ended
    log: str


@dataclass(frozen=True)
class Raylet:
    """The raylet that this process works for, as its command line has it."""

    pid: int
    node_id: str
    session_dir: Path


def find_raylet() -> Raylet:
    """By RAY_RAYLET_PID where that is one, else among this process's ancestors (a container may stand between)."""
    candidates = [os.environ.get("RAY_RAYLET_PID", ""), *_ancestors()]
    for pid in candidates:
        words = _command_line(pid)
        if words and os.path.basename(words[0]) == "raylet":
            flags = dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
            return Raylet(int(pid), flags["--node_id"], Path(flags["--session_dir"]))
    raise NetsenseError("no raylet is among the ancestors of this node's worker: does Ray start its workers in a container of their own?")


def _command_line(pid: str) -> list[str]:
    try:
        return Path("/proc", pid, "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1] if pid.isdigit() else []
    except OSError:
        return []


def _ancestors() -> list[str]:
    found: list[str] = []
    pid = str(os.getppid())
    while pid not in ("0", "") and len(found) < 64:
        found.append(pid)
        try:
            pid = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            break
    return found


class NodeBridge:
    """The actor: starts the bridge, starts it again with growing pauses when it ends, and ends it with SIGTERM.

    The bridge never outlives it: the kernel sends it SIGTERM when this process is gone, and it leaves with its raylet by itself.
    """

    def __init__(self, token: str) -> None:
        """`token`: the cluster's secret, for where Ray has none of its own."""
        self._raylet = find_raylet()
        self._token_file = self._raylet.session_dir / "netsense" / "token"
        self._fallback_token = token
        self._log = self._raylet.session_dir / "logs" / f"netsense-bridge-{self._raylet.node_id[:8]}.log"
        self._stop = threading.Event()
        self._lock = threading.Lock()  # between the start of a bridge and stop()
        self._process: subprocess.Popen[bytes] | None = None
        self._failures = 0
        self._reason = "its bridge is being started"
        # Every bridge is this thread's child: the kernel takes a child's parent for gone when the thread that made it ends.
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def state(self) -> BridgeState:
        process = self._process
        if process is None or process.poll() is not None:
            return BridgeState(False, None, self._failures, self._reason, str(self._log))
        return BridgeState(True, process.pid, self._failures, "", str(self._log))

    def stop(self) -> None:
        """Ends the bridge, and with it its engine; returns when both are gone."""
        with self._lock:
            self._stop.set()
            if self._process is not None:
                self._process.terminate()
        self._keeper.join(BRIDGE_END_S)
        if self._keeper.is_alive() and self._process is not None:
            self._process.kill()
            self._keeper.join()
        remove_private(self._token_file)

    def _keep(self) -> None:
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                self._run_once()
            except Exception as error:  # whatever it is, the next start may do
                self._reason = f"its bridge could not be started: {error}"
            healthy = time.monotonic() - started >= _HEALTHY_AFTER_S
            self._failures = 0 if healthy else self._failures + 1
            pause = _FIRST_PAUSE_S if healthy else min(_FIRST_PAUSE_S * 2**self._failures, _LONGEST_PAUSE_S)
            self._stop.wait(pause)

    def _run_once(self) -> None:
        write_token(self._token_file, self._fallback_token)
        command = [str(program("netsense-bridge")), "run", "--raylet-pid", str(self._raylet.pid), "--token-file", str(self._token_file)]
        with open(open_log(self._log), "ab") as log:
            begin = log.tell()
            with self._lock:
                if self._stop.is_set():
                    return
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", preexec_fn=_end_with_parent)
        code = self._process.wait()
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        self._reason = f"its bridge ended ({how}): {self._last_line(begin) or 'it said nothing'}"

    def _last_line(self, begin: int) -> str:
        with open(self._log, "rb") as log:
            log.seek(begin)
            lines = log.read()[-4096:].decode(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
