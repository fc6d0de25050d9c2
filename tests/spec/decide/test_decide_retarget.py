"""What Git, and a person, make of a rollout."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.builders import (
    NOON,
    SOURCE,
    a_policy,
    a_rollout,
    a_route,
    a_spec,
    a_target,
    a_verdict,
    a_virtual_service,
    resolve,
    seconds,
)

from gitmesh.decide.retarget import retarget
from gitmesh.decide.transitions import advance, decide, mark_effective
from gitmesh.istio.canonical import spec_hash
from gitmesh.model.policy import RolloutPolicy
from gitmesh.model.resource import Resource
from gitmesh.model.rollout import Phase, RollBack, RolloutIntent, RolloutRecord, Snapshot

OLD, NEW = "reviews: v1 100, v2 0", "reviews: v1 0, v2 100"
LATER = NOON + seconds(30)


def turned(
    record: RolloutRecord | None,
    desired: str | Resource,
    *,
    live: str | None = OLD,
    policy: RolloutPolicy | str | None = "careful",
    now=LATER,
    **intent: Any,
) -> RolloutRecord | None:
    arguments = {
        "desired": a_virtual_service(desired) if isinstance(desired, str) else desired,
        "live": a_virtual_service(live) if live else None,
        "policy": a_policy() if policy == "careful" else policy,
        "resolve": resolve,
        "intent": RolloutIntent(**intent),
        "source": SOURCE,
        "revision": "main@2222222",
    }
    after = retarget(record, now=now, **arguments)
    again = retarget(after, now=now + seconds(5), **arguments)
    assert again == after, "asking again must change nothing"
    if after is None or after.phase is not Phase.WAITING:
        return after
    held = "suspended" if arguments["intent"].suspend else ""
    return advance(after, decide(after, held=held, now=now), now)


def settled(text: str = OLD, previous: str | None = None, **fields: Any) -> RolloutRecord:
    spec = a_spec(text)
    before = Snapshot(spec=a_spec(previous), hash=spec_hash(a_spec(previous))) if previous else None
    base = a_rollout(at_percent=100).model_copy(
        update={
            "phase": Phase.SUCCEEDED,
            "stable": Snapshot(spec=spec, hash=spec_hash(spec)),
            "previous": before,
            "canary": None,
            "canary_hash": spec_hash(spec),
        }
    )
    return base.model_copy(update=fields)


def of(text: str) -> str:
    return spec_hash(a_spec(text))


def test_without_policy_and_record_there_is_nothing_to_remember():
    assert turned(None, NEW, policy=None) is None


def test_a_new_object_goes_live_whole():
    record = turned(None, NEW, live=None)
    assert (record.phase, record.progress, record.stable.hash) == (Phase.SUCCEEDED, 100, of(NEW))


def test_an_object_that_was_never_created_is_created_as_git_has_it_now():
    refused = turned(None, NEW, live=None)
    record = turned(refused, OLD, live=None)
    assert (record.phase, record.progress, record.stable.hash) == (Phase.SUCCEEDED, 100, of(OLD))
    created = mark_effective(refused, NOON)
    assert turned(created, OLD, live=None).phase is Phase.PROGRESSING, "what was live once is stable"


def test_an_object_that_is_live_already_is_stable_as_it_is():
    record = turned(None, NEW, live=OLD)
    assert (record.phase, record.progress, record.stable.hash) == (Phase.PROGRESSING, 5, of(OLD))


def test_moved_weights_start_at_the_first_step():
    record = turned(settled(), NEW)
    assert (record.phase, record.step, record.steps, record.progress) == (Phase.PROGRESSING, 0, 4, 5)
    assert record.weights == "v1 95, v2 5"
    assert record.targets == (a_target("v2"),)
    assert (record.started_at, record.effective_at, record.stable.hash) == (LATER, None, of(OLD))
    assert (record.canary_hash, record.revision) == (of(NEW), "main@2222222")


def test_a_policy_of_one_step_promotes_at_once_and_bakes():
    record = turned(settled(), NEW, policy=a_policy("100", bake="1m"))
    assert (record.phase, record.progress, record.weights) == (Phase.PROMOTING, 100, "v1 0, v2 100")


def test_a_change_without_weights_is_live_at_once_and_baked_under_the_guard():
    record = turned(settled(), a_virtual_service(OLD, exportTo=["."]), policy=a_policy(bake="1m"))
    assert (record.phase, record.progress, record.steps) == (Phase.PROMOTING, 100, 0)
    assert record.targets == (a_target("v1"),)
    record = mark_effective(record, LATER)
    assert record.next_at == LATER + seconds(60)


def test_a_change_without_weights_and_without_a_bake_is_finished_when_it_is_live():
    record = mark_effective(turned(settled(), a_virtual_service(OLD, exportTo=["."])), LATER)
    decision = decide(record, now=LATER)
    assert advance(record, decision, LATER).phase is Phase.SUCCEEDED


def test_the_same_content_carries_on():
    record = a_rollout(at_percent=25)
    assert turned(record, NEW) == record


def test_a_revert_on_the_way_goes_back_at_once():
    record = turned(a_rollout(at_percent=50), OLD)
    assert (record.phase, record.stable.hash, record.canary) == (Phase.SUCCEEDED, of(OLD), None)
    assert record.message == "reverted in Git: back to stable"


def test_other_weights_on_the_way_start_again():
    record = turned(
        a_rollout(at_percent=50, failed_checks=1, verdict=a_verdict("fail")), "reviews: v1 50, v2 50"
    )
    assert (record.phase, record.step, record.stable.hash) == (Phase.PROGRESSING, 0, of(OLD))
    assert (record.failed_checks, record.verdict, record.started_at) == (0, None, LATER)


def test_another_timeout_on_the_way_keeps_step_dwell_and_count():
    record = a_rollout(at_percent=25, failed_checks=1)
    desired = a_virtual_service(NEW)
    desired = desired.with_spec({**desired.spec, "http": [a_route("v1 0, v2 100", timeout="3s")]})
    after = turned(record, desired)
    assert (after.step, after.effective_at, after.next_at) == (
        record.step,
        record.effective_at,
        record.next_at,
    )
    assert (after.failed_checks, after.canary_hash) == (1, spec_hash(desired.spec))


def test_a_revert_after_success_is_applied_at_once():
    record = turned(settled(NEW, previous=OLD), OLD)
    assert (record.phase, record.stable.hash, record.progress) == (Phase.SUCCEEDED, of(OLD), 100)


def test_a_revert_of_the_revert_has_to_prove_itself_again():
    record = turned(settled(NEW, previous=OLD), OLD)
    assert turned(record, NEW).phase is Phase.PROGRESSING


def test_quarantined_content_stays_away_and_git_is_shown_to_be_ahead():
    record = advance(a_rollout(), RollBack("bad"), NOON)
    assert turned(record, NEW) == record
    assert (record.phase, record.canary_hash) == (Phase.ROLLED_BACK, of(NEW))


@pytest.mark.parametrize("policy", ["careful", None])
def test_quarantined_content_stays_away_when_it_comes_back_later(policy):
    record = turned(settled(quarantined=(of(NEW),)), NEW, policy=policy)
    assert (record.phase, record.stable.hash, record.canary_hash) == (Phase.ROLLED_BACK, of(OLD), of(NEW))


def test_new_content_after_a_rollback_flows_at_once():
    record = advance(a_rollout(), RollBack("bad"), NOON)
    after = turned(record, "reviews: v1 0, v2 0, v3 100")
    assert (after.phase, after.progress, after.quarantined) == (Phase.PROGRESSING, 5, record.quarantined)


def test_a_revert_commit_answers_a_rollback():
    assert turned(advance(a_rollout(), RollBack("bad"), NOON), OLD).phase is Phase.SUCCEEDED


def test_without_a_policy_everything_goes_at_once():
    record = turned(a_rollout(at_percent=25), NEW, policy=None)
    assert (record.phase, record.stable.hash, record.previous.hash) == (Phase.SUCCEEDED, of(NEW), of(OLD))


def test_a_person_can_roll_back_what_is_on_its_way():
    record = turned(a_rollout(at_percent=50), NEW, roll_back=of(NEW))
    assert (record.phase, record.quarantined) == (Phase.ROLLED_BACK, (of(NEW),))
    assert record.message == "rolled back on request"


def test_a_person_can_roll_back_what_has_succeeded():
    record = turned(settled(NEW, previous=OLD), NEW, roll_back=of(NEW))
    assert (record.phase, record.stable.hash, record.quarantined) == (Phase.ROLLED_BACK, of(OLD), (of(NEW),))


def test_there_is_no_going_back_from_the_first_content_ever():
    record = settled(NEW)
    assert turned(record, NEW, roll_back=of(NEW)).phase is Phase.SUCCEEDED


def test_content_named_beforehand_never_starts():
    assert turned(settled(), NEW, roll_back=of(NEW)).phase is Phase.ROLLED_BACK


def test_a_retry_starts_again_once():
    failed = advance(a_rollout(), RollBack("bad"), NOON)
    again = turned(failed, NEW, retry=of(NEW))
    assert (again.phase, again.progress, again.quarantined) == (Phase.PROGRESSING, 5, ())
    failed_again = advance(again, RollBack("bad again"), LATER)
    assert turned(failed_again, NEW, retry=of(NEW)).phase is Phase.ROLLED_BACK


def test_another_retry_is_asked_for_with_another_text():
    failed = advance(a_rollout(retried=of(NEW)), RollBack("bad again"), NOON)
    assert turned(failed, NEW, retry=of(NEW)).phase is Phase.ROLLED_BACK
    assert turned(failed, NEW, retry=f"{of(NEW)}@2026-03-02T12:00:00Z").phase is Phase.PROGRESSING


def test_of_a_retry_and_a_rollback_the_rollback_wins():
    failed = advance(a_rollout(), RollBack("bad"), NOON)
    assert turned(failed, NEW, retry=of(NEW), roll_back=of(NEW)).phase is Phase.ROLLED_BACK


def test_suspended_lets_nothing_new_begin():
    for desired in (a_virtual_service(NEW), a_virtual_service(OLD, exportTo=["."])):
        record = turned(settled(), desired, suspend=True)
        assert (record.phase, record.progress, record.stable.hash) == (Phase.WAITING, 0, of(OLD))


def test_what_waited_begins_when_it_is_let_go():
    waiting = turned(settled(), NEW, suspend=True)
    record = turned(waiting, NEW)
    assert (record.phase, record.progress, record.started_at) == (Phase.PROGRESSING, 5, LATER)
    baked = turned(
        turned(settled(), a_virtual_service(OLD, exportTo=["."]), suspend=True),
        a_virtual_service(OLD, exportTo=["."]),
    )
    assert (baked.phase, baked.progress) == (Phase.PROMOTING, 100)


def test_suspended_does_not_hold_a_revert():
    assert turned(a_rollout(at_percent=50), OLD, suspend=True).phase is Phase.SUCCEEDED


@pytest.mark.parametrize(
    ("steps", "step"), [("10 1m, 25 1m, 100", 1), ("30 1m, 100", -1), ("5, 20, 60, 100", 1), ("100", -1)]
)
def test_edited_steps_keep_the_progress_and_go_on_from_there(steps: str, step: int):
    record = turned(a_rollout(at_percent=25), NEW, policy=a_policy(steps))
    assert (record.progress, record.step, record.effective_at) == (25, step, NOON)
    passed = record.model_copy(update={"verdict": a_verdict(at=LATER)})
    after = advance(passed, decide(passed, now=NOON + seconds(60)), NOON + seconds(60))
    assert after.progress == record.policy_spec.steps[step + 1].progress


def test_nulls_in_git_are_no_new_content():
    record = settled()
    desired = a_virtual_service(OLD, exportTo=None)
    assert turned(record, desired).stable == record.stable


def test_a_record_survives_being_written_and_read():
    record = turned(settled(), NEW)
    assert RolloutRecord.model_validate(record.as_json()) == record
