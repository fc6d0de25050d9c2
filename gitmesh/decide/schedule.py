"""When a rollout wants attention, and over which time the guard looks then.

Stage: decide (pure).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta, tzinfo

from gitmesh.decide.freezes import frozen_by
from gitmesh.decide.transitions import analysis_of, deadline_of
from gitmesh.model.calendar import zone_named
from gitmesh.model.freeze import Freeze
from gitmesh.model.intent import Overrule, Overruling
from gitmesh.model.policy import RolloutPolicySpec
from gitmesh.model.resource import Resource
from gitmesh.model.rollout import Hold, Phase, RolloutRecord, Verdict
from gitmesh.model.windows import Calendar

_FREEZE_DENIES, _POLICY_DENIES = "; it lets nobody overrule it", "; the policy lets nobody overrule them"
_SAME_YEAR = timedelta(days=300)  # so far from now nobody takes a date for that of another year


def next_wake(record: RolloutRecord, now: datetime) -> datetime | None:
    """Return when time alone may move the rollout; None when only an event, or a verdict, can.

    Checks have their own clock, see `next_check`.
    """
    moments = [record.next_at] if record.phase.in_motion or record.phase is Phase.WAITING else []
    due = deadline_of(record)
    if due is not None and due > now:  # one that has passed was heeded already, or is on its way to be
        moments.append(due)
    return min((max(moment, now) for moment in moments if moment is not None), default=None)


def shut_now(
    policy: RolloutPolicySpec | None,
    service: Resource,
    freezes: Collection[Freeze],
    calendar: Calendar,
    overruling: Overruling | None = None,
) -> Hold | None:
    """Return what keeps everything from going forward for a time; None when nothing does.

    `overruling`: what a person has said against windows, and against freezes by their names. Both say
    themselves whether that counts.
    """
    named = overruling.freezes if overruling else frozenset()
    if named:
        freezes = [f for f in freezes if f.name not in named or f.overrule is Overrule.DENIED]
    freeze = frozen_by(freezes, service.key, service.spec, calendar.now)
    if freeze is not None:
        denied = _FREEZE_DENIES if freeze.name in named else ""
        return Hold(f"{freeze.text}, until {dated(freeze.end, calendar.now)}{denied}", until=freeze.end)
    opening = calendar.opening(policy.windows if policy else ())
    if policy is None or opening.is_open:
        return None
    if overruling and policy.overrule is Overrule.ALLOWED:
        return None
    denied = _POLICY_DENIES if overruling else ""
    if opening.until is None:
        return Hold(f"its windows never open: {opening.problem or 'there is no such day'}{denied}")
    return Hold(
        f"outside its windows until {dated(opening.until, calendar.now)}{denied}", until=opening.until
    )


def past(
    policy: RolloutPolicySpec | None,
    service: Resource,
    freezes: Collection[Freeze],
    calendar: Calendar,
    overruling: Overruling | None,
) -> str:
    """Say what would hold a step if nobody had said otherwise, and who did; empty when nothing would."""
    if overruling is None:
        return ""
    if shut_now(policy, service, freezes, calendar, overruling) is not None:
        return ""
    would = shut_now(policy, service, freezes, calendar)
    return f"although {would.reason}: overruled{overruling.text}" if would else ""


def dated(moment: datetime, now: datetime, zone: tuple[tzinfo, str] = (UTC, "UTC")) -> str:
    """Write a moment that may be on another day, or in another year."""
    year = " %Y" if abs(moment - now) > _SAME_YEAR else ""
    return f"{moment.astimezone(zone[0]):%a %d %b{year} %H:%M} {zone[1]}"


def zone_of(policy: RolloutPolicySpec) -> tuple[tzinfo, str]:
    """Return the time zone in which the people who wrote the policy think, and its name."""
    names = [window.timezone for window in policy.windows]
    zone = zone_named(names[0]) if names else None
    return (zone, names[0]) if zone else (UTC, "UTC")


def next_check(record: RolloutRecord, latest: Verdict | None, now: datetime) -> datetime | None:
    """Return when the guard measures next (at the earliest now); None when it has nothing to measure.

    `latest` is the last verdict of this rollout, whether or not the record has taken it yet.
    """
    analysis = analysis_of(record)
    if analysis is None or not record.phase.in_motion or not record.targets:
        return None
    verdict = latest or record.verdict
    last = verdict.at if verdict else record.started_at or now
    # A clock that was set back must not silence the guard.
    return now if last > now else max(last + analysis.interval, now)


def window_of(record: RolloutRecord, now: datetime) -> timedelta:
    """Return the window of a check: the policy's, but not from before this rollout began.

    Never shorter than one interval, for two samples are needed to count anything.
    """
    analysis = analysis_of(record)
    if analysis is None:
        return timedelta(0)
    age = now - record.started_at if record.started_at else analysis.window
    return max(min(analysis.window, age), analysis.interval)
