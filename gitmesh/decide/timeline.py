"""When each rollout would take which step, if all goes well, and what keeps it from ending at one go.

Stage: decide (pure). Every moment is the earliest one: evidence may take longer, and a gate has no time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gitmesh.decide.ahead import DONE as DONE
from gitmesh.decide.ahead import Ahead, Way
from gitmesh.decide.ahead import Stop as Stop
from gitmesh.decide.freezes import frozen_by
from gitmesh.decide.schedule import dated, zone_of
from gitmesh.decide.transitions import deadline_of
from gitmesh.model.freeze import Freeze
from gitmesh.model.policy import OnDeadline
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.model.values import format_duration
from gitmesh.model.windows import opening_at

_UTC = (UTC, "UTC")
NEVER = "not within a year"


@dataclass(frozen=True, slots=True)
class Timeline:
    """All stops of a rollout from now on, the last of them its end, and what speaks against them."""

    stops: tuple[Stop, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """One rollout as it stands now. `policy`: the name to count it under."""

    record: RolloutRecord
    service: Resource
    policy: str = ""


def timelines(
    rollouts: Mapping[ResourceKey, Standing],
    freezes: tuple[Freeze, ...],
    now: datetime,
    *,
    elsewhere: Callable[[ResourceKey], RolloutRecord | None] = lambda key: None,
    exists: Callable[[ResourceKey], bool] = lambda key: True,
) -> dict[ResourceKey, Timeline]:
    """Return the way of every rollout that waits or is in motion. Those at rest count for the others.

    `elsewhere` knows the rollouts of other sources, and `exists` which objects there are.
    """
    ways = {key: Way(one.record, one.service, one.policy) for key, one in rollouts.items()}
    is_whole = Ahead(ways, freezes, now, elsewhere, exists).play()
    found: dict[ResourceKey, Timeline] = {}
    for key, one in rollouts.items():
        if one.record.policy_spec is None or not _is_to_come(one.record):
            continue
        warnings = tuple(_Warnings(one.record, ways, key, freezes, now, is_whole).all())
        found[key] = Timeline(tuple(ways[key].stops), warnings)
    return found


def _is_to_come(record: RolloutRecord) -> bool:
    return record.phase.in_motion or record.phase is Phase.WAITING


@dataclass(frozen=True, slots=True)
class _Warnings:
    """What speaks against the way of one rollout."""

    record: RolloutRecord  # as it stands now
    ways: Mapping[ResourceKey, Way]
    key: ResourceKey
    freezes: tuple[Freeze, ...]
    now: datetime
    is_whole: bool

    def all(self) -> Iterator[str]:
        """Say why the rollout would not end at one go, or not in time."""
        way = self.ways[self.key]
        if self.record.suspended:
            yield f"it is {self.record.suspended}: nothing goes forward before it is resumed"
        if not self.is_whole:
            yield "too many rollouts depend on one another to tell what comes later"
            return
        yield from self._interruption(way)
        if not way.is_over:
            there = [stop for stop in way.stops if stop.at is not None]
            past = f"get past {there[-1].label}" if there else "begin"
            yield f"it does not {past} within a year: {way.held}"
        yield from self._lateness(way)

    def _interruption(self, way: Way) -> Iterator[str]:
        """Tell the first window that closes, or freeze that begins, before the rollout can end."""
        if way.shut is None:
            return
        other = self.ways[way.shut.whose]
        by = f" of {way.shut.whose.name}, of its group," if other is not way else ""
        freeze = frozen_by(self.freezes, way.shut.whose, other.service.spec, way.shut.since)
        if freeze is not None:
            moment, what = freeze.start, f"{freeze.text} begins{' for' + by[3:-1] if by else ''}"
        else:
            windows = other.record.policy_spec.windows if other.record.policy_spec else ()
            closes = opening_at(windows, way.shut.open_at).until
            moment, what = closes or way.shut.since, f"{'the' if by else 'its'} window{by} closes"
        there = [stop for stop in way.stops if stop.at is not None and stop.at <= way.shut.since]
        after = next((stop.at for stop in way.stops if stop.at and stop.at > way.shut.since), None)
        until = f" until {self._dated(after)}" if after else ""
        yield f"it cannot end before {what}, {self._dated(moment)}: it stays at {there[-1].label}{until}"

    def _dated(self, moment: datetime) -> str:
        return dated(moment, self.now, zone_of(self.record.policy_spec) if self.record.policy_spec else _UTC)

    def _lateness(self, way: Way) -> Iterator[str]:
        policy, begin, end = self.record.policy_spec, way.stops[0].at, way.stops[-1].at
        if policy is None or policy.deadline is None or begin is None:
            return
        due = deadline_of(self.record) or begin + policy.deadline
        if end is not None and end < due:
            return
        then = "is rolled back" if policy.on_deadline is OnDeadline.ROLL_BACK else "stays where it is"
        late = f"before {self._dated(end)}" if end else "in time"
        text = format_duration(policy.deadline)
        yield f"it cannot end {late}, and {then} at {self._dated(due)}: its deadline is {text}"
