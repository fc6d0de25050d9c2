"""The dated way of each rollout, as `gitmesh plan` shows it.

Stage: none (face).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Any

from gitmesh.decide.schedule import zone_of
from gitmesh.decide.timeline import NEVER, Standing, Stop, Timeline, timelines
from gitmesh.engine.memory import Desired, Moved
from gitmesh.engine.rollouts import read_record, rollout_key
from gitmesh.model.policy import RolloutPolicySpec
from gitmesh.model.resource import ResourceKey
from gitmesh.model.rollout import RolloutRecord
from gitmesh.observe.live import LiveState

_SOON = timedelta(days=6)  # within it a day of the week says which day is meant
_MINUTE = timedelta(minutes=1)

Ways = list[tuple[ResourceKey, RolloutRecord, Timeline]]


def ways_of(moved: Iterable[Moved], desired: Desired, now: datetime, live: LiveState | None = None) -> Ways:
    """Return the way of every rollout that is not at rest."""
    standing: dict[ResourceKey, Standing] = {}
    for item in moved:
        if service := desired.resources.get(item.key):
            policy = desired.policy_of(service)
            standing[item.key] = Standing(item.after, service, policy.full_name if policy else "")

    def elsewhere(key: ResourceKey) -> RolloutRecord | None:
        return read_record(live.rollouts.get(rollout_key(key))) if live else None

    def exists(key: ResourceKey) -> bool:
        return key in desired.resources or live is None or key in live.resources

    found = timelines(standing, desired.freezes, now, elsewhere=elsewhere, exists=exists)
    return [(key, standing[key].record, way) for key, way in found.items()]


def render_ways(ways: Ways, now: datetime) -> Iterator[str]:
    """Yield the way of each rollout in a line, and what speaks against it in others."""
    for key, record, way in ways:
        assert record.policy_spec is not None
        zone, name = zone_of(record.policy_spec)
        seconds = _wants_seconds(record.policy_spec)
        stops = ", ".join(_stop(stop, now, zone, seconds) for stop in way.stops)
        yield f"{key} by policy {record.policy or '(frozen)'}: {stops} ({name})"
        yield from (f"warning: {key}: {warning}" for warning in way.warnings)


def ways_as_json(ways: Ways) -> list[dict[str, Any]]:
    """Return the ways as programs read them."""
    return [
        {
            "name": str(key),
            "policy": record.policy,
            "stops": [
                {
                    "label": stop.label,
                    "notBefore": stop.at.isoformat() if stop.at else None,
                    **({"gate": stop.gate} if stop.gate else {}),
                    **({"after": stop.after} if stop.after else {}),
                }
                for stop in way.stops
            ],
            "warnings": list(way.warnings),
        }
        for key, record, way in ways
    ]


def _wants_seconds(policy: RolloutPolicySpec) -> bool:
    return any(time % _MINUTE for time in (policy.bake, *(step.hold for step in policy.steps)))


def _stop(stop: Stop, now: datetime, zone: tzinfo, seconds: bool) -> str:
    gate = "".join(f"{condition}, " for condition in (stop.after, stop.gate) if condition)
    if stop.at is None:
        return f"{gate}{stop.label} {NEVER}"
    if stop.at <= now:
        return f"{gate}{stop.label} now"
    day = "%a" if stop.at - now < _SOON else "%a %d %b"
    moment = f"{stop.at.astimezone(zone):{day} %H:%M{':%S' if seconds else ''}}"
    return f"{gate}{stop.label} {'' if stop.is_fixed else 'not before '}{moment}"
