"""When a rollout would take which step, if all goes well, and what keeps it from ending at one go.

Stage: decide (pure). Every moment is the earliest one: evidence may take longer, and a gate has no time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitmesh.decide.freezes import frozen_by, next_freeze
from gitmesh.decide.schedule import dated
from gitmesh.decide.transitions import deadline_of, dwell
from gitmesh.decide.windows import opening_at
from gitmesh.model.freeze import Freeze
from gitmesh.model.policy import OnDeadline, RolloutPolicySpec
from gitmesh.model.resource import Resource
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.model.steps import Step
from gitmesh.model.values import format_duration

_TURNS_MAX = 64
DONE = "done"


@dataclass(frozen=True, slots=True)
class Stop:
    """A step and the earliest moment at which it is entered; None: never.

    `gate` has to open before it, where there is one. `is_fixed`: no gate stands before it or an earlier one.
    """

    label: str
    at: datetime | None
    gate: str = ""
    is_fixed: bool = True


@dataclass(frozen=True, slots=True)
class Timeline:
    """All stops of a rollout from now on, the last of them its end, and what speaks against them."""

    stops: tuple[Stop, ...]
    warnings: tuple[str, ...] = ()


def timeline(
    record: RolloutRecord, service: Resource, freezes: tuple[Freeze, ...], now: datetime
) -> Timeline | None:
    """Return the way of a rollout that waits or is in motion; None for one at rest."""
    policy = record.policy_spec
    if policy is None or not (record.phase.in_motion or record.phase is Phase.WAITING):
        return None
    ahead = _Ahead(record, policy, service, freezes, now)
    stops = tuple(ahead.stops())
    return Timeline(stops, tuple(ahead.warnings(stops)))


@dataclass(slots=True)
class _Ahead:
    """Walks through the steps to come."""

    record: RolloutRecord
    policy: RolloutPolicySpec
    service: Resource
    freezes: tuple[Freeze, ...]
    now: datetime

    def stops(self) -> Iterator[Stop]:
        record = self.record
        first = 0 if record.phase is Phase.WAITING else max(record.step, 0)
        at: datetime | None = self._open(self.now) if record.phase is Phase.WAITING else self.now
        steps = self._steps()
        yield Stop(_label(steps[first]), at)
        is_fixed = True
        for index in range(first, len(steps)):
            gate = steps[index].gate
            is_fixed = is_fixed and gate is None
            at = self._open(self._leaves(index, first, at)) if at else None
            label = _label(steps[index + 1]) if index + 1 < len(steps) else DONE
            yield Stop(label, at, gate.text if gate else "", is_fixed)

    def _steps(self) -> tuple[Step, ...]:
        """The steps, or the one that a change which is live at once has."""
        return self.policy.steps if self.record.steps else (Step(progress=100.0),)

    def _leaves(self, index: int, first: int, entered: datetime) -> datetime:
        """Return when the time of a step is over at the earliest."""
        record = self.record
        if index == first and record.phase.in_motion:
            return max((record.effective_at or self.now) + dwell(record), self.now)
        hold = self._steps()[index].hold if record.steps else timedelta(0)
        is_last = index == len(self._steps()) - 1
        return entered + hold + (self.policy.bake if is_last else timedelta(0))

    def _open(self, at: datetime) -> datetime | None:
        """Return the first moment from this one on at which a step may be taken; None: never."""
        for _ in range(_TURNS_MAX):
            freeze = frozen_by(self.freezes, self.service.key, self.service.spec, at)
            if freeze is not None:
                at = freeze.end
                continue
            opening = opening_at(self.policy.windows, at)
            if opening.is_open:
                return at
            if opening.until is None:
                return None
            at = opening.until
        return None

    def warnings(self, stops: tuple[Stop, ...]) -> Iterator[str]:
        """Say why the rollout would not end at one go, or not in time."""
        begin, end = stops[0].at, stops[-1].at
        if begin is None:
            yield "it can never begin: its windows never open"
            return
        yield from self._interruption(stops, begin, end)
        if end is None or self.policy.deadline is None:
            return
        due = deadline_of(self.record) or begin + self.policy.deadline
        if end >= due:
            goes_back = self.policy.on_deadline is OnDeadline.ROLL_BACK
            then = "is rolled back" if goes_back else "stays where it is"
            text = format_duration(self.policy.deadline)
            yield f"it cannot end before {dated(end)}, and {then} at {dated(due)}: its deadline is {text}"

    def _interruption(self, stops: tuple[Stop, ...], begin: datetime, end: datetime | None) -> Iterator[str]:
        """Tell the first window that closes, or freeze that begins, before the rollout can end."""
        opening = opening_at(self.policy.windows, self._open(begin) or begin)
        closes = opening.until if opening.is_open else None
        freeze = next_freeze(self.freezes, self.service.key, self.service.spec, begin)
        shuts = [(closes, "its window closes")] if closes else []
        shuts += [(freeze.start, f"{freeze.text} begins")] if freeze else []
        if not shuts:
            return
        moment, what = min(shuts)
        if end is not None and end <= moment:
            return
        there = [stop for stop in stops if stop.at is not None and stop.at <= moment]
        after = next((stop.at for stop in stops if stop.at is not None and stop.at > moment), None)
        until = f" until {dated(after)}" if after else ""
        yield f"it cannot end before {what}, {dated(moment)}: it stays at {there[-1].label}{until}"


def _label(step: Step) -> str:
    if step.match:
        return "chosen requests"
    return f"mirror {step.mirror:g} %" if step.mirror else f"{step.progress:g} %"
