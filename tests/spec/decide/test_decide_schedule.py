"""When a rollout wants attention."""

from __future__ import annotations

from fakes.builders import NOON, a_rollout, a_target, a_verdict, seconds

from gitmesh.decide.questions import questions
from gitmesh.decide.schedule import next_check, next_wake
from gitmesh.model.metrics import RequestQuery
from gitmesh.model.rollout import Phase


def test_a_held_step_wakes_when_its_time_is_over():
    assert next_wake(a_rollout(), NOON) == NOON + seconds(10)


def test_a_time_that_has_passed_wakes_now():
    assert next_wake(a_rollout(), NOON + seconds(60)) == NOON + seconds(60)


def test_what_waits_for_evidence_or_is_at_rest_needs_no_wake():
    assert next_wake(a_rollout(next_at=None), NOON) is None
    assert next_wake(a_rollout(phase=Phase.SUCCEEDED), NOON) is None


def test_checks_follow_each_other_by_the_interval():
    record = a_rollout(started_at=NOON)
    assert next_check(record, None, NOON) == NOON + seconds(1)
    assert next_check(record, a_verdict(at=NOON + seconds(3)), NOON + seconds(3)) == NOON + seconds(4)
    record = a_rollout(verdict=a_verdict(at=NOON + seconds(5)))
    assert next_check(record, None, NOON + seconds(5)) == NOON + seconds(6)


def test_an_overdue_check_is_due_now_also_when_the_clock_was_set_back():
    record = a_rollout(verdict=a_verdict(at=NOON))
    assert next_check(record, None, NOON + seconds(60)) == NOON + seconds(60)
    assert next_check(record, None, NOON - seconds(3600)) == NOON - seconds(3600)


def test_nothing_is_checked_at_rest_without_an_analysis_or_without_a_target():
    for record in (a_rollout(phase=Phase.ROLLED_BACK), a_rollout(analysis=None), a_rollout(targets=())):
        assert next_check(record, None, NOON) is None
        assert questions(record, NOON) == ()


def test_the_window_does_not_reach_back_before_the_rollout():
    started = a_rollout(started_at=NOON)
    assert questions(started, NOON + seconds(60)) == (RequestQuery(a_target(), seconds(5)),)
    assert questions(started, NOON + seconds(3))[0].window == seconds(3)
    assert questions(started, NOON)[0].window == seconds(1)
