"""Always-valid tests: is a share of bad requests above a bound, or below it, however often one looks.

Stage: decide (pure). A test is a bet against a claim. It starts with a wealth of 1, and each check multiplies
the wealth by how much better an alternative explains the new requests than the claim does. While the claim is
true, the wealth never exceeds 1 / alpha at any time, with a probability of at least 1 - alpha (Ville's
inequality), so one may look after each request and stop when one likes. Held against the stable version that
is so for looks by the clock: when to look must not depend on how the requests since the last look went.

Sources: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024);
Turner and Grünwald, "Exact anytime-valid confidence intervals for contingency tables and beyond", Statistics
and Probability Letters 198 (2023), for two samples; Shin, Ramdas and Rinaldo, "E-detectors", NEJSDS 2 (2023),
for bets that begin again at each check, so that a version that turns bad late is found as fast as any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gitmesh.model.evidence import Bets

# How bad the alternatives are, as odds relative to the bound. A bet on each: those near it find what is a
# little too bad, slowly; those far from it what is broken, at once. Most is staked on twice the bound: what
# is worse is found soon with any stake, and what is better takes long with all. See docs/verdicts.md.
_ODDS_ABOVE = (1.25, 1.6, 2.0, 2.6, 3.5, 5.0, 8.0, 14.0, 30.0, 80.0, 400.0)
_STAKES_ABOVE = (2, 8, 32, 8, 6, 6, 4, 3, 3, 3, 3)
_ODDS_BELOW = (0.8, 0.6, 0.4, 0.2, 0.05, 0.005)
_FIRST = 2 / 3  # of the wealth is staked at the first check, for most of what is bad is so from the start
_SHARE_MIN, _SHARE_MAX = 1e-9, 1.0 - 1e-9
_LOG_MIN = -700.0  # a wealth that is lost; its logarithm must stay a number in JSON
_TURNS_MAX = 100
_CLOSE = 1e-13
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Batch:
    """New requests of one version since the last check: `bad` of `requests`. Both may be fractions."""

    requests: float
    bad: float


@dataclass(frozen=True, slots=True)
class Reference:
    """The stable version in the same time, and what is known of it from the time before.

    `margin` is how much larger the canary's share of bad requests may be, from 0 to 1. `share_before` is the
    stable version's share in all earlier checks; it must not depend on this batch.
    """

    batch: Batch
    margin: float
    share_before: float


def bet(bets: Bets, batch: Batch, bound: float) -> Bets:
    """Return the wealth after one more batch, for a fixed bound: a share from 0 to 1."""
    above, below = _ratios(min(max(bound, _SHARE_MIN), _SHARE_MAX))
    good = batch.requests - batch.bad
    return _after(
        bets,
        batch,
        [batch.bad * of_bad + good * of_good for of_bad, of_good in above],
        [batch.bad * of_bad + good * of_good for of_bad, of_good in below],
    )


def bet_against(bets: Bets, batch: Batch, reference: Reference) -> Bets:
    """Return the wealth after one more batch, for the share of the stable version plus a margin.

    The bet is on two shares. What it is held against is the pair of shares nearest to them that fulfils the
    claim: as the claim is convex, the expected gain under every pair that fulfils it is at most 1.
    """
    if batch.requests <= 0:
        return bets
    stable = min(max(reference.share_before, _SHARE_MIN), _SHARE_MAX - reference.margin)
    edge = min(max(stable + reference.margin, _SHARE_MIN), _SHARE_MAX)

    def gain(odds: float) -> float:
        canary = _by_odds(edge, odds)
        nearest = _nearest(canary, stable, batch.requests, reference)
        by_canary = _gain(batch, canary, nearest)
        return by_canary + _gain(reference.batch, stable, max(nearest - reference.margin, _SHARE_MIN))

    return _after(bets, batch, [gain(odds) for odds in _ODDS_ABOVE], [gain(odds) for odds in _ODDS_BELOW])


def step_again(bets: Bets) -> Bets:
    """Return the wealth at the start of a step: what speaks for the canary is earned in each step anew."""
    return Bets(checks=bets.checks, above=bets.above)


def evidence_above(bets: Bets) -> float:
    """Return the logarithm of the wealth of those who bet that the share is above the bound."""
    if not bets.checks:
        return 0.0
    to_come = math.log((1 - _FIRST) / bets.checks)  # the weight of the bets that have not begun yet
    staked = [
        wealth + math.log(stake) for wealth, stake in zip(_begun(bets.above), _STAKES_ABOVE, strict=True)
    ]
    return _log_sum([_log_sum(staked) - math.log(sum(_STAKES_ABOVE)), to_come])


def evidence_below(bets: Bets) -> float:
    """Return the logarithm of the wealth of those who bet that the share is below the bound."""
    if len(bets.below) != len(_ODDS_BELOW):
        return 0.0
    return _log_sum(bets.below) - math.log(len(_ODDS_BELOW))


def needed(alpha: float) -> float:
    """Return the logarithm of the wealth that excludes the claim, with an error of at most `alpha`."""
    return -math.log(alpha)


def _after(bets: Bets, batch: Batch, above: Sequence[float], below: Sequence[float]) -> Bets:
    """Return the wealth after the gains of each bet."""
    if batch.requests <= 0:
        return bets
    checks = bets.checks + 1
    begins = _weight_of(checks)
    before = _begun(bets.above)
    held = bets.below if len(bets.below) == len(_ODDS_BELOW) else (0.0,) * len(_ODDS_BELOW)
    return Bets(
        checks=checks,
        above=tuple(
            _kept(_joined(wealth, begins) + gain) for wealth, gain in zip(before, above, strict=True)
        ),
        below=tuple(_kept(wealth + gain) for wealth, gain in zip(held, below, strict=True)),
    )


def _weight_of(check: int) -> float:
    """Return the logarithm of the weight of the bets that begin at a check: 2/3, then 1/6, 1/18, 1/36, ..."""
    return math.log(_FIRST if check == 1 else (1 - _FIRST) / (check * (check - 1.0)))


def _begun(above: tuple[float, ...]) -> tuple[float, ...]:
    """Return the wealth of the bets so far; nothing where a record knows none, or those of another list."""
    return above if len(above) == len(_ODDS_ABOVE) else (_LOG_MIN,) * len(_ODDS_ABOVE)


@lru_cache(maxsize=256)
def _ratios(bound: float) -> tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]:
    """Return what a bad and a good request gain for each bet above, and for each below."""

    def ratio(odds: float) -> tuple[float, float]:
        other = _by_odds(bound, odds)
        return math.log(other / bound), math.log((1 - other) / (1 - bound))

    return tuple(ratio(odds) for odds in _ODDS_ABOVE), tuple(ratio(odds) for odds in _ODDS_BELOW)


def _joined(one: float, other: float) -> float:
    """Return the logarithm of the sum of two wealths."""
    return max(one, other) + math.log1p(math.exp(-abs(one - other)))


def _kept(wealth: float) -> float:
    # Rounded down, for more wealth than there is would not be valid.
    scale = 10.0**_DIGITS
    return max(math.floor(wealth * scale) / scale, _LOG_MIN)


def _gain(batch: Batch, alternative: float, claim: float) -> float:
    good = batch.requests - batch.bad
    return batch.bad * math.log(alternative / claim) + good * math.log((1 - alternative) / (1 - claim))


def _by_odds(share: float, odds: float) -> float:
    scaled = odds * share / (1 - share)
    return min(max(scaled / (1 + scaled), _SHARE_MIN), _SHARE_MAX)


def _nearest(canary: float, stable: float, requests: float, reference: Reference) -> float:
    """Return the canary's share of the nearest pair on the edge of the claim.

    The distance is the relative entropy, each version weighted with its requests. It is convex along the
    edge, so its derivative has one zero.
    """
    margin, others = reference.margin, reference.batch.requests
    low, high = margin + _SHARE_MIN, _SHARE_MAX
    guess = min(max((canary * requests + (stable + margin) * others) / (requests + others), low), high)
    for _ in range(_TURNS_MAX):
        slope, bend = _slope(canary, guess, requests)
        more_slope, more_bend = _slope(stable, guess - margin, others)
        slope, bend = slope + more_slope, bend + more_bend
        low, high = (guess, high) if slope < 0 else (low, guess)
        better = guess - slope / bend if bend > 0 else (low + high) / 2
        # Newton's step, where it stays between what is known to be too low and too high.
        after = better if low < better < high else (low + high) / 2
        if abs(after - guess) <= _CLOSE * guess:
            return after
        guess = after
    return guess


def _slope(share: float, at: float, requests: float) -> tuple[float, float]:
    """Return the first and the second derivative of the distance."""
    at = min(max(at, _SHARE_MIN), _SHARE_MAX)
    bad, good = share / at, (1 - share) / (1 - at)
    return requests * (good - bad), requests * (bad / at + good / (1 - at))


def _log_sum(logs: Sequence[float]) -> float:
    largest = max(logs)
    return largest + math.log(sum(math.exp(value - largest) for value in logs))
