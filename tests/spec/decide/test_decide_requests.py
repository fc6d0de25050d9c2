"""What a person asks of a rollout, and what a promotion skips and what it does not."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.builders import NOON, a_rollout, a_verdict, seconds

from gitmesh.decide.gates import opened_by_hand
from gitmesh.decide.requests import asking
from gitmesh.decide.transitions import decide
from gitmesh.model.intent import Asked, Reasons, RolloutIntent, Verb, patch_of
from gitmesh.model.rollout import Advance, Decision, Finish, Hold, Phase, RolloutRecord
from gitmesh.model.steps import Gate

SOON = NOON + seconds(1)


def asked(record: RolloutRecord, verb: Verb, *, full: bool = False) -> RolloutIntent:
    intent = asking(RolloutIntent(), verb, record, by="ada", why="it is late", now=NOON, full=full)
    assert isinstance(intent, RolloutIntent), intent
    return intent


def refused(record: RolloutRecord, verb: Verb, *, full: bool = False) -> str:
    text = asking(RolloutIntent(), verb, record, by="", why="", now=NOON, full=full)
    assert isinstance(text, str)
    return text


def decided(record: RolloutRecord, intent: RolloutIntent, shut: Hold | None = None) -> Decision:
    return decide(record, gate=opened_by_hand(record, intent, SOON), shut=shut, now=SOON)


def at_gates(record: RolloutRecord) -> RolloutRecord:
    """The same with a manual gate behind every step."""
    assert record.policy_spec
    steps = tuple(step.model_copy(update={"gate": Gate(manual=True)}) for step in record.policy_spec.steps)
    spec = record.policy_spec.model_copy(update={"steps": steps})
    return record.model_copy(update={"policy_spec": spec})


def passing(**fields: Any) -> RolloutRecord:
    return a_rollout(verdict=a_verdict("pass", NOON), **fields)


def test_a_promotion_ends_the_hold_and_says_who_wanted_it():
    record = passing(at_percent=25)
    assert isinstance(decided(record, RolloutIntent()), Hold)
    advance = decided(record, asked(record, Verb.PROMOTE))
    assert isinstance(advance, Advance)
    assert advance.step == 2
    assert advance.reason.startswith("promoted by ada (it is late); ")


def test_a_promotion_in_full_goes_to_the_last_step_and_bakes_there():
    record = passing(at_percent=25)
    advance = decided(record, asked(record, Verb.PROMOTE, full=True))
    assert isinstance(advance, Advance)
    assert advance.step == 3
    last = passing(at_percent=100, bake="600s")
    assert isinstance(decided(last, asked(last, Verb.PROMOTE, full=True)), Hold)
    assert isinstance(decided(last, asked(last, Verb.PROMOTE)), Finish)


@pytest.mark.parametrize("full", [False, True])
def test_a_promotion_opens_the_gate(full: bool):
    record = at_gates(passing(at_percent=25))
    assert isinstance(decided(record, asked(record, Verb.PROMOTE, full=full)), Advance)


def test_in_a_group_everybody_goes_step_by_step():
    record = passing(at_percent=25)
    assert record.policy_spec
    spec = record.policy_spec.model_copy(update={"group": "shop"})
    record = record.model_copy(update={"policy_spec": spec})
    advance = decided(record, asked(record, Verb.PROMOTE, full=True))
    assert isinstance(advance, Advance)
    assert advance.step == 2


@pytest.mark.parametrize("outcome", ["fail", "insufficient", "blind"])
def test_a_promotion_does_not_replace_evidence(outcome: str):
    record = a_rollout(at_percent=25, verdict=a_verdict(outcome, NOON))
    assert isinstance(decided(record, asked(record, Verb.PROMOTE, full=True)), Hold)


def test_a_promotion_opens_no_window():
    record, shut = passing(at_percent=25), Hold("outside its windows")
    assert decided(record, asked(record, Verb.PROMOTE, full=True), shut) == shut


def test_a_promotion_is_of_one_step_of_one_content():
    before, now = passing(at_percent=25), passing(at_percent=50)
    assert isinstance(decided(now, asked(before, Verb.PROMOTE)), Hold)
    other = passing(at_percent=25, canary_hash="other")
    assert isinstance(decided(other, asked(before, Verb.PROMOTE, full=True)), Hold)


def test_what_makes_no_sense_is_refused_and_says_how_things_are():
    done = a_rollout(at_percent=100, phase=Phase.SUCCEEDED)
    back = a_rollout(phase=Phase.ROLLED_BACK, message="7 % errors")
    waits = a_rollout(phase=Phase.WAITING, message="outside its windows")
    assert refused(done, Verb.PROMOTE) == "is not on its way: it is Succeeded"
    assert refused(waits, Verb.PROMOTE).startswith("has not begun: outside its windows; ")
    assert refused(done, Verb.ROLL_BACK) == "has had no rollout yet: there is nothing to go back to"
    assert refused(back, Verb.ROLL_BACK) == "rolled back already: 7 % errors"
    assert refused(done, Verb.RETRY) == "is not rolled back: it is Succeeded"
    assert asked(waits, Verb.PROMOTE, full=True).promote == f"{waits.canary_hash}@all"


def test_a_second_retry_of_the_same_content_is_another_request():
    back = a_rollout(phase=Phase.ROLLED_BACK)
    first = asked(back, Verb.RETRY).retry
    second = asked(back.model_copy(update={"retried": first}), Verb.RETRY).retry
    assert (first, second) == (back.canary_hash, f"{back.canary_hash}@2026-03-02T12:00:00Z")


def test_a_rollback_and_a_retry_take_older_requests_back():
    record = passing(at_percent=25)
    promoted = asked(record, Verb.PROMOTE, full=True)
    back = asking(promoted, Verb.ROLL_BACK, record, by="bob", why="", now=NOON)
    assert isinstance(back, RolloutIntent)
    assert (back.roll_back, back.promote) == (record.canary_hash, "")


def test_a_patch_holds_what_changes_and_who_wanted_it_alone():
    before = asked(passing(at_percent=25), Verb.PAUSE)
    after = before.asking("bob", "", suspend=False)
    assert patch_of(before, after) == {
        "suspend": False,
        "asked": {"suspend": {"what": "false", "by": "bob", "why": ""}},
    }
    assert patch_of(after, after) == {}


def test_who_asked_is_known_for_the_value_that_was_asked_for_alone():
    intent = RolloutIntent(suspend=False, asked=Reasons(suspend=Asked(what="true", by="ada")))
    assert intent.reason("suspend").text == ""
    assert intent.attributed("kubectl-patch").reason("suspend").text == " by kubectl-patch"


def test_what_people_write_is_shown_on_one_line_of_bounded_length():
    hostile = Asked(what="x", by="ada\x1b[31m\nRolledBack", why="y" * 900)
    assert hostile.text == f" by ada [31m RolledBack ({'y' * 200}…)"
