"""What the cluster's nodes measured, as typed rows.

The rows are what `netsense-bridge status --json` says, so there is one place that decides which state an edge is in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from .programs import NetsenseError, gcs_flags, run_bridge


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is alive, and the report that its bridge wrote."""

    node_id: str  # as Ray shows it: 56 hex digits
    address: str
    hostname: str
    is_head: bool
    state: str  # of its report: OK, STALE or UNKNOWN
    reason: str  # why it is not OK; may hold a remark when it is
    reachable: bool  # by at least half of the nodes that can tell
    report_age_ms: int | None  # None = no report


@dataclass(frozen=True, slots=True)
class Slow:
    """A mark on an OK edge: slow beside others of its class. Its figures are true."""

    bw_times: float | None  # how many times less bandwidth than usual; None = as usual
    rtt_times: float | None  # how many times longer round trips
    reason: str  # beside what, in words


@dataclass(frozen=True, slots=True)
class Edge:
    """One direction between two nodes, by one transport and rail. None = not known: never taken for good, never for zero.

    Times are milliseconds, bandwidths decimal megabits of payload a second. Round trips are full ones.
    """

    src_node_id: str
    dst_node_id: str
    transport: str  # tcp, grpc, ucx, verbs; "" = nobody has reported this pair
    fabric: str
    rail: int | None
    state: str  # OK, DEGRADED, STALE, UNREACHABLE, REFUSED, UNKNOWN, VERSION_MISMATCH, ISOLATED
    reason: str
    rtt_ms: float | None  # smoothed
    rtt_p50_ms: float | None
    network_rtt_p50_ms: float | None  # without the time that the responder held it
    jitter_ms: float | None  # p95 - p50
    bw_mbps: float | None  # smoothed
    bw_p50_mbps: float | None
    bw_percent: float | None  # bw_p50_mbps in percent of what the path could carry
    rtt_age_ms: int | None
    bw_age_ms: int | None
    age_ms: int | None  # of the report
    cross_rail: bool = False  # between two different rails
    bw_state: str | None = None  # MEASURED, FAILED (the newest probes failed), NOT_KNOWN; only a measured one has figures
    bw_reason: str | None = None  # why it has none, or why the last probe gave none
    bw_life_ms: int | None = None  # so long bw_p50_mbps counts, from its probe on, and then is None; None = no bandwidth probes on this edge
    slow: Slow | None = None

    @property
    def bw_not_known(self) -> bool:
        """Whether bandwidth is probed on this edge, which is OK, and has no figure that counts: bw_reason says why (too old, say)."""
        return self.state == "OK" and self.bw_life_ms is not None and self.bw_p50_mbps is None

    def figure(self, by: Literal["bandwidth", "rtt"]) -> float | None:
        """bw_p50_mbps or rtt_p50_ms where one may go by it: the edge is OK. (What is past its life is None, or makes the edge STALE.)"""
        if self.state != "OK":
            return None
        return self.bw_p50_mbps if by == "bandwidth" else self.rtt_p50_ms

    def why_no_figure(self, by: Literal["bandwidth", "rtt"]) -> str:
        """In words; of an edge without one."""
        if self.state != "OK":
            return f"{self.state}: {self.reason or 'no figure'}"
        if by == "bandwidth" and self.bw_not_known:
            return f"its bandwidth is not known: {self.bw_reason or 'not measured yet'}"
        return f"OK, and no {by} is measured"


@dataclass(frozen=True, slots=True)
class Topology:
    """All alive nodes, and at least one edge for every ordered pair of them, at one moment."""

    generated_at_ms: int  # since the Unix epoch
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    warnings: tuple[str, ...]

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Topology:
        """From the payload of `netsense-bridge status --json` or of GET /api/v0/network_topology."""
        return cls(
            generated_at_ms=payload["generated_at_ms"],
            nodes=tuple(_row(Node, node) for node in payload["nodes"]),
            edges=tuple(_row(Edge, {**edge, "slow": _row(Slow, slow) if (slow := edge.get("slow")) else None}) for edge in payload["edges"]),
            warnings=tuple(payload.get("warnings", ())),
        )


def _row(kind: type, values: Mapping[str, Any]) -> Any:
    return kind(**{field.name: values.get(field.name, None if field.default is MISSING else field.default) for field in fields(kind)})


def topology(address: str | None = None, *, timeout: float = 30) -> Topology:
    """What is known of the cluster's edges now.

    `address`: HOST:PORT of the GCS; by default the cluster that this process is connected to, else the one of this host. Takes some
    milliseconds; may be called from any thread. NetsenseError when the GCS could not be asked.
    """
    return Topology.from_payload(topology_payload(address, timeout=timeout))


def topology_payload(address: str | None = None, *, timeout: float = 30) -> dict[str, Any]:
    """The same as the JSON object that GET /api/v0/network_topology gives, with every field."""
    done = run_bridge(["status", "--json", *gcs_flags(address)], timeout)
    if done.returncode not in (0, 1):  # 1: some edge is not good, which the rows say
        raise NetsenseError(done.stderr.strip() or f"netsense-bridge status ended with exit code {done.returncode}")
    payload: dict[str, Any] = json.loads(done.stdout)
    return payload
