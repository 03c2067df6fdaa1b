"""Starting netsense on every node of a Ray cluster, and ending it."""

from __future__ import annotations

import contextlib
import secrets
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .deadlines import RAY_CALL_S
from .programs import NetsenseError, gcs_flags, run_bridge
from .topology import topology

_LOOK_EVERY_S = 0.25
_SAY_AFTER_S = 1.0
_GIVEN_UP_AFTER = 3  # starts in a row that failed


class WrongSetting(NetsenseError, ValueError):
    """There is no such setting, or it cannot have that value; the text says what it may be."""


@dataclass(frozen=True)
class BridgeStatus:
    """Whether netsense works on one node of the cluster."""

    node_id: str
    address: str
    hostname: str
    is_head: bool
    running: bool  # its actor says that the bridge runs
    reporting: bool  # its report is in the GCS, and fresh
    failures: int  # starts in a row that failed
    reason: str  # why it does not report; "" when it does
    log: str  # the bridge's log file on that node


@contextlib.contextmanager
def connected(address: str | None = None) -> Iterator[None]:
    """Uses the connection of `ray.init` where there is one; else connects to `address` (default "auto"), and leaves again."""
    try:
        import ray
    except ImportError as error:
        raise NetsenseError(f"there is no Ray in this Python ({sys.executable}): install ray-netsense into the one that runs Ray") from error

    if ray.is_initialized():
        yield
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # Ray's advice to programs that use its accelerators
            ray.init(address=address or "auto", log_to_driver=False, logging_level="ERROR")
    except Exception as error:
        raise NetsenseError(
            f"cannot connect to a Ray cluster ({str(error).strip()}): start Ray first (`ray start --head`), or name it by an address"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def up(
    *,
    address: str | None = None,
    enabled: bool = True,
    bandwidth: bool = True,
    settings: Mapping[str, Any] | None = None,
    timeout: float = 60,
) -> tuple[BridgeStatus, ...]:
    """Starts netsense on every node of a running Ray cluster, and on those that join it later; waits until every node reports and, where
    it measures, knows something of each other one.

    `address`: of the cluster, where this process is not connected to it yet; default: as `ray.init` finds it.
    `enabled`, `bandwidth`: measure round trips; measure bandwidth too.
    `settings`: further settings of the whole cluster ({"network_sense_tick_ms": 500}, with or without the prefix).
    `timeout`: seconds to wait for the reports. A node that fails three times is not waited for.

    Call it again to change the settings. One status per node comes back, and says why a node does not report; those nodes are tried on
    and on, also after this returns. WrongSetting for a bad one of `settings`; NetsenseError when the cluster
    can't be reached or nothing could be started.
    """
    with connected(address):
        for name, value in {**(settings or {}), "enabled": enabled, "bw_enabled": bandwidth}.items():
            _set(name, value)
        return _wait_for_reports(_start_supervisor(), enabled, timeout)


def down(*, address: str | None = None, timeout: float = 30) -> int:
    """Ends netsense on all nodes: actors, bridges, engines, and what they keep in the GCS, settings included.

    Returns how many nodes it ran on. Nothing to end is no error; NetsenseError when a node did not answer within `timeout` seconds.
    """
    import ray

    from .supervisor import NAME

    with connected(address):
        _kill(NAME)  # first, so that it starts nothing again
        actors = {name: _find(name) for name in _bridge_names()}
        stops = {actor.stop.remote(): name for name, actor in actors.items() if actor is not None}
        _, waiting = ray.wait(list(stops), num_returns=len(stops), timeout=timeout) if stops else ([], [])
        for name in actors:
            _kill(name)
        _forget_everything()
        if waiting:
            silent = ", ".join(stops[stop].split(":")[1] for stop in waiting)
            raise NetsenseError(f"these nodes did not say within {timeout:g} s that their bridge ended: {silent}")
        return len(actors)


def bridge_states(*, address: str | None = None) -> tuple[BridgeStatus, ...]:
    """Whether netsense works on each node, now. NetsenseError when it was not started by `up`."""
    from .supervisor import NAME

    with connected(address):
        supervisor = _find(NAME)
        if supervisor is None:
            raise NetsenseError("netsense does not run on this cluster: start it by `python -m netsense_ray up`")
        return _look(supervisor)[0]


def _set(name: str, value: Any) -> None:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    done = run_bridge(["config", "set", name, text, *gcs_flags(None)])
    if done.returncode != 0:
        raise (WrongSetting if done.returncode == 2 else NetsenseError)(done.stderr.strip().removeprefix("netsense-bridge: "))


def _start_supervisor() -> Any:
    import ray

    from .supervisor import NAME, Supervisor, actor_options, explain

    if _find(NAME) is None:
        for name in _bridge_names():  # of a supervisor that is gone: they hold another token than the new one's
            _kill(name)
    head = next((node["NodeID"] for node in ray.nodes() if node["Alive"] and "node:__internal_head__" in node["Resources"]), None)
    supervisor: Any = ray.remote(Supervisor).options(**actor_options(NAME, head, soft=True)).remote(secrets.token_hex(32))
    try:
        ray.get(supervisor.states.remote(), timeout=RAY_CALL_S)
    except ray.exceptions.GetTimeoutError:
        raise NetsenseError(f"Ray started no worker for netsense's supervisor within {RAY_CALL_S:g} s: is the head overloaded?") from None
    except ray.exceptions.RayError as error:
        _kill(NAME)
        raise NetsenseError(f"on the head: {explain(error)}") from error
    return supervisor


def _look(supervisor: Any) -> tuple[tuple[BridgeStatus, ...], int]:
    """The nodes, and how many edges between working ones nobody has measured yet."""
    import ray

    from .supervisor import explain

    try:
        states = ray.get(supervisor.states.remote(), timeout=RAY_CALL_S)
    except ray.exceptions.RayError as error:
        raise NetsenseError(f"netsense's supervisor does not answer: {explain(error)}") from error
    seen = topology()
    rows = []
    for node in seen.nodes:
        state = states.get(node.node_id)
        running = state is not None and state.running
        reporting = running and node.state == "OK"
        why = "" if reporting else node.reason if running else state.reason if state else "its actor is being started"
        rows.append(BridgeStatus(node.node_id, node.address, node.hostname, node.is_head, running, reporting,
                                 state.failures if state else 0, why, state.log if state else ""))  # fmt: skip
    working = {row.node_id for row in rows if row.reporting}
    open_edges = sum(edge.state == "UNKNOWN" and {edge.src_node_id, edge.dst_node_id} <= working for edge in seen.edges)
    return tuple(rows), open_edges


def _wait_for_reports(supervisor: Any, measures: bool, timeout: float) -> tuple[BridgeStatus, ...]:
    begin = time.monotonic()
    said = ""
    while True:
        rows, open_edges = _look(supervisor)
        settled = all(row.reporting or row.failures >= _GIVEN_UP_AFTER for row in rows)
        if settled and not (measures and open_edges):
            break
        waited = time.monotonic() - begin
        if waited >= timeout:
            break
        news = f"netsense: {sum(row.reporting for row in rows)} of {len(rows)} nodes report"
        if settled:
            news += f"; edges not measured yet: {open_edges}"
        if waited >= _SAY_AFTER_S and news != said:
            print(news, file=sys.stderr, flush=True)
            said = news
        time.sleep(_LOOK_EVERY_S)
    for row in rows:
        if not row.reporting:
            print(f"netsense: {row.address} ({row.hostname or row.node_id[:8]}) does not report: {row.reason}", file=sys.stderr)
    return rows


def _bridge_names() -> list[str]:
    import ray

    from .supervisor import BRIDGE_PREFIX, NAMESPACE

    named = ray.util.list_named_actors(all_namespaces=True)
    return [actor["name"] for actor in named if actor["namespace"] == NAMESPACE and actor["name"].startswith(BRIDGE_PREFIX)]


def _find(name: str) -> Any:
    """The actor of that name; None where there is none."""
    import ray

    from .supervisor import NAMESPACE

    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return None


def _kill(name: str) -> None:
    """Ends an actor at once, and returns when its name is free."""
    import ray

    deadline = time.monotonic() + RAY_CALL_S
    while (actor := _find(name)) is not None:
        ray.kill(actor)
        if time.monotonic() > deadline:
            raise NetsenseError(f"Ray did not end the actor {name} within {RAY_CALL_S:g} s")
        time.sleep(0.05)


def _forget_everything() -> None:
    """Bridges remove their own keys when they leave; what was killed, and the settings, go here."""
    from ray.experimental import internal_kv

    internal_kv._internal_kv_del(b"", del_by_prefix=True, namespace=b"network_sense")
