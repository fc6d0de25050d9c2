"""Evidence: what the counts of a check add to what is known of a rollout, and whether that suffices.

Stage: decide (pure). Counts come as totals since an anchor, and what is new is the difference to those of the
check before. So a check that is lost or heard twice, a restart and a new leader neither lose nor double any.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitmesh.decide.sequential import (
    Batch,
    Reference,
    bet,
    bet_against,
    evidence_above,
    evidence_below,
    needed,
    step_again,
)
from gitmesh.decide.transitions import analysis_of, judged_of
from gitmesh.model.analysis import Analysis
from gitmesh.model.evidence import Bets, Counts, Judged, Tally
from gitmesh.model.metric import Kind, Metric
from gitmesh.model.rollout import Check, Count, Outcome, RolloutRecord

ANCHOR_AGE_MAX = timedelta(hours=1)
STABLE_REQUESTS_MAX = 20_000.0  # what the stable version did before counts as so many requests at most
_NOISE = 1e-6  # of sums of fractions
_SIGMAS = 3.0


@dataclass(frozen=True, slots=True)
class Weighed:
    """One tally after a check: `above` and `below` are parts of the evidence that is needed."""

    count: Count
    metric: Metric
    tally: Tally
    above: float
    below: float
    outcome: Outcome


def weigh(record: RolloutRecord, check: Check) -> tuple[Judged, tuple[Weighed, ...]]:
    """Return what is known after a check, and what it comes to for each of its counts."""
    analysis, judged = analysis_of(record), judged_of(record)
    assert analysis is not None
    metrics = {metric.claim: metric for metric in analysis.metrics}
    before = {_key(tally): tally for tally in judged.tallies}
    scales = _Scales(record, analysis, check.at)
    # Counts from an older anchor than the present one: the next check counts the same requests again.
    stale = judged.since is not None and check.since < judged.since
    weighed, fits = [], True
    for count in check.counts:
        if count.claim not in metrics:
            continue
        tally = before.pop(_key(count), None) or _begun(count, check)
        growth = None if stale else _growth(tally, count, judged, check)
        fits = fits and (stale or growth is not None)
        if growth is not None:
            tally = scales.counted(metrics[count.claim], tally, count, growth)
        weighed.append(scales.weighed(metrics[count.claim], tally, count))
    since = judged.since if stale and judged.since else check.since
    begins = any(t.step_at != record.effective_at for t in judged.tallies)
    whole = len(weighed) == scales.claims and not stale
    moves = not fits or since > check.at or _wants_limit(weighed)
    moves = moves or (whole and (begins or check.at - since >= ANCHOR_AGE_MAX))
    others = [t for t in before.values() if t.claim in metrics]  # which were not measured this time
    tallies = (*(item.tally for item in weighed), *others)
    if moves:
        since = check.at
        tallies = (*(_anew(i.tally, i.count) for i in weighed), *(_anew(t, None) for t in others))
    return judged.model_copy(update={"since": since, "tallies": tallies}), tuple(weighed)


def _key(item: Tally | Count) -> tuple[str, str, str]:
    of = item.target if isinstance(item, Count) else item
    return item.claim, of.host, of.version


def _begun(count: Count, check: Check) -> Tally:
    return Tally(
        claim=count.claim, host=count.target.host, version=count.target.version, counted_at=check.since
    )


def _growth(tally: Tally, count: Count, judged: Judged, check: Check) -> tuple[Counts, Counts] | None:
    """Return what is new, of the target and of stable; None when the counts do not fit to those before."""
    seen, stable_seen = tally.seen, tally.stable_seen
    if judged.since is not None and judged.since != check.since:  # the anchor has moved
        if check.since < tally.counted_at:
            return None
        seen = stable_seen = Counts()
    new, stable = count.counts - seen, (count.stable or Counts()) - stable_seen
    if count.limit != tally.limit or min(new.requests, new.bad, stable.requests, stable.bad) < -_NOISE:
        return None
    return _proper(new), _proper(stable)


def _proper(new: Counts) -> Counts:
    requests = max(new.requests, 0.0)
    return Counts(requests=requests, bad=min(max(new.bad, 0.0), requests))


def _wants_limit(weighed: Iterable[Weighed]) -> bool:
    return any(item.tally.limit is None and item.count.next_limit is not None for item in weighed)


def _anew(tally: Tally, count: Count | None) -> Tally:
    """Return the tally for a new anchor, at which also the limit may be another."""
    limit = count.next_limit if count and count.next_limit is not None else tally.limit
    return tally.model_copy(update={"seen": Counts(), "stable_seen": Counts(), "limit": limit})


class _Scales:
    """Weighs the counts of one check of one rollout."""

    def __init__(self, record: RolloutRecord, analysis: Analysis, at: datetime) -> None:
        self._record = record
        self._analysis = analysis
        self._at = at
        shares = sum(metric.kind.is_share for metric in analysis.metrics)
        self.claims = shares * len(record.targets)
        self._above = needed(analysis.alpha / 100 / max(self.claims, 1))
        self._below = needed(1 - analysis.confidence / 100)

    def counted(self, metric: Metric, tally: Tally, count: Count, growth: tuple[Counts, Counts]) -> Tally:
        """Return the tally with what is new, and what was bet on it."""
        new, stable = growth
        if tally.step_at != self._record.effective_at:
            fresh = {
                "bets": step_again(tally.bets),
                "in_step": Counts(),
                "step_at": self._record.effective_at,
            }
            tally = tally.model_copy(update=fresh)
        # What may be from before the present step was live speaks against the canary, and not for it.
        earlier = tally.step_at is None or tally.counted_at < tally.step_at
        bets = self._bets(metric, tally, new, stable)
        before = tally.stable_before + stable
        fade = min(STABLE_REQUESTS_MAX / before.requests, 1.0) if before.requests else 1.0
        return tally.model_copy(
            update={
                "bets": step_again(bets) if earlier else bets,
                "counted_at": self._at,
                "grown_at": self._at if new.requests > 0 else tally.grown_at,
                "last": new,
                "seen": count.counts,
                "stable_seen": count.stable or Counts(),
                "in_step": Counts() if earlier else tally.in_step + new,
                "in_rollout": tally.in_rollout + new,
                "stable_before": Counts(requests=before.requests * fade, bad=before.bad * fade),
            }
        )

    def _bets(self, metric: Metric, tally: Tally, new: Counts, stable: Counts) -> Bets:
        batch = Batch(new.requests, new.bad)
        slow = 1 - metric.quantile if metric.kind is Kind.LATENCY else 0.0
        if not metric.compare:
            return bet(tally.bets, batch, slow or (metric.max or 0.0) / 100)
        if metric.kind is Kind.LATENCY and tally.limit is None:
            return tally.bets
        margin = slow or float(metric.margin.removesuffix("%")) / 100
        before = tally.stable_before
        if self._record.progress >= 100 and stable.requests <= 0:
            return self._without_stable(metric, tally, batch, margin)
        share = (before.bad + 0.01) / (before.requests + 1.0)  # whatever it was: a guess costs power only
        return bet_against(tally.bets, batch, Reference(Batch(stable.requests, stable.bad), margin, share))

    def _without_stable(self, metric: Metric, tally: Tally, batch: Batch, margin: float) -> Bets:
        """Bet against what stable did before: at 100 % it takes no requests to compare with.

        It is known with some error only, which speaks for the canary in one bet and against it in the other.
        """
        before = tally.stable_before
        if before.requests < metric.min_requests:
            return tally.bets
        share = before.bad / before.requests
        error = _SIGMAS * math.sqrt(share * (1 - share) / before.requests) + 1 / before.requests
        high = bet(tally.bets, batch, share + error + margin)
        low = bet(tally.bets, batch, max(share - error, 0.0) + margin)
        return high.model_copy(update={"below": low.below})

    def weighed(self, metric: Metric, tally: Tally, count: Count) -> Weighed:
        """Say what a tally comes to."""
        above = evidence_above(tally.bets) / self._above
        below = evidence_below(tally.bets) / self._below
        outcome = Outcome.INSUFFICIENT
        if above >= 1:
            outcome = Outcome.FAIL
        elif below >= 1 and self._is_fresh(tally):
            outcome = Outcome.PASS
        return Weighed(count, metric, tally, round(max(above, 0.0), 3), round(max(below, 0.0), 3), outcome)

    def _is_fresh(self, tally: Tally) -> bool:
        """Say whether there were requests lately: what stopped coming proves nothing any more."""
        return tally.grown_at is not None and self._at - tally.grown_at <= self._analysis.window
