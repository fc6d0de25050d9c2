"""One metric of one target in one check: what the answers say, as evidence or as counts still to be weighed.

Stage: decide (pure).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gitmesh.decide.questions import question
from gitmesh.decide.saying import blind_text, compared_text, few_text, limit_text, rate_text, span
from gitmesh.decide.schedule import window_of
from gitmesh.decide.transitions import judged_of
from gitmesh.model.analysis import Analysis, Mode
from gitmesh.model.evidence import Counts
from gitmesh.model.metric import Kind, Metric
from gitmesh.model.metrics import (
    COUNT_MAX,
    VALUE_MAX,
    Answer,
    LatencyStats,
    MetricsFailure,
    Query,
    RequestStats,
    ValueStats,
)
from gitmesh.model.rollout import Count, Evidence, Outcome, RolloutRecord, Target

Stats = RequestStats | LatencyStats | ValueStats
NOISE = 1e-6  # of sums of fractions: where all fail, as many fail as there are, give or take so much
NO_STABLE = "nothing to compare with: no destination loses traffic"


@dataclass(frozen=True, slots=True)
class Look:
    """One metric, one target, and everything that was answered."""

    record: RolloutRecord
    analysis: Analysis
    metric: Metric
    target: Target
    answers: Mapping[Query, Answer]
    now: datetime

    def seen(self, index: int) -> Evidence | Count:
        """Return evidence, or counts for the evidence with this index."""
        answer = self._answer(self.target)
        if isinstance(answer, MetricsFailure):
            return self._blind(answer.message)
        if odd := _not_countable(answer):
            return self._blind(odd, answer.query)
        stable: list[Stats] = []
        if self.metric.compare:
            found = [self._answer(baseline) for baseline in self.record.baselines]
            stable = [s for s in found if not isinstance(s, MetricsFailure) and not _not_countable(s)]
            if len(stable) < len(found) and self.record.progress < 100:
                failure = next((s.message for s in found if isinstance(s, MetricsFailure)), "not countable")
                return self._blind(f"stable: {failure}", answer.query)
            if not found:
                return self._evidence(Outcome.INSUFFICIENT, NO_STABLE, query=answer.query)
        if self.metric.kind.is_share and self.analysis.mode is Mode.SEQUENTIAL:
            return self._count(index, answer, stable)
        return self._judged(answer, stable)

    def _answer(self, target: Target) -> Answer:
        asked = question(self.record, self.analysis, self.metric, target, self.now)
        return self.answers.get(asked, MetricsFailure("no answer"))

    @property
    def _window(self) -> float:
        return window_of(self.record, self.now).total_seconds()

    def _evidence(self, outcome: Outcome, message: str, **fields: object) -> Evidence:
        base = Evidence(
            metric=self.metric.name,
            outcome=outcome,
            target=self.target,
            bound=self.metric.max if self.metric.max is not None else self.metric.min,
            window_seconds=self._window,
            message=message,
        )
        return base.model_copy(update=fields)

    def _blind(self, why: str, query: str = "") -> Evidence:
        return self._evidence(Outcome.BLIND, blind_text(why, self.target), query=query)

    # Counts, to be weighed -------------------------------------------------------------------------------

    def _count(self, index: int, answer: Stats, stable: Sequence[Stats]) -> Count:
        limit = next_limit = None
        if isinstance(answer, LatencyStats):
            limit = self.metric.max
            if self.metric.compare:
                limit, next_limit = self._limit(), self._next_limit(stable)
        return Count(
            index=index,
            claim=self.metric.claim,
            target=self.target,
            counts=_counts(answer, limit),
            stable=_sum(_counts(s, limit) for s in stable) if self.metric.compare else None,
            limit=limit if self.metric.compare else None,
            next_limit=next_limit,
            query=answer.query,
        )

    def _limit(self) -> float | None:
        for tally in judged_of(self.record).tallies:
            if (tally.claim, tally.host, tally.version) == (
                self.metric.claim,
                self.target.host,
                self.target.version,
            ):
                return tally.limit
        return None

    def _next_limit(self, stable: Sequence[Stats]) -> float | None:
        """Return from when on a request is slow, by what stable shows; None while it shows too little."""
        joined = _joined([s for s in stable if isinstance(s, LatencyStats)])
        if joined is None or joined.requests < self.metric.min_requests:
            return None
        return self.metric.above_stable(joined.quantile(self.metric.quantile))

    # Evidence by what the last window shows --------------------------------------------------------------

    def _judged(self, answer: Stats, stable: Sequence[Stats]) -> Evidence:
        if self.metric.kind is Kind.RATE:
            return self._rate(answer)
        requests = None if isinstance(answer, ValueStats) else answer.requests
        if requests is not None and requests < self.metric.min_requests:
            text = few_text(requests, self.metric, self._window, self.target)
            return self._evidence(Outcome.INSUFFICIENT, text, requests=requests, query=answer.query)
        value = self._value(answer)
        failed = answer.failed if isinstance(answer, RequestStats) else None
        fields = {"value": value, "requests": requests, "failed_requests": failed, "query": answer.query}
        if not self.metric.compare:
            outcome = Outcome.FAIL if self._breaks(value) else Outcome.PASS
            text = limit_text(self.metric, value, requests, failed, span(self._window), self.target)
            return self._evidence(outcome, text, **fields)
        theirs = self._stable_value(stable)
        if theirs is None:
            return self._evidence(
                Outcome.INSUFFICIENT, blind_text("stable: too few requests", self.target), **fields
            )
        bound = self.metric.above_stable(theirs)
        outcome = Outcome.FAIL if value > bound else Outcome.PASS
        text = compared_text(self.metric, value, theirs, span(self._window), self.target)
        return self._evidence(outcome, text, stable=theirs, **{**fields, "bound": bound})

    def _breaks(self, value: float) -> bool:
        metric = self.metric
        too_much = metric.max is not None and value > metric.max
        return too_much or (metric.min is not None and value < metric.min)

    def _value(self, answer: Stats) -> float:
        if isinstance(answer, RequestStats):
            return answer.failed * 100 / answer.requests
        if isinstance(answer, LatencyStats):
            return answer.quantile(self.metric.quantile)
        return answer.value

    def _stable_value(self, stable: Sequence[Stats]) -> float | None:
        """Return the stable version's value, the largest of several. At 100 % the last one that was seen."""
        enough = [
            s for s in stable if isinstance(s, ValueStats) or s.requests >= max(self.metric.min_requests, 1)
        ]
        if enough:
            return max(self._value(s) for s in enough)
        if self.record.progress < 100 or self.record.verdict is None:
            return None
        return next(
            (
                e.stable
                for e in self.record.verdict.evidence
                if (e.metric, e.target) == (self.metric.name, self.target)
            ),
            None,
        )

    def _rate(self, answer: Stats) -> Evidence:
        assert isinstance(answer, RequestStats)
        rate = answer.requests / self._window
        live = self.record.effective_at
        # Before it has been live for so long, a window shows less than there is.
        if live is None or (self.now - live).total_seconds() < self._window:
            outcome = Outcome.INSUFFICIENT
        else:
            outcome = Outcome.FAIL if self._breaks(rate) else Outcome.PASS
        text = rate_text(
            self.metric, rate, span(self._window), self.target, early=outcome is Outcome.INSUFFICIENT
        )
        return self._evidence(outcome, text, value=rate, requests=answer.requests, query=answer.query)


