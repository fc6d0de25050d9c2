"""What the guard asks for one check: each metric, of each target, and of what it is compared with.

Stage: decide (pure).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from gitmesh.decide.schedule import window_of
from gitmesh.decide.transitions import analysis_of, judged_of
from gitmesh.model.analysis import Analysis, Mode
from gitmesh.model.metric import Kind, Metric
from gitmesh.model.metrics import LatencyQuery, Query, RequestQuery, ValueQuery
from gitmesh.model.rollout import RolloutRecord, Target
from gitmesh.model.values import format_duration

VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


def questions(record: RolloutRecord, now: datetime) -> tuple[Query, ...]:
    """Return what to ask for one check, each question once."""
    analysis = analysis_of(record)
    if analysis is None or not record.phase.in_motion:
        return ()
    return tuple(dict.fromkeys(_all(record, analysis, now)))


def _all(record: RolloutRecord, analysis: Analysis, now: datetime) -> Iterator[Query]:
    for metric in judged_by(record, analysis):
        compared = record.baselines if metric.compare else ()
        for target in (*record.targets, *compared):
            yield question(record, analysis, metric, target, now)


def judged_by(record: RolloutRecord, analysis: Analysis) -> tuple[Metric, ...]:
    """Return the metrics that say something of a rollout: a comparison needs a stable version beside it.

    Where all are comparisons they stay: then nothing is known, and nothing goes forward.
    """
    bounded = tuple(metric for metric in analysis.metrics if not metric.compare)
    return analysis.metrics if record.baselines or not bounded else bounded


def question(
    record: RolloutRecord, analysis: Analysis, metric: Metric, target: Target, now: datetime
) -> Query:
    """Return what to ask for one metric of one target."""
    provider = analysis.provider
    if metric.kind is Kind.VALUE:
        return ValueQuery(rendered(metric.query, target, window_of(record, now)), provider)
    window, since = window_of(record, now), None
    if metric.kind.is_share and analysis.mode is Mode.SEQUENTIAL:
        since = anchor_of(record, now)
        window = max(now - since, timedelta(milliseconds=1))
    ask = LatencyQuery if metric.kind is Kind.LATENCY else RequestQuery
    # By what is live: a step of weights that a failed check keeps out leaves the copies where they were.
    return ask(target, window, since, provider, copies=record.live_stand.mirror > 0)


def anchor_of(record: RolloutRecord, now: datetime) -> datetime:
    """Return the moment from which requests are counted. A clock that was set back begins anew."""
    since = judged_of(record).since or record.started_at or now
    return min(since, now)


def rendered(query: str, target: Target, window: timedelta) -> str:
    """Return a query with its variables filled in, as they stand between the quotes of a PromQL string."""
    values = {
        "namespace": ([*target.host.split("."), ""])[1],
        "host": target.host,
        "subset": target.subset,
        "version": target.version,
    }
    known = {name: _escaped(value) for name, value in values.items()} | {"window": format_duration(window)}
    return VARIABLE.sub(lambda found: known.get(found[1] or found[2], found[0]), query)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
