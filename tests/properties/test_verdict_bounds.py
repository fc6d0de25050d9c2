"""What the benchmark of verdicts calls out of reach is so: no test serves fewer failures than the bound."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import pytest

from benchmarks.bounds import fewest_failures, without_end
from gitmesh.decide.sequential import Batch, bet, evidence_above, needed
from gitmesh.model.evidence import Bets


def every_rule(requests: int, share: float, limit: float, alpha: float) -> float:
    """Return the fewest failures served by any rule: each set of histories after which one may stop."""
    histories = [h for n in range(1, requests) for h in itertools.product((0, 1), repeat=n)]
    best = math.inf
    for chosen in itertools.product((False, True), repeat=len(histories)):
        stops = {history for history, stop in zip(histories, chosen, strict=True) if stop}
        error = served = 0.0
        for run in itertools.product((0, 1), repeat=requests):
            ends = [n for n in range(1, requests) if run[:n] in stops]
            chances = [math.prod(p if bad else 1 - p for bad in run) for p in (share, limit)]
            served += chances[0] * sum(run[: ends[0]] if ends else run)
            error += chances[1] * bool(ends)
        if error <= alpha:
            best = min(best, served)
    return best


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.3])
def test_no_rule_for_three_requests_serves_fewer_failures_than_the_bound(share: float, alpha: float):
    bound = fewest_failures(3, share, 0.1, alpha)
    assert 0 < bound <= every_rule(3, share, 0.1, alpha) + 1e-9


def test_in_a_long_run_the_bound_is_that_of_wald_and_in_a_short_one_less():
    wald = without_end(0.2, 0.02, 0.01)
    long, short = (fewest_failures(n, 0.2, 0.02, 0.01) for n in (400, 20))
    assert short < wald <= long < 1.3 * wald


def test_who_may_never_be_wrong_serves_every_failure():
    assert fewest_failures(50, 0.2, 0.01, 1e-12) == pytest.approx(50 * 0.2, rel=0.1)


def served(share: float, limit: float, alpha: float, requests: int, draw: random.Random) -> int:
    bets, bad = Bets(), 0
    for _ in range(requests):
        failed = draw.random() < share
        bad += failed
        bets = bet(bets, Batch(1, failed), limit)
        if evidence_above(bets) >= needed(alpha):
            break
    return bad


def test_ours_is_above_the_bound_and_not_far_though_it_does_not_know_what_comes():
    draw = random.Random(7)
    ours = statistics.fmean(served(0.15, 0.05, 0.001, 600, draw) for _ in range(40))
    bound = fewest_failures(600, 0.15, 0.05, 0.001)
    assert bound <= ours <= 1.6 * bound, (bound, ours)
