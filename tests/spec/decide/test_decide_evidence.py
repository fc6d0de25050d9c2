"""Mode sequential: evidence grows with every request, survives everything, and decides when it suffices."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from fakes.builders import NOON, a_rollout, a_target, seconds

from gitmesh.decide.questions import questions
from gitmesh.decide.transitions import decide
from gitmesh.decide.verdict import judge, take_verdict
from gitmesh.model.analysis import Analysis, Response
from gitmesh.model.metric import Metric
from gitmesh.model.metrics import Answer, LatencyQuery, LatencyStats, MetricsFailure, RequestStats
from gitmesh.model.rollout import Advance, Check, Hold, Outcome, RollBack, RolloutRecord, Target

V1, V2 = a_target("v1"), a_target("v2")
INF = float("inf")


def sequential(*metrics: Metric, **fields: Any) -> Analysis:
    return Analysis(interval=seconds(1), window=seconds(5), metrics=metrics or (Metric(max=1.0),), **fields)


class World:
    """Counters that only grow, and a rollout that is judged by them; each step is live at once."""

    def __init__(self, *metrics: Metric, at_percent: float = 25, **fields: Any) -> None:
        self.now: datetime = NOON
        self.totals: dict[Target, list[tuple[datetime, float, float]]] = {
            V1: [(NOON, 0.0, 0.0)],
            V2: [(NOON, 0.0, 0.0)],
        }
        self.limit_ms = 500.0
        self.failure = ""
        self.record = a_rollout(
            at_percent=at_percent,
            analysis=sequential(*metrics, **fields),
            steps="5 10s, 25 10s, 50 10s, 100 10s",
            started_at=NOON,
            baselines=(V1,),
        )

    def flow(
        self, canary: tuple[float, float], stable: tuple[float, float] = (0, 0), after: float = 1
    ) -> None:
        """So many requests, and so many bad ones."""
        self.now += timedelta(seconds=after)
        for target, (requests, bad) in ((V2, canary), (V1, stable)):
            _, all_requests, all_bad = self.totals[target][-1]
            self.totals[target].append((self.now, all_requests + requests, all_bad + bad))

    def total(self, target: Target, at: datetime) -> tuple[float, float]:
        known = [entry for entry in self.totals[target] if entry[0] <= at]
        return known[-1][1:] if known else (0.0, 0.0)

    def check(self) -> Check:
        answers: dict[Any, Answer] = {}
        for query in questions(self.record, self.now):
            if self.failure:
                answers[query] = MetricsFailure(self.failure)
                continue
            assert query.since is not None  # type: ignore[union-attr]
            (r1, b1), (r0, b0) = (self.total(query.target, m) for m in (self.now, query.since))  # type: ignore[union-attr,arg-type]
            if isinstance(query, LatencyQuery):
                fast = r1 - r0 - (b1 - b0)
                buckets = ((100.0, 0.0), (self.limit_ms, fast), (2 * self.limit_ms, r1 - r0), (INF, r1 - r0))
                answers[query] = LatencyStats(buckets, "q")
            else:
                answers[query] = RequestStats(r1 - r0, b1 - b0, "q")
        return judge(self.record, answers, self.now)

    def take(self, check: Check | None = None) -> RolloutRecord:
        self.record = take_verdict(self.record, check or self.check())
        # What is written is what is read: a restart in between changes nothing.
        self.record = RolloutRecord.model_validate(self.record.as_json())
        return self.record

    def step(self, canary: tuple[float, float], stable: tuple[float, float] = (0, 0)) -> Outcome:
        self.flow(canary, stable)
        record = self.take()
        assert record.verdict is not None
        return record.verdict.outcome

    @property
    def summary(self) -> str:
        assert self.record.verdict is not None
        return self.record.verdict.summary


def test_what_is_broken_is_rolled_back_after_the_first_check():
    world = World()
    assert world.step((30, 15)) is Outcome.FAIL
    assert isinstance(decide(world.record, now=world.now), RollBack)
    assert world.summary == (
        "50 % errors, limit 1 % (15 of 30 requests since it began, reviews v2); "
        "by chance in at most 0.1 % of rollouts"
    )


def test_one_error_of_three_requests_holds():
    world = World()
    assert world.step((3, 1)) is Outcome.INSUFFICIENT
    assert isinstance(decide(world.record, now=world.now + seconds(60)), Hold)


def test_nothing_advances_before_the_evidence_of_this_step_excludes_the_bound():
    world = World()
    outcomes = [world.step((100, 0)) for _ in range(8)]
    assert outcomes[0] is Outcome.INSUFFICIENT
    assert outcomes[-1] is Outcome.PASS
    assert isinstance(decide(world.record, now=NOON + seconds(11)), Advance)
    went_live = world.now
    world.record = world.record.model_copy(update={"step": 2, "progress": 50.0, "effective_at": went_live})
    assert world.step((100, 0)) is Outcome.INSUFFICIENT, "what the step before has earned does not count"


def test_requests_from_before_the_step_was_live_count_against_it_only():
    world = World()
    world.record = world.record.model_copy(update={"effective_at": NOON + seconds(0.5)})
    world.flow((100_000, 0))
    assert world.take().verdict.outcome is Outcome.INSUFFICIENT  # type: ignore[union-attr]
    assert world.step((1_000, 0)) is Outcome.PASS
    world = World()
    world.record = world.record.model_copy(update={"effective_at": None})
    assert world.step((100, 50)) is Outcome.FAIL


def test_a_share_at_the_limit_is_left_alone_and_goes_no_further():
    world = World()
    outcomes = {world.step((100, 1)) for _ in range(500)}
    assert outcomes == {Outcome.INSUFFICIENT}


def test_a_check_that_is_lost_or_heard_twice_changes_no_evidence():
    kept, lossy = World(), World()
    for number in range(6):
        for world in (kept, lossy):
            world.flow((40, 1))
        kept.take()
        check = lossy.check()
        if number % 2:
            lossy.take(check)
            lossy.record = take_verdict(lossy.record, check)
    (one,), (other,) = kept.record.judged.tallies, lossy.record.judged.tallies
    assert one.in_rollout == other.in_rollout
    assert (other.in_rollout.requests, other.in_rollout.bad) == (240, 6)


def test_two_checks_that_were_asked_before_either_was_taken_count_nothing_twice():
    world = World()
    world.step((100, 0))
    world.record = world.record.model_copy(update={"effective_at": world.now})
    checks = []
    for _ in range(2):  # the first of them moves the anchor to the new step
        world.flow((100, 0))
        checks.append(world.check())
    for check in checks:
        world.take(check)
    world.step((100, 0))
    (tally,) = world.record.judged.tallies
    assert tally.in_rollout.requests == 400


def test_counters_that_went_back_count_nothing_and_count_on_from_there():
    world = World()
    world.step((100, 0))
    world.totals[V2] = [(NOON, 0.0, 0.0), (world.now, 10.0, 0.0)]  # somebody restarted what counts
    assert world.step((5, 0)) is Outcome.INSUFFICIENT
    world.step((50, 0))
    (tally,) = world.record.judged.tallies
    assert tally.in_rollout.requests == 150
    assert world.record.judged.since == NOON + seconds(2)


def test_the_anchor_moves_hourly_and_loses_nothing():
    world = World()
    for _ in range(200):
        world.flow((10, 0), after=60)
        world.take()
    assert world.now - world.record.judged.since <= timedelta(hours=1)  # type: ignore[operator]
    assert world.record.judged.tallies[0].in_rollout.requests == 2_000


def test_a_clock_that_was_set_back_neither_loses_what_was_known_nor_counts_twice():
    world = World()
    for _ in range(5):
        world.step((100, 0))
    world.record = world.record.model_copy(update={"started_at": NOON - timedelta(hours=2)})
    world.record = world.record.model_copy(
        update={"judged": world.record.judged.model_copy(update={"rollout": world.record.started_at})}
    )
    world.now -= timedelta(hours=1)
    world.take()
    (tally,) = world.record.judged.tallies
    assert tally.in_rollout.requests == 500


def test_evidence_from_before_no_data_stays_and_no_data_advances_nothing():
    world = World()
    while world.step((100, 0)) is not Outcome.PASS:
        pass
    outcomes = [world.step((0, 0)) for _ in range(10)]
    assert outcomes[-1] is Outcome.INSUFFICIENT
    assert "no requests for 5s" in world.summary
    world.failure = "connection refused"
    assert world.step((100, 0)) is Outcome.BLIND
    world.failure = ""
    assert world.step((10, 0)) is Outcome.PASS
    assert world.record.judged.tallies[0].last.requests == 110, "what came while blind is counted now"


def test_another_bound_is_another_claim_and_begins_anew():
    world = World()
    for _ in range(5):
        world.step((100, 2))
    stricter = world.record.policy_spec.model_copy(update={"analysis": sequential(Metric(max=5.0))})  # type: ignore[union-attr]
    world.record = world.record.model_copy(update={"policy_spec": stricter})
    world.step((100, 2))
    (tally,) = world.record.judged.tallies
    assert (tally.claim, tally.bets.checks) == ("error-rate None..5.0", 1)


def test_evidence_of_one_rollout_says_nothing_about_the_next():
    world = World()
    assert world.step((30, 15)) is Outcome.FAIL
    later = world.record.model_copy(update={"started_at": world.now, "verdict": None, "failed_checks": 0})
    assert isinstance(decide(later, now=world.now), Hold)
    world.record = later
    assert world.step((30, 0)) is Outcome.INSUFFICIENT


def test_alpha_is_shared_by_all_metrics_and_targets():
    def checks(*metrics: Metric) -> int:
        world, count = World(*metrics), 1
        while world.step((5, 1)) is not Outcome.FAIL:
            count += 1
        return count

    many = [Metric(max=1.0), *(Metric(max=2.0 + i) for i in range(19))]
    assert checks(*many) > checks(many[0])


def test_no_requests_can_count_as_failed_checks():
    world = World(on_insufficient_data=Response.ROLL_BACK)
    world.step((10, 0))
    assert world.record.failed_checks == 0, "there is some data, and it says nothing yet"
    world.step((0, 0))
    world.step((0, 0))
    assert isinstance(decide(world.record, now=world.now), RollBack)


# Compared with stable --------------------------------------------------------------------------------------

AS_STABLE = Metric(compare="stable", margin="1%")


def test_worse_than_stable_by_more_than_the_margin_rolls_back():
    world = World(AS_STABLE)
    outcomes = [world.step((100, 8), (300, 6)) for _ in range(12)]
    assert outcomes[-1] is Outcome.FAIL
    assert "errors, stable 2 %, margin 1 %" in world.summary


def test_what_fails_for_both_is_not_the_canarys_fault():
    world = World(AS_STABLE)
    outcomes = {world.step((100, 1), (900, 9)) for _ in range(5)}
    outcomes |= {world.step((100, 40), (900, 360)) for _ in range(30)}
    assert Outcome.FAIL not in outcomes


def test_as_good_as_stable_advances():
    world = World(AS_STABLE)
    assert Outcome.PASS in [world.step((1000, 2), (3000, 6)) for _ in range(20)]


def test_at_100_percent_it_is_compared_with_what_stable_did_before():
    world = World(AS_STABLE)
    for _ in range(10):
        world.step((100, 0), (300, 0))
    world.record = world.record.model_copy(update={"step": 3, "progress": 100.0, "effective_at": world.now})
    assert [world.step((400, 0)) for _ in range(5)][-1] is Outcome.PASS
    assert Outcome.FAIL in [world.step((400, 40)) for _ in range(3)]


def test_without_a_stable_version_a_comparison_holds():
    world = World(AS_STABLE)
    world.record = world.record.model_copy(update={"baselines": ()})
    assert world.step((1000, 0)) is Outcome.INSUFFICIENT
    assert "nothing to compare with" in world.summary


def test_without_a_stable_version_other_metrics_judge_alone():
    world = World(AS_STABLE, Metric(max=5.0))
    world.record = world.record.model_copy(update={"baselines": ()})
    assert [world.step((400, 0)) for _ in range(3)][-1] is Outcome.PASS
    assert [item.bound for item in world.record.verdict.evidence] == [5.0]  # type: ignore[union-attr]
    assert Outcome.FAIL in [world.step((400, 200)) for _ in range(3)]


# Latency ---------------------------------------------------------------------------------------------------


def test_latency_is_judged_by_the_share_of_slow_requests():
    world = World(Metric(name="latency-p99", max=500.0))
    assert [world.step((200, 20)) for _ in range(2)][-1] is Outcome.FAIL
    assert "slower than 500 ms, limit 1 %" in world.summary
    world = World(Metric(name="latency-p90", max=500.0))
    assert [world.step((200, 10)) for _ in range(10)][-1] is Outcome.PASS


def test_slower_than_stable_is_told_from_slow_like_stable():
    slower = World(Metric(name="latency-p90", compare="stable", margin="50ms"))
    outcomes = [slower.step((200, 100), (600, 12)) for _ in range(8)]
    assert outcomes[-1] is Outcome.FAIL, slower.summary
    alike = World(Metric(name="latency-p90", compare="stable", margin="50ms"))
    outcomes = [alike.step((200, 4), (600, 12)) for _ in range(30)]
    assert (outcomes[-1], Outcome.FAIL in outcomes) == (Outcome.PASS, False), alike.summary


@pytest.mark.parametrize(("share", "ms"), [(0.5, 100), (0.95, 550), (1.0, 1000)])
def test_quantiles_are_read_from_buckets(share: float, ms: float):
    stats = LatencyStats(((100, 50), (500, 90), (1000, 190 / 1.9), (INF, 100)), "")
    assert stats.quantile(share) == pytest.approx(ms if share != 0.95 else 750)
    assert stats.slower_than(750) == pytest.approx(5)
