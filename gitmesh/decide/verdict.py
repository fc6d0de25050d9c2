"""Verdicts: what the statistics of one check come to.

Stage: decide (pure). Four outcomes, worst first: fail, blind, insufficient, pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

from gitmesh.decide.schedule import window_of
from gitmesh.decide.transitions import analysis_of, changed
from gitmesh.model.analysis import Analysis, ErrorRate, Response
from gitmesh.model.metrics import MetricsFailure, RequestStats
from gitmesh.model.rollout import Evidence, Outcome, RolloutRecord, Target, Verdict
from gitmesh.model.values import format_duration

__all__ = ["MetricsFailure", "judge", "take_verdict"]

WORST_FIRST = (Outcome.FAIL, Outcome.BLIND, Outcome.INSUFFICIENT, Outcome.PASS)


def judge(
    record: RolloutRecord, stats: Mapping[Target, RequestStats | MetricsFailure], now: datetime
) -> Verdict:
    """Judge every metric for every target of a rollout. A target without an answer is blind."""
    analysis = analysis_of(record)
    metrics = analysis.metrics if analysis else ()
    window = window_of(record, now)
    evidence = tuple(
        _judge_one(metric, target, stats.get(target, MetricsFailure("no answer")), window.total_seconds())
        for metric in metrics
        for target in record.targets
    )
    outcomes = {item.outcome for item in evidence}
    worst = next((outcome for outcome in WORST_FIRST if outcome in outcomes), Outcome.INSUFFICIENT)
    return Verdict(at=now, outcome=worst, evidence=evidence)


def take_verdict(record: RolloutRecord, verdict: Verdict) -> RolloutRecord:
    """Count a verdict, once. Only a pass resets the count of failed checks.

    Ignored: one that was taken already, and one from before this rollout. One from before the present step
    may still count as a failure, for its requests were this canary's. A pass from then proves nothing for
    the step; it does end a row of failures, which keeps the step from going live.
    """
    analysis = analysis_of(record)
    if analysis is None or not record.targets or not record.phase.in_motion or not _is_news(record, verdict):
        return record
    failed = _counts_as_failed(analysis, verdict.outcome)
    before_step = record.effective_at is None or verdict.at < record.effective_at
    ends_row = verdict.outcome is Outcome.PASS and record.failed_checks > 0
    if before_step and not (failed or ends_row):
        return record
    count = record.failed_checks
    if failed:
        count += 1
    elif verdict.outcome is Outcome.PASS:
        count = 0
    return changed(record, verdict=verdict, failed_checks=count)


def _is_news(record: RolloutRecord, verdict: Verdict) -> bool:
    if record.started_at is not None and verdict.at < record.started_at:
        return False
    return record.verdict is None or verdict.at != record.verdict.at


def _counts_as_failed(analysis: Analysis, outcome: Outcome) -> bool:
    match outcome:
        case Outcome.FAIL:
            return True
        case Outcome.INSUFFICIENT:
            return analysis.on_insufficient_data is Response.ROLL_BACK
        case Outcome.BLIND:
            return analysis.on_metrics_unavailable is Response.ROLL_BACK
        case Outcome.PASS:
            return False


def _judge_one(
    metric: ErrorRate, target: Target, stats: RequestStats | MetricsFailure, window_seconds: float
) -> Evidence:
    base = Evidence(
        metric=metric.name,
        outcome=Outcome.BLIND,
        target=target,
        bound=metric.max,
        window_seconds=window_seconds,
    )
    if isinstance(stats, MetricsFailure):
        return _with(base, message=f"{stats.message} ({_name(target)})")
    counts = _with(base, query=stats.query)
    if not _is_count(stats.requests) or not _is_count(stats.failed) or stats.failed > stats.requests:
        return _with(
            counts,
            message=f"not countable: {stats.failed:g} of {stats.requests:g} requests ({_name(target)})",
        )
    counts = _with(counts, requests=stats.requests, failed_requests=stats.failed)
    if stats.requests < metric.min_requests:
        seen = f"{stats.requests:.0f} of {metric.min_requests} requests"
        return _with(
            counts,
            outcome=Outcome.INSUFFICIENT,
            message=f"{seen} in {_seconds(window_seconds)}, {_name(target)}",
        )
    percent = stats.failed * 100 / stats.requests
    return _with(
        counts,
        outcome=Outcome.FAIL if percent > metric.max else Outcome.PASS,
        value=percent,
        message=f"{_percent(percent)} % errors, limit {metric.max:g} % ({stats.failed:.0f} of "
        f"{stats.requests:.0f} requests in {_seconds(window_seconds)}, {_name(target)})",
    )


def _with(evidence: Evidence, **fields: object) -> Evidence:
    return evidence.model_copy(update=fields)


def _is_count(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _percent(value: float) -> str:
    """Write a percentage so that it never looks like less than it is: 0.004 is not 0."""
    return f"{value:.3g}" if value < 1 else f"{round(value, 2):g}"


def _seconds(seconds: float) -> str:
    return format_duration(timedelta(seconds=round(seconds, 1)))


def _name(target: Target) -> str:
    host = target.host.partition(".")[0]
    version = target.version or target.subset
    return f"{host} {version}" if version else host
