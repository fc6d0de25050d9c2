"""The sequential tests keep their promise exactly: no way of looking makes a true claim lose."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from gitmesh.model.evidence import Bets

TINY = 1e-6  # of rounding
shares = st.floats(0.001, 0.6)
sizes = st.lists(st.integers(0, 4), min_size=1, max_size=3)


def outcomes(sizes: list[int], share: float) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield every way in which the batches may turn out, with its probability."""
    for bads in itertools.product(*(range(size + 1) for size in sizes)):
        chance = 1.0
        for size, bad in zip(sizes, bads, strict=True):
            chance *= math.comb(size, bad) * share**bad * (1 - share) ** (size - bad)
        yield bads, chance


def after(sizes: list[int], bads: tuple[int, ...], bound: float) -> Bets:
    bets = Bets()
    for size, bad in zip(sizes, bads, strict=True):
        bets = bet(bets, Batch(size, bad), bound)
    return bets


@settings(max_examples=60, deadline=None)
@given(sizes, shares, st.floats(0, 1))
def test_who_bets_against_a_true_bound_gains_nothing_on_average(sizes: list[int], bound: float, part: float):
    share = bound * part
    expected = sum(
        chance * math.exp(evidence_above(after(sizes, bads, bound)))
        for bads, chance in outcomes(sizes, share)
    )
    assert expected <= 1 + TINY


@settings(max_examples=60, deadline=None)
@given(sizes, shares, st.floats(0, 1))
def test_who_bets_on_a_version_that_is_no_better_gains_nothing_on_average(
    sizes: list[int], bound: float, part: float
):
    share = bound + (1 - bound) * part
    expected = sum(
        chance * math.exp(evidence_below(after(sizes, bads, bound)))
        for bads, chance in outcomes(sizes, share)
    )
    assert expected <= 1 + TINY


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 4)),
    st.floats(0.01, 0.5),
    st.floats(0.0, 0.3),
    st.floats(0, 1),
    st.floats(0.01, 0.6),
)
def test_who_bets_against_a_version_as_good_as_stable_gains_nothing_on_average(
    sizes: tuple[int, int], stable: float, margin: float, part: float, guess: float
):
    canary = (stable + margin) * part
    for evidence, share in ((evidence_above, canary), (evidence_below, stable + margin + canary * part)):
        expected = 0.0
        for (canary_bad,), canary_chance in outcomes([sizes[0]], min(share, 1.0)):
            for (stable_bad,), stable_chance in outcomes([sizes[1]], stable):
                reference = Reference(Batch(sizes[1], stable_bad), margin, guess)
                bets = bet_against(Bets(), Batch(sizes[0], canary_bad), reference)
                expected += canary_chance * stable_chance * math.exp(evidence(bets))
        assert expected <= 1 + TINY


Evidence = Callable[[Bets], float]


def won_by_looking(requests: int, share: float, bound: float, evidence: Evidence) -> float:
    """Return the most that anybody can have on average who looks, and stops, after any request he likes.

    He sees how each request went before he says whether to look now: of all ways to look the best one.
    """

    def best(left: int, bets: Bets, new: int, bad: int) -> float:
        looked = bet(bets, Batch(new, bad), bound)
        stopped = math.exp(evidence(looked))
        if not left:
            return stopped

        def went_on(bets: Bets, new: int, bad: int) -> float:
            return share * best(left - 1, bets, new + 1, bad + 1) + (1 - share) * best(
                left - 1, bets, new + 1, bad
            )

        return max(stopped, went_on(bets, new, bad), went_on(looked, 0, 0))

    return best(requests, Bets(), 0, 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.floats(0.001, 0.6), st.floats(0, 1))
def test_no_way_of_looking_and_stopping_wins_against_a_true_bound(requests: int, bound: float, part: float):
    better, worse = bound * part, bound + (1 - bound) * part
    assert won_by_looking(requests, better, bound, evidence_above) <= 1 + TINY
    assert won_by_looking(requests, worse, bound, evidence_below) <= 1 + TINY


def won_by_comparing(looks: int, shares: tuple[float, float], margin: float, evidence: Evidence) -> float:
    """The same against stable, where it is said after each look how many requests there are until the next.

    The guess of what stable does comes from the looks before.
    """
    canary, stable = shares

    def best(left: int, bets: Bets, seen: int, seen_bad: int) -> float:
        stopped = math.exp(evidence(bets))
        return max([stopped, *(went_on(left, bets, seen, seen_bad, size) for size in SIZES if left)])

    def went_on(left: int, bets: Bets, seen: int, seen_bad: int, size: tuple[int, int]) -> float:
        guess, found = (seen_bad + 0.01) / (seen + 1.0), 0.0
        for (bad,), chance in outcomes([size[0]], canary):
            for (stable_bad,), stable_chance in outcomes([size[1]], stable):
                reference = Reference(Batch(size[1], stable_bad), margin, guess)
                after = bet_against(bets, Batch(size[0], bad), reference)
                value = best(left - 1, after, seen + size[1], seen_bad + stable_bad)
                found += chance * stable_chance * value
        return found

    return best(looks, Bets(), 0, 0)


