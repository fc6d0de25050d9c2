"""What a rollout does next."""

from __future__ import annotations

import pytest
from fakes.builders import NOON, a_rollout, a_verdict, seconds

from gitmesh.decide.transitions import TABLE, Move, advance, decide, mark_effective
from gitmesh.model.rollout import Advance, Finish, Hold, Phase, RollBack, RolloutRecord

LATER = NOON + seconds(10)  # the hold of every step of `a_rollout` is over


def decided(record: RolloutRecord, at=LATER, *, suspended: bool = False):
    return decide(record, held="suspended" if suspended else "", now=at)


def test_a_step_is_held_for_its_time():
    record = a_rollout(at_percent=25, verdict=a_verdict(at=NOON))
    assert decided(record, NOON + seconds(9.9)) == Hold("holds at 25 % until 12:00:10 UTC", until=LATER)


def test_after_its_time_and_a_good_verdict_the_next_step_is_entered():
    assert isinstance(decided(a_rollout(at_percent=25, verdict=a_verdict(at=LATER))), Advance)


def test_the_time_of_a_step_does_not_begin_before_it_is_live():
    record = a_rollout(at_percent=25, effective=False, verdict=a_verdict(at=LATER))
    assert decided(record, LATER + seconds(3600)) == Hold("waits until 25 % is live")


@pytest.mark.parametrize("outcome", ["blind", "insufficient", "fail"])
def test_nothing_but_a_pass_advances(outcome: str):
    decision = decided(a_rollout(verdict=a_verdict(outcome, at=LATER)), LATER + seconds(3600))
    assert isinstance(decision, Hold)
    assert decision.reason.startswith(outcome)


def test_no_verdict_never_advances():
    assert decided(a_rollout(), LATER + seconds(3600)) == Hold("waits for the first check at 25 %")


def test_a_verdict_from_before_the_step_does_not_advance():
    record = a_rollout(verdict=a_verdict(at=NOON - seconds(1)))
    assert decided(record) == Hold("waits for the first check at 25 %")


def test_without_an_analysis_time_alone_advances():
    assert isinstance(decided(a_rollout(analysis=None)), Advance)


def test_failed_checks_roll_back():
    assert decided(a_rollout(failed_checks=2, verdict=a_verdict("fail"))) == RollBack("fail; 2 failed checks")


def test_one_failed_check_of_two_does_not_roll_back():
    assert isinstance(decided(a_rollout(failed_checks=1, verdict=a_verdict("fail"))), Hold)


@pytest.mark.parametrize("at_percent", [5, 25, 50, 100])
@pytest.mark.parametrize("suspended", [True, False])
@pytest.mark.parametrize("effective", [True, False])
def test_nothing_gates_a_rollback(at_percent: float, suspended: bool, effective: bool):
    record = a_rollout(at_percent=at_percent, failed_checks=2, effective=effective, bake="1h")
    assert isinstance(decided(record, NOON, suspended=suspended), RollBack)


def test_suspended_holds_forward_steps():
    record = a_rollout(verdict=a_verdict(at=LATER))
    assert decided(record, suspended=True) == Hold("suspended at 25 %")


def test_the_last_step_is_baked_before_it_is_finished():
    record = a_rollout(at_percent=100, bake="1m", verdict=a_verdict(at=NOON + seconds(60)))
    assert isinstance(decided(record, NOON + seconds(59)), Hold)
    assert isinstance(decided(record, NOON + seconds(60)), Finish)


def test_a_bake_without_evidence_does_not_finish():
    record = a_rollout(at_percent=100, bake="1m", verdict=a_verdict("insufficient", at=LATER))
    assert isinstance(decided(record, NOON + seconds(3600)), Hold)


def test_without_a_bake_the_last_step_is_finished_once_it_is_live():
    assert isinstance(decided(a_rollout(at_percent=100), NOON), Finish)
    assert isinstance(decided(a_rollout(at_percent=100, effective=False), NOON), Hold)


def test_entering_a_step_writes_where_and_when():
    after = advance(a_rollout(at_percent=25), Advance(2, "all is well"), LATER)
    assert (after.step, after.progress, after.weights) == (2, 50, "v1 50, v2 50")
    assert (after.entered_at, after.effective_at, after.next_at) == (LATER, None, None)
    assert after.message == after.history[-1].message == "50 % (v1 50, v2 50): all is well"


def test_the_last_step_is_promoting():
    after = advance(a_rollout(at_percent=50), Advance(3, ""), LATER)
    assert (after.phase, after.progress) == (Phase.PROMOTING, 100)


def test_rolling_back_quarantines_the_canary():
    record = a_rollout(at_percent=50)
    after = advance(record, RollBack("7.5 % errors"), LATER)
    assert after.phase is Phase.ROLLED_BACK
    assert after.quarantined == (record.canary_hash,)
    assert (after.progress, after.weights, after.stable) == (0, "v1 100, v2 0", record.stable)
    assert after.message == "rolled back: 7.5 % errors"


def test_finishing_makes_the_canary_stable_and_remembers_what_was():
    record = a_rollout(at_percent=100)
    after = advance(record, Finish("done"), LATER)
    assert after.phase is Phase.SUCCEEDED
    assert (after.stable, after.previous, after.canary) == (record.canary, record.stable, None)


def test_a_hold_keeps_everything_but_the_message_and_the_time_to_look_again():
    record = a_rollout()
    after = advance(record, Hold("blind: no answer"), LATER)
    assert after == record.model_copy(update={"message": "blind: no answer", "next_at": None})
    assert advance(record, Hold("", until=LATER), NOON).next_at == LATER


def test_history_is_bounded_and_keeps_the_latest():
    record = a_rollout(at_percent=5)
    for step in (1, 2, 1, 2, 1):
        record = advance(record, Advance(step, f"to {step}"), LATER, history_max=3)
    assert [entry.progress for entry in record.history] == [25, 50, 25]


def test_a_step_counts_from_the_first_time_it_was_seen_live():
    record = mark_effective(a_rollout(effective=False), NOON)
    assert (record.effective_at, record.next_at) == (NOON, LATER)
    assert mark_effective(record, NOON + seconds(5)) == record


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.ROLLED_BACK])
def test_what_is_at_rest_has_no_next_time(phase: Phase):
    record = mark_effective(a_rollout(effective=False, phase=phase), NOON)
    assert (record.effective_at, record.next_at) == (NOON, None)


def test_the_table_lets_a_rollout_be_rolled_back_from_wherever_traffic_may_be_on_the_canary():
    for phase in Phase:
        assert ((phase, Move.ROLL_BACK) in TABLE) == (phase.in_motion or phase is Phase.WAITING)


def test_a_move_that_the_table_does_not_know_is_a_broken_invariant():
    with pytest.raises(AssertionError):
        advance(a_rollout(at_percent=25), Finish("too early"), NOON)
