"""The dated way of each rollout, as `gitmesh plan` shows it.

Stage: none (face).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from gitmesh.decide.timeline import Stop, Timeline, timeline
from gitmesh.engine.memory import Desired, Moved
from gitmesh.model.calendar import zone_named
from gitmesh.model.policy import RolloutPolicySpec
from gitmesh.model.resource import ResourceKey
from gitmesh.model.rollout import RolloutRecord

_SOON = timedelta(days=6)  # within it a day of the week says which day is meant
_MINUTE = timedelta(minutes=1)

Ways = list[tuple[ResourceKey, RolloutRecord, Timeline]]


def ways_of(moved: Iterable[Moved], desired: Desired, now: datetime) -> Ways:
    """Return the way of every rollout that is not at rest."""
    found: Ways = []
    for item in moved:
        service = desired.resources.get(item.key)
        way = timeline(item.after, service, desired.freezes, now) if service else None
        if way is not None:
            found.append((item.key, item.after, way))
    return found


def render_ways(ways: Ways, now: datetime) -> Iterator[str]:
    """Yield the way of each rollout in a line, and what speaks against it in others."""
    for key, record, way in ways:
        assert record.policy_spec is not None
        zone, name = _zone(record.policy_spec)
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
                }
                for stop in way.stops
            ],
            "warnings": list(way.warnings),
        }
        for key, record, way in ways
    ]


def _zone(policy: RolloutPolicySpec) -> tuple[tzinfo, str]:
    """Return the time zone in which the people who wrote the policy think."""
    names = [window.timezone for window in policy.windows]
    zone = zone_named(names[0]) if names else None
    return (zone, names[0]) if zone else (UTC, "UTC")


def _wants_seconds(policy: RolloutPolicySpec) -> bool:
    return any(time % _MINUTE for time in (policy.bake, *(step.hold for step in policy.steps)))


def _stop(stop: Stop, now: datetime, zone: tzinfo, seconds: bool) -> str:
    gate = f"{stop.gate}, " if stop.gate else ""
    if stop.at is None:
        return f"{gate}{stop.label} never"
    if stop.at <= now:
        return f"{gate}{stop.label} now"
    day = "%a" if stop.at - now < _SOON else "%a %d %b"
    moment = f"{stop.at.astimezone(zone):{day} %H:%M{':%S' if seconds else ''}}"
    return f"{gate}{stop.label} {'' if stop.is_fixed else 'not before '}{moment}"
