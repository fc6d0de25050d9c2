"""Whether a rollout can end before its deadline: by its holds alone, and with its windows.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.policy import RolloutPolicySpec
from gitmesh.model.values import format_duration
from gitmesh.model.windows import opening_at, problem_of
from gitmesh.validate.subject import Subject

_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)  # whichever it is, windows come again
_OPENINGS = 70  # ten weeks of days: what repeats from week to week is seen, also where clocks are set
_LOOKS_MAX = 2_000
_MOMENT = timedelta(seconds=1)


def check_deadline(subject: Subject, spec: RolloutPolicySpec) -> Iterator[Diagnostic]:
    """Yield a deadline that no rollout can keep."""
    if spec.deadline is None:
        return
    holds = [step.hold for step in spec.steps]
    holds[-1] += spec.bake
    takes, deadline = sum(holds, timedelta(0)), format_duration(spec.deadline)
    if takes >= spec.deadline:
        message = f"holds and bake take {format_duration(takes)}, and the deadline is {deadline}"
        hint = "make it longer, or hold for less"
        yield subject.finding(
            "GM307", f"{message}: no rollout could end in time", ("spec", "deadline"), hint=hint
        )
    elif spec.windows and not any(map(problem_of, spec.windows)):
        soonest = _Ahead(spec, tuple(holds)).soonest()
        if soonest is not None and soonest >= spec.deadline:
            message = f"by its windows a rollout ends {format_duration(soonest)} after its first step at the"
            hint = "make the deadline longer, or the windows: what is closed counts too"
            yield subject.finding(
                "GM307", f"{message} soonest, and the deadline is {deadline}", ("spec", "deadline"), hint=hint
            )


@dataclass(slots=True)
class _Ahead:
    """Looks for the begin from which a rollout takes least time. Steps are taken when windows are open."""

    spec: RolloutPolicySpec
    holds: tuple[timedelta, ...]
    _looks: int = field(default=0)

    def soonest(self) -> timedelta | None:
        """Return the least time that it takes; None when that cannot be told."""
        least: timedelta | None = None
        assert self.spec.deadline is not None
        for begin in self._begins():
            takes = self._takes(begin)
            if takes is None or self._looks > _LOOKS_MAX:
                return None
            least = takes if least is None else min(least, takes)
            if least < self.spec.deadline:
                break
        return least

    def _begins(self) -> Iterator[datetime]:
        """Yield when to begin: as windows open, and so that a hold ends just before they close.

        To begin a little later takes less time, until a step falls behind the end of a window.
        """
        at: datetime | None = _SOME_DAY
        for _ in range(_OPENINGS):
            at = self._open_from(at) if at else None
            closes = opening_at(self.spec.windows, at).until if at else None
            if at is None or closes is None:
                return
            yield at
            for held in accumulate(self.holds, initial=timedelta(0)):
                if closes - held - _MOMENT > at:
                    yield closes - held - _MOMENT
            at = closes

    def _takes(self, begin: datetime) -> timedelta | None:
        at: datetime | None = begin
        for hold in self.holds:
            at = self._open_from(at + hold) if at else None
        return at - begin if at else None

    def _open_from(self, at: datetime) -> datetime | None:
        self._looks += 1
        opening = opening_at(self.spec.windows, at)
        return at if opening.is_open else opening.until
