"""What people ask of rollouts, seen the moment that they ask.

Stage: engine (shell).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitmesh.engine.rollouts import read_intent, rollout_key
from gitmesh.model.kinds import TRAFFIC_ROLLOUT, TRAFFIC_SOURCE
from gitmesh.model.resource import ResourceKey
from gitmesh.model.rollout import Phase
from gitmesh.observe.live import LiveState


def asked_back(key: ResourceKey, live: LiveState) -> ResourceKey | None:
    """Return the source of a TrafficRollout that has just been asked to go back; None when it has not."""
    rollout = live.rollouts.get(rollout_key(key)) if key.kind == TRAFFIC_ROLLOUT.kind else None
    if rollout is None:
        return None
    status: Mapping[str, Any] = rollout.body.get("status") or {}
    unwanted = read_intent(rollout).roll_back
    if not unwanted or unwanted != _leaving(status):
        return None
    namespace, _, name = str(status.get("source", "")).partition("/")
    return TRAFFIC_SOURCE.key(namespace, name)


def _leaving(status: Mapping[str, Any]) -> str:
    """Return the content that a rollback takes away now, by the status of a TrafficRollout."""
    phase = status.get("phase")
    if phase == Phase.SUCCEEDED.value:
        return str((status.get("stable") or {}).get("hash", "")) if status.get("previous") else ""
    return "" if phase == Phase.ROLLED_BACK.value else str(status.get("canaryHash", ""))
