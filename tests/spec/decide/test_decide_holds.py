"""What holds a rollout: windows, freezes, gates, a deadline; and what none of them holds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from fakes.builders import NOON, a_policy, a_rollout, a_spec, a_verdict, a_virtual_service, resolve, seconds

from gitmesh.decide.gates import closed, opened_by_hand, pass_for
from gitmesh.decide.retarget import _with_policy, retarget
from gitmesh.decide.schedule import next_wake, shut_now
from gitmesh.decide.transitions import advance, decide, held_back
from gitmesh.istio.canonical import spec_hash
from gitmesh.model.freeze import Freeze
from gitmesh.model.policy import OnDeadline, RolloutPolicy, RolloutPolicySpec, Window
from gitmesh.model.rollout import (
    Advance,
    Finish,
    GateAnswer,
    Hold,
    Phase,
    RollBack,
    RolloutIntent,
    RolloutRecord,
)
from gitmesh.model.steps import Gate, HttpGate
from gitmesh.model.windows import Calendar
from gitmesh.plan.overlay import overlay

LATER = NOON + seconds(10)
SHUT = Hold("outside its windows until Tue 03 Mar 08:00 UTC", until=NOON + seconds(72_000))
HOOK = Gate(http=HttpGate(url="https://gates.example.com/go"))


def a_held_rollout(at_percent: float = 25, **policy: Any) -> RolloutRecord:
    """A rollout that would go on, but for what its policy says besides."""
    record = a_rollout(at_percent=at_percent, verdict=a_verdict(at=LATER))
    assert record.policy_spec
    gate = policy.pop("gate", None)
    spec = record.policy_spec.model_copy(update=policy)
    steps = tuple(step.model_copy(update={"gate": gate}) for step in spec.steps)
    return record.model_copy(update={"policy_spec": spec.model_copy(update={"steps": steps})})


def an_answer(record: RolloutRecord, is_open: bool, at: datetime = LATER, reason: str = "no") -> GateAnswer:
    return GateAnswer(step=record.step, content=record.canary_hash, is_open=is_open, reason=reason, at=at)


# Windows and freezes


def test_outside_its_windows_no_step_is_taken():
    assert decide(a_held_rollout(), shut=SHUT, now=LATER) == SHUT
    assert isinstance(decide(a_held_rollout(), now=LATER), Advance)


def test_outside_its_windows_nothing_begins_and_nothing_ends():
    waiting = a_held_rollout().model_copy(update={"phase": Phase.WAITING})
    assert decide(waiting, shut=SHUT, now=LATER) == SHUT
    promoting = a_held_rollout(at_percent=100)
    assert decide(promoting, shut=SHUT, now=LATER) == SHUT
    assert isinstance(decide(promoting, now=LATER), Finish)


def test_a_rollback_waits_for_no_window():
    record = a_held_rollout().model_copy(update={"failed_checks": 2})
    assert isinstance(decide(record, shut=SHUT, now=LATER), RollBack)


def test_a_rollout_that_is_shut_wakes_when_it_may_go_on():
    held = advance(a_held_rollout(), SHUT, LATER)
    assert next_wake(held, LATER) == SHUT.until
    waiting = a_held_rollout().model_copy(update={"phase": Phase.WAITING})
    assert next_wake(advance(waiting, SHUT, LATER), LATER) == SHUT.until


def test_a_step_that_was_not_live_when_its_window_closed_stays_out():
    record = held_back(a_rollout(at_percent=25, effective=False), SHUT)
    assert (record.phase, record.progress, record.live_stand.progress) == (Phase.PROGRESSING, 25, 5)
    again = held_back(record, None)
    assert (again.live_stand.progress, again.shut) == (25, False)


def test_a_first_step_that_was_not_live_when_its_window_closed_begins_anew():
    record = held_back(a_rollout(at_percent=5, effective=False), SHUT)
    assert (record.phase, record.progress, record.started_at) == (Phase.WAITING, 0, None)
    assert record.canary is not None


def test_a_step_that_is_live_stays_when_its_window_closes():
    record = a_rollout(at_percent=25)
    assert held_back(record, SHUT) == record


def test_what_git_changes_on_the_way_waits_for_the_window_and_then_carries_on():
    record, desired = a_rollout(at_percent=25), a_virtual_service("reviews: v1 0, v2 100", exportTo=["."])

    def turned(record: RolloutRecord, shut: Hold | None) -> RolloutRecord:
        spec = record.policy_spec
        assert spec
        found = retarget(
            record,
            desired=desired,
            live=None,
            policy=RolloutPolicy(name="careful", namespace="", spec=spec),
            resolve=resolve,
            intent=RolloutIntent(),
            source=record.source,
            revision="main@2222222",
            now=LATER,
            shut=shut,
        )
        assert found
        return found

    shut = turned(record, SHUT)
    assert (shut.canary, shut.awaits) == (record.canary, spec_hash(desired.spec))
    assert turned(shut, SHUT) == shut
    live = overlay({desired.key: desired}, {desired.key: shut}, {})[desired.key]
    assert live.spec == a_spec("reviews: v1 75, v2 25"), "what is on its way stays as it is"
    opened = turned(shut, None)
    assert (opened.step, opened.awaits, opened.canary_hash) == (record.step, "", spec_hash(desired.spec))


OFFICE = Window(cron="0 9 * * mon-fri", duration=seconds(8 * 3600), timezone="Europe/Berlin")


def test_a_closed_window_says_when_it_opens():
    policy = RolloutPolicySpec(windows=(OFFICE,))
    service, evening = a_virtual_service(), datetime.fromisoformat("2026-03-02T20:00:00+00:00")
    shut = shut_now(policy, service, (), Calendar(evening))
    assert shut == Hold(
        "outside its windows until Tue 03 Mar 08:00 UTC",
        until=datetime.fromisoformat("2026-03-03T08:00:00+00:00"),
    )
    assert shut_now(policy, service, (), Calendar(NOON)) is None
    assert shut_now(None, service, (), Calendar(evening)) is None


def test_a_window_that_cannot_be_read_holds_and_says_why():
    policy = RolloutPolicySpec(windows=(OFFICE.model_copy(update={"timezone": "Mars"}),))
    shut = shut_now(policy, a_virtual_service(), (), Calendar(NOON))
    assert shut == Hold("its windows never open: there is no time zone 'Mars'")


def test_a_freeze_holds_inside_windows_too_and_says_who_and_why():
    freeze = Freeze("xmas", NOON, NOON + seconds(60), "sre", "holidays")
    shut = shut_now(RolloutPolicySpec(), a_virtual_service(), (freeze,), Calendar(NOON))
    assert shut == Hold("freeze xmas by sre: holidays, until Mon 02 Mar 12:01 UTC", until=freeze.end)
    assert shut_now(RolloutPolicySpec(), a_virtual_service(), (freeze,), Calendar(freeze.end)) is None


# Gates


def test_a_manual_gate_waits_for_a_person_and_opens_for_this_step_of_this_content():
    record = a_held_rollout(gate=Gate(manual=True))
    assert decide(record, now=LATER) == Hold("waits at 25 % until somebody promotes it")
    passed = opened_by_hand(record, RolloutIntent(promote=pass_for(record)), LATER)
    assert isinstance(decide(record, gate=passed, now=LATER), Advance)
    for other in ({"step": record.step + 1}, {"canary_hash": "another"}):
        elsewhere = record.model_copy(update=other)
        assert opened_by_hand(elsewhere, RolloutIntent(promote=pass_for(record)), LATER) is None
        assert isinstance(decide(elsewhere, gate=passed, now=LATER), Hold)


def test_a_gate_stands_behind_its_hold_and_its_evidence():
    record = a_held_rollout(gate=Gate(manual=True))
    assert decide(record, now=NOON).reason.startswith("holds at 25 %")
    blind = record.model_copy(update={"verdict": a_verdict("blind", at=LATER)})
    assert decide(blind, now=LATER).reason == "blind: blind"


def test_the_gate_of_the_last_step_keeps_the_rollout_from_ending():
    record = a_held_rollout(at_percent=100, gate=Gate(manual=True))
    assert isinstance(decide(record, now=LATER), Hold)
    assert isinstance(decide(record, gate=an_answer(record, True), now=LATER), Finish)


def test_an_expression_that_is_not_true_says_so():
    record = a_held_rollout(gate=Gate(cel="evidence.error_rate.value < 0.5"))
    assert decide(record, gate=an_answer(record, False, reason="it is not"), now=LATER) == Hold(
        "gate at 25 % is closed: it is not"
    )
    assert isinstance(decide(record, gate=an_answer(record, True), now=LATER), Advance)


def test_a_hook_is_asked_when_all_else_is_well():
    record = a_held_rollout(gate=HOOK)
    assert decide(record, now=LATER) == Hold("asks at 25 % whether to go on", asks=True)
    assert not decide(record, now=NOON).asks, "its hold is not over"  # type: ignore[union-attr]
    assert decide(record, shut=SHUT, now=LATER) == SHUT, "nobody is asked for what could not be done"
    assert not decide(record, held="suspended", now=LATER).asks  # type: ignore[union-attr]


def test_a_no_of_a_hook_is_told_and_asked_about_again_after_its_interval():
    record = a_held_rollout(gate=HOOK)
    answer = an_answer(record, False, reason="not on a Friday")
    reason = "gate at 25 % is closed: not on a Friday"
    assert decide(record, gate=answer, now=LATER) == Hold(reason, until=LATER + seconds(10))
    assert decide(record, gate=answer, now=LATER + seconds(10)) == Hold(reason, asks=True)
    set_back = closed(record, answer, LATER - seconds(1))
    assert set_back
    assert set_back.asks


def test_a_yes_of_a_hook_holds_for_its_interval_only():
    record = a_held_rollout(gate=HOOK)
    answer = an_answer(record, True)
    assert isinstance(decide(record, gate=answer, now=LATER + seconds(9)), Advance)
    assert decide(record, gate=answer, now=LATER + seconds(10)).asks  # type: ignore[union-attr]


@pytest.mark.parametrize("gate", [Gate(manual=True), Gate(cel="false"), HOOK])
def test_no_gate_holds_a_rollback(gate: Gate):
    record = a_held_rollout(gate=gate).model_copy(update={"failed_checks": 2})
    assert isinstance(decide(record, now=LATER), RollBack)


def test_a_person_opens_any_gate():
    for gate in (Gate(manual=True), Gate(cel="false"), HOOK):
        record = a_held_rollout(gate=gate)
        answer = opened_by_hand(record, RolloutIntent(promote=pass_for(record)), LATER + seconds(3600))
        assert closed(record, answer, LATER + seconds(3600)) is None


def test_only_a_rollout_in_motion_stands_at_a_gate():
    for phase in (Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.WAITING):
        record = a_held_rollout(gate=HOOK).model_copy(update={"phase": phase, "step": 7})
        assert closed(record, None, LATER) is None


# Deadlines


def test_a_rollout_that_is_not_done_in_time_goes_back():
    record = a_held_rollout(deadline=seconds(70))  # it began a minute before NOON
    assert isinstance(decide(record, now=NOON + seconds(9.9)), Hold)
    assert decide(record, now=LATER) == RollBack("not done within 1m10s")


@pytest.mark.parametrize("held", [{"held": "suspended"}, {"shut": SHUT}])
def test_nothing_gates_the_rollback_of_a_deadline(held: Any):
    assert isinstance(decide(a_held_rollout(deadline=seconds(60)), now=LATER, **held), RollBack)


def test_a_deadline_may_hold_instead():
    record = a_held_rollout(deadline=seconds(60), on_deadline=OnDeadline.HOLD)
    assert decide(record, now=LATER) == Hold("not done within 1m: stays at 25 %")


def test_a_deadline_wakes_the_rollout():
    record = a_held_rollout(deadline=seconds(65))
    assert next_wake(record.model_copy(update={"next_at": None}), NOON) == NOON + seconds(5)


def test_what_has_not_begun_has_no_deadline():
    record = a_held_rollout(deadline=seconds(60)).model_copy(
        update={"phase": Phase.WAITING, "started_at": None}
    )
    assert isinstance(decide(record, now=LATER), Advance)


def test_a_step_that_was_not_live_when_a_check_failed_stays_out():
    record = a_rollout(at_percent=25, effective=False, failed_checks=1)
    assert record.live_stand.progress == 5


def test_a_step_that_a_person_promoted_past_is_no_step_before():
    record = advance(a_rollout(at_percent=5, steps="5 10s, 25 10s, 50 10s, 100"), Advance(3, "all"), LATER)
    assert (record.progress, record.left) == (100, 5)
    assert record.model_copy(update={"failed_checks": 1}).live_stand.progress == 5
    assert held_back(record, SHUT).live_stand.progress == 5


@pytest.mark.parametrize(("steps", "stays"), [("5, 25, 50, 100", 5), ("25, 50, 100", 10)])
def test_a_step_that_a_new_policy_has_in_between_is_no_step_before(steps: str, stays: float):
    begun = a_rollout(at_percent=10, steps="10 10s, 50 10s, 100")
    record = advance(begun, Advance(1, "on"), LATER)
    other = a_policy(steps)
    record = _with_policy(record, other, "default").model_copy(update={"failed_checks": 1})
    assert record.progress == 50
    assert record.live_stand.progress == stays


def test_a_step_that_is_not_live_and_shut_wakes_when_it_may_go_on():
    record = held_back(a_rollout(at_percent=25, effective=False), SHUT)
    decision = decide(record, shut=SHUT, now=LATER)
    assert decision is SHUT
    assert next_wake(advance(record, decision, LATER), LATER) == SHUT.until


def test_a_failed_check_holds_nothing_once_the_policy_has_no_analysis():
    record = a_rollout(at_percent=25, effective=False, failed_checks=1, analysis=None)
    assert record.live_stand.progress == 25  # no check will ever say better, and steps go by time alone