def _not_countable(answer: Answer) -> str:
    match answer:
        case RequestStats(requests, failed):
            counts: tuple[float, ...] = (failed, requests)
        case LatencyStats(buckets):
            counts = tuple(count for _, count in buckets)
        case ValueStats(value):
            return "" if abs(value) <= VALUE_MAX else f"{value} is no number"
        case MetricsFailure(message):
            return message
    counted = all(0 <= count <= COUNT_MAX for count in counts)
    if counted and all(low <= high * (1 + NOISE) for low, high in itertools.pairwise(counts)):
        return ""
    if isinstance(answer, RequestStats):
        return f"not countable: {answer.failed:g} of {answer.requests:g} requests"
    return "not countable: the buckets of the histogram do not rise"


def _counts(answer: Stats, limit: float | None) -> Counts:
    if isinstance(answer, RequestStats):
        return Counts(requests=answer.requests, bad=answer.failed)
    assert isinstance(answer, LatencyStats)
    return Counts(requests=answer.requests, bad=0.0 if limit is None else answer.slower_than(limit))


def _sum(counts: Iterable[Counts]) -> Counts:
    total = Counts()
    for one in counts:
        total = total + one
    return total


def _joined(stats: Sequence[LatencyStats]) -> LatencyStats | None:
    if not stats:
        return None
    bounds = sorted({bound for one in stats for bound, _ in one.buckets})
    buckets = tuple((bound, sum(dict(one.buckets).get(bound, 0.0) for one in stats)) for bound in bounds)
    return LatencyStats(buckets, stats[0].query)