SIZES = ((1, 1), (3, 1), (1, 3), (2, 0))


@settings(max_examples=12, deadline=None)
@given(st.floats(0.01, 0.5), st.floats(0.0, 0.3), st.floats(0, 1))
def test_no_way_of_stopping_wins_against_a_version_as_good_as_stable(
    stable: float, margin: float, part: float
):
    edge = stable + margin
    better, worse = (edge * part, stable), (edge + (1 - edge) * part, stable)
    assert won_by_comparing(2, better, margin, evidence_above) <= 1 + TINY
    assert won_by_comparing(2, worse, margin, evidence_below) <= 1 + TINY


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e7), st.floats(0, 1)), max_size=20), shares)
def test_any_counts_leave_numbers_that_json_can_hold(checks: list[tuple[float, float]], bound: float):
    bets = Bets()
    for requests, part in checks:
        bets = bet(bets, Batch(requests, requests * part), bound)
        bets = bet_against(bets, Batch(requests, requests * part), Reference(Batch(requests, 0.0), 0.01, 0.5))
    assert Bets.model_validate_json(bets.model_dump_json()) == bets
    assert math.isfinite(evidence_above(bets))
    assert math.isfinite(evidence_below(bets))


def test_a_restart_in_the_middle_changes_nothing():
    kept = restarted = Bets()
    for bad in (0, 1, 0, 2, 1):
        kept = bet(kept, Batch(10, bad), 0.01)
        restarted = bet(Bets.model_validate_json(restarted.model_dump_json()), Batch(10, bad), 0.01)
    assert kept == restarted


def checks_until(share: float, *, requests: int, bound: float, seed: int, most: int = 400) -> int | None:
    """Return after how many checks the evidence against the bound suffices; None when it never does."""
    draw, bets = random.Random(seed), Bets()
    for check in range(1, most):
        bad = sum(draw.random() < share for _ in range(requests))
        bets = bet(bets, Batch(requests, bad), bound)
        if evidence_above(bets) >= needed(0.001):
            return check
    return None


@pytest.mark.parametrize(("share", "most"), [(1.0, 2), (0.3, 6), (0.1, 18), (0.05, 40)])
def test_the_worse_a_version_the_sooner_it_is_found(share: float, most: int):
    found = [checks_until(share, requests=5, bound=0.01, seed=seed) or 400 for seed in range(31)]
    assert (sorted(found)[15] <= most, max(found) < 400) == (True, True), found


def test_a_version_at_its_bound_is_looked_at_for_long_and_left_alone():
    assert [checks_until(0.01, requests=20, bound=0.01, seed=seed) for seed in range(40)] == [None] * 40


def test_a_version_that_turns_bad_late_is_found_nearly_as_soon():
    good = Bets()
    for _ in range(2_000):
        good = bet(good, Batch(100, 0), 0.01)
    bets, checks = good, 0
    while evidence_above(bets) < needed(0.001):
        bets, checks = bet(bets, Batch(100, 30), 0.01), checks + 1
    assert checks == 1


def test_each_step_earns_its_own_trust_and_remembers_what_was_bad():
    bets = Bets()
    for _ in range(100):
        bets = bet(bets, Batch(10, 0), 0.01)
    assert evidence_below(bets) > needed(0.05)
    again = step_again(bets)
    assert (evidence_below(again), evidence_above(again)) == (0.0, evidence_above(bets))


def test_wealth_of_another_list_of_bets_is_not_counted_and_none_is_given_back():
    strange = Bets(checks=7, above=(50.0, 60.0), below=(50.0,))
    assert evidence_above(strange) <= 0
    assert evidence_below(strange) == 0
    after = bet(strange, Batch(10, 0), 0.01)
    assert (after.checks, evidence_above(after) <= 0) == (8, True)


@pytest.mark.parametrize("checks", [0, 1, 2, 17, 500])
def test_all_the_wealth_that_is_ever_staked_adds_up_to_one(checks: int):
    bets = Bets()
    for _ in range(checks):
        bets = bet(bets, Batch(1e-12, 0.0), 0.01)
    assert evidence_above(bets) == pytest.approx(0.0, abs=1e-3)
    assert evidence_above(bets) <= TINY
