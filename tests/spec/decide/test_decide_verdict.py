"""What statistics come to."""

from __future__ import annotations

import math
from datetime import datetime

import pytest
from fakes.builders import ANALYSIS, NOON, a_rollout, a_target, a_verdict, seconds, stats

from gitmesh.decide.questions import questions
from gitmesh.decide.verdict import judge, take_verdict
from gitmesh.model.analysis import Response
from gitmesh.model.metrics import Answer, MetricsFailure, RequestStats
from gitmesh.model.rollout import Outcome, Phase, RolloutRecord, Target

T = a_target()


def judged(answer: RequestStats | MetricsFailure, record: RolloutRecord | None = None):
    return judged_all(record or a_rollout(), {T: answer})


def judged_all(record: RolloutRecord, answers: dict[Target, Answer], at: datetime = NOON):
    return judge(record, {q: answers[q.target] for q in questions(record, at)}, at)  # type: ignore[union-attr]


def test_a_failure_says_value_limit_counts_window_and_where():
    verdict = judged(stats(error_percent=7.5, requests=200))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.summary == "7.5 % errors, limit 5 % (15 of 200 requests in 5s, reviews v2)"
    (evidence,) = verdict.evidence
    assert (evidence.value, evidence.bound, evidence.requests, evidence.failed_requests) == (7.5, 5, 200, 15)
    assert evidence.query == "istio_requests_total"


def test_the_limit_itself_passes():
    assert judged(stats(error_percent=5.0)).outcome is Outcome.PASS


def test_one_error_of_three_requests_is_too_little_to_judge():
    verdict = judged(RequestStats(3, 1, ""))
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.summary == "3 of 20 requests in 5s, reviews v2"


def test_no_answer_is_blind_and_not_bad():
    verdict = judged(MetricsFailure("connection refused"))
    assert verdict.outcome is Outcome.BLIND
    assert verdict.summary == "connection refused (reviews v2)"
    assert judge(a_rollout(), {}, NOON).outcome is Outcome.BLIND


@pytest.mark.parametrize(
    "counts", [(math.nan, 0), (100, math.nan), (math.inf, 0), (-1, 0), (100, -1), (100, 101)]
)
def test_what_cannot_be_a_count_is_blind(counts: tuple[float, float]):
    assert judged(RequestStats(*counts, "")).outcome is Outcome.BLIND


def test_the_worst_target_decides():
    other = a_target("v3")
    record = a_rollout(targets=(T, other))

    def outcome(one, two):
        return judged_all(record, {T: one, other: two}).outcome.value

    good, bad, few, none = stats(), stats(error_percent=50), stats(requests=1), MetricsFailure("down")
    assert outcome(good, good) == "pass"
    assert outcome(good, few) == "insufficient"
    assert outcome(few, none) == "blind"
    assert outcome(none, bad) == "fail"


def test_a_tiny_share_of_errors_is_not_shown_as_none():
    assert judged(RequestStats(1_000_000, 1, "")).summary.startswith("0.0001 % errors")


def taken(record: RolloutRecord, *outcomes: str) -> RolloutRecord:
    for i, outcome in enumerate(outcomes, start=1):
        record = take_verdict(record, a_verdict(outcome, at=NOON + seconds(i)))
    return record


@pytest.mark.parametrize(
    ("outcomes", "count"),
    [
        (["fail"], 1),
        (["fail", "fail"], 2),
        (["fail", "pass"], 0),
        (["fail", "blind", "insufficient"], 1),
        (["fail", "blind", "fail"], 2),
        (["blind", "insufficient"], 0),
    ],
)
def test_only_fails_count_and_only_a_pass_resets(outcomes: list[str], count: int):
    assert taken(a_rollout(), *outcomes).failed_checks == count


def test_a_policy_may_count_no_data_and_no_answer_as_failures():
    strict = ANALYSIS.model_copy(
        update={"on_insufficient_data": Response.ROLL_BACK, "on_metrics_unavailable": Response.ROLL_BACK}
    )
    assert taken(a_rollout(analysis=strict), "blind", "insufficient").failed_checks == 2


def test_the_same_verdict_is_counted_once():
    record = taken(a_rollout(), "fail")
    assert take_verdict(record, a_verdict("fail", at=NOON + seconds(1))) == record


def test_a_verdict_of_an_earlier_rollout_is_ignored():
    record = a_rollout(started_at=NOON)
    assert take_verdict(record, a_verdict("fail", at=NOON - seconds(1))) == record


def test_a_failure_seen_before_the_step_was_live_still_counts_but_a_pass_proves_nothing():
    record = a_rollout(effective=False)
    assert take_verdict(record, a_verdict("fail")).failed_checks == 1
    assert take_verdict(record, a_verdict("pass")) == record


def test_a_rollout_at_rest_takes_no_verdict():
    record = a_rollout(phase=Phase.SUCCEEDED)
    assert take_verdict(record, a_verdict("fail")) == record
