"""What runs inside the one supervisor of a cluster: it gives every node its actor, new nodes too."""

from __future__ import annotations

import threading
import time
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from .node_bridge import BridgeState, NodeBridge

NAMESPACE = "netsense"
NAME = "supervisor"
BRIDGE_PREFIX = "bridge:"

_LOOK_EVERY_S = 1.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_SLOW_START_S = 15.0


def actor_options(name: str, node_id: str | None, soft: bool = False) -> dict[str, Any]:
    """Of every actor of ours: detached, taking no CPU, restarted by Ray as often as it dies."""
    options: dict[str, Any] = {"name": name, "namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True, "num_cpus": 0, "max_restarts": -1}
    if node_id is not None:
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node_id, soft=soft)
    return options


def explain(error: BaseException) -> str:
    """What a failed call of an actor means to a person."""
    text = str(error)
    if "No module named 'netsense_ray'" in text:
        return "ray-netsense is not installed in the Python of this node's workers: install the same wheel there"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"its actor does not run: {lines[-1] if lines else type(error).__name__}"


class _Node:
    """One node, its actor, and what that said last."""

    def __init__(self) -> None:
        self.actor: Any = None
        self.question: Any = None  # the call that is under way
        self.asked_at = 0.0
        self.state = BridgeState(False, None, 0, "its actor is being started", "")
        self.deaths = 0
        self.start_at = 0.0  # by the monotonic clock; not before


class Supervisor:
    """The actor. Its thread looks at the nodes once a second; methods only tell what it saw."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._nodes: dict[str, _Node] = {}
        threading.Thread(target=self._look_on, daemon=True).start()

    def states(self) -> dict[str, BridgeState]:
        """Of the bridges, by node id."""
        return {node_id: node.state for node_id, node in list(self._nodes.items())}

    def _look_on(self) -> None:
        while True:
            try:
                self._look()
            except Exception as error:  # an outage of the GCS, say: the next look may be luckier
                print(f"netsense: cannot look at the nodes: {error}", flush=True)
            time.sleep(_LOOK_EVERY_S)

    def _look(self) -> None:
        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        for node_id in set(self._nodes) - alive:
            self._forget(self._nodes.pop(node_id))
        for node_id in alive:
            node = self._nodes.setdefault(node_id, _Node())
            if node.actor is None and time.monotonic() >= node.start_at:
                options = actor_options(BRIDGE_PREFIX + node_id, node_id)
                node.actor = ray.remote(NodeBridge).options(**options).remote(self._token)
            if node.actor is not None and node.question is None:
                node.question, node.asked_at = node.actor.state.remote(), time.monotonic()
        self._hear()

    def _hear(self) -> None:
        asked = {node.question: node for node in self._nodes.values() if node.question is not None}
        if not asked:
            return
        answered, waiting = ray.wait(list(asked), num_returns=len(asked), timeout=_LOOK_EVERY_S)
        for question in answered:
            node = asked[question]
            node.question = None
            try:
                node.state = ray.get(question)
                node.deaths = 0
            except ray.exceptions.ActorUnavailableError:
                pass  # Ray starts it again by itself, or says next time that it is dead
            except Exception as error:
                self._start_later(node, explain(error))
        for question in waiting:
            node = asked[question]
            waits = time.monotonic() - node.asked_at
            if waits > _SLOW_START_S:
                reason = f"its actor has not answered for {waits:.0f} s: can Ray start workers on that node?"
                node.state = BridgeState(False, None, node.state.failures, reason, "")

    def _start_later(self, node: _Node, reason: str) -> None:
        self._forget(node)
        node.actor = None
        node.deaths += 1
        node.start_at = time.monotonic() + min(_FIRST_PAUSE_S * 2**node.deaths, _LONGEST_PAUSE_S)
        node.state = BridgeState(False, None, node.deaths, reason, "")

    @staticmethod
    def _forget(node: _Node) -> None:
        if node.actor is not None:
            ray.kill(node.actor)
