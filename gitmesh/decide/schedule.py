"""When a rollout wants attention, and what the guard asks then.

Stage: decide (pure).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gitmesh.decide.transitions import analysis_of
from gitmesh.model.metrics import RequestQuery
from gitmesh.model.rollout import RolloutRecord, Verdict


def next_wake(record: RolloutRecord, now: datetime) -> datetime | None:
    """Return when time alone may move the rollout; None when only an event, or a verdict, can.

    Checks have their own clock, see `next_check`.
    """
    if not record.phase.in_motion or record.next_at is None:
        return None
    return max(record.next_at, now)


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


def queries(record: RolloutRecord, now: datetime) -> tuple[RequestQuery, ...]:
    """Return what to ask for one check: each target once, over the window that fits."""
    if analysis_of(record) is None or not record.phase.in_motion:
        return ()
    window = window_of(record, now)
    return tuple(RequestQuery(target, window) for target in record.targets)


def window_of(record: RolloutRecord, now: datetime) -> timedelta:
    """Return the window of a check: the policy's, but not from before this rollout began.

    Never shorter than one interval, for two samples are needed to count anything.
    """
    analysis = analysis_of(record)
    if analysis is None:
        return timedelta(0)
    age = now - record.started_at if record.started_at else analysis.window
    return max(min(analysis.window, age), analysis.interval)
