"""A person lets one content past its windows: what that is about, and what it is not."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.builders import NOON, a_policy_spec, a_rollout, a_verdict, a_virtual_service, seconds

from gitmesh.decide.requests import asking, meant
from gitmesh.decide.schedule import past, shut_now
from gitmesh.decide.timeline import Standing, timelines
from gitmesh.decide.transitions import decide
from gitmesh.model.freeze import Freeze
from gitmesh.model.intent import Overrule, Overruling, RolloutIntent, Verb
from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.policy import Window
from gitmesh.model.rollout import Hold, Phase, RolloutRecord
from gitmesh.model.windows import Calendar

SERVICE = a_virtual_service()
NIGHT = Window(cron="0 22 * * *", duration=seconds(3600))
BY_ADA = Overruling(text=" by ada (hotfix)")


def a_freeze(name: str = "sale", overrule: Overrule = Overrule.DENIED) -> Freeze:
    return Freeze(name, NOON, NOON + seconds(3600), "sre", "Black Friday", overrule=overrule)


def shut(
    overruling: Overruling | None = BY_ADA,
    *freezes: Freeze,
    windows: tuple[Window, ...] = (NIGHT,),
    **spec: Any,
) -> str:
    """What holds, or else what was gone past."""
    policy = a_policy_spec().model_copy(update={"windows": windows, **spec})
    times = (policy, SERVICE, freezes, Calendar(NOON), overruling)
    held = shut_now(*times)
    return held.reason if held else past(*times)


def naming(*freezes: str) -> Overruling:
    return Overruling(frozenset(freezes), " by ada (hotfix)")


def test_a_closed_window_holds_until_somebody_overrules_it_and_then_it_is_said_who():
    assert shut(None) == "outside its windows until Mon 02 Mar 22:00 UTC"
    assert shut() == "although outside its windows until Mon 02 Mar 22:00 UTC: overruled by ada (hotfix)"


def test_where_nothing_holds_nothing_is_overruled():
    assert shut(windows=()) == ""
    assert shut(naming("sale"), windows=()) == ""


def test_a_policy_can_say_that_nobody_overrules_its_windows():
    assert shut(overrule=Overrule.DENIED) == (
        "outside its windows until Mon 02 Mar 22:00 UTC; the policy lets nobody overrule them"
    )


@pytest.mark.parametrize("overrule", list(Overrule))
def test_whoever_overrules_a_window_has_overruled_no_freeze(overrule: Overrule):
    assert shut(BY_ADA, a_freeze(overrule=overrule)).startswith("freeze sale by sre: Black Friday, until")
    assert shut(naming("other"), a_freeze(overrule=overrule)).endswith("until Mon 02 Mar 13:00 UTC")


def test_a_freeze_is_overruled_by_its_name_if_it_lets_itself():
    assert shut(naming("sale"), a_freeze()).endswith("13:00 UTC; it lets nobody overrule it")
    assert shut(naming("sale"), a_freeze(overrule=Overrule.ALLOWED)) == (
        "although freeze sale by sre: Black Friday, until Mon 02 Mar 13:00 UTC: overruled by ada (hotfix)"
    )
    two = a_freeze(overrule=Overrule.ALLOWED), a_freeze("audit", Overrule.ALLOWED)
    assert shut(naming("sale"), *two).startswith("freeze audit")


# Requests


def asked(record: RolloutRecord, before: RolloutIntent | None = None, *freezes: str) -> RolloutIntent:
    found = asking(
        before or RolloutIntent(), Verb.OVERRULE, record, by="ada", why="hotfix", now=NOON, freezes=freezes
    )
    assert isinstance(found, RolloutIntent), found
    return found


def refused(record: RolloutRecord, why: str = "hotfix") -> str:
    found = asking(RolloutIntent(), Verb.OVERRULE, record, by="ada", why=why, now=NOON)
    assert isinstance(found, str)
    return found


def test_a_request_is_for_one_content_and_says_who_and_why():
    record = a_rollout(phase=Phase.WAITING)
    intent = asked(record)
    assert intent.overruling(record.canary_hash) == BY_ADA
    assert intent.overruling("another") is None
    assert intent.overruling("") is None
    assert RolloutIntent().overruling(record.canary_hash) is None


def test_content_that_waits_behind_what_is_on_its_way_is_meant_because_git_says_it():
    assert asked(a_rollout(awaits="newer")).overruling("newer") == BY_ADA


def test_freezes_are_added_to_those_that_were_named_before():
    record = a_rollout()
    intent = asked(record, asked(record, None, "sale"), "audit")
    found = intent.overruling(record.canary_hash)
    assert found
    assert found.freezes == {"sale", "audit"}
    other = asked(a_rollout(canary_hash="other"), intent).overruling("other")
    assert other == BY_ADA, "what was said of one content says nothing of another"


def test_what_makes_no_sense_is_refused():
    assert refused(a_rollout(phase=Phase.SUCCEEDED)).startswith("is not on its way: it is Succeeded")
    assert refused(a_rollout(phase=Phase.ROLLED_BACK)).startswith("is not on its way: it is RolledBack")
    for why in ("", "  "):
        assert refused(a_rollout(), why).startswith("needs a reason")
    spec = a_policy_spec().model_copy(update={"windows": (NIGHT,), "overrule": Overrule.DENIED})
    assert refused(a_rollout(policy_spec=spec)) == (
        "cannot be let past its windows: policy careful lets nobody overrule them"
    )


@pytest.mark.parametrize("verb", [Verb.ROLL_BACK, Verb.RETRY])
def test_a_rollback_and_a_retry_take_it_back(verb: Verb):
    record = a_rollout()
    before = asked(record)
    if verb is Verb.RETRY:
        record = record.model_copy(update={"phase": Phase.ROLLED_BACK})
    after = asking(before, verb, record, by="bob", why="", now=NOON)
    assert isinstance(after, RolloutIntent)
    assert after.overruling(record.canary_hash) is None


def test_words_beyond_the_limit_are_dropped_and_stop_nothing():
    record = a_rollout()
    for verb in (Verb.PAUSE, Verb.OVERRULE, Verb.PROMOTE, Verb.ROLL_BACK):
        found = asking(RolloutIntent(), verb, record, by="b" * 9_000, why="w" * 9_000, now=NOON)
        assert isinstance(found, RolloutIntent)
        assert RolloutIntent.model_validate(found.as_json()) == found
    assert len(RolloutIntent(suspend=True).attributed("b" * 9_000).reason("suspend").by) == 1_000


def test_what_lets_a_group_go_on_is_about_all_of_it_and_what_holds_is_not():
    group = a_policy_spec().model_copy(update={"group": "shop"})
    stands = {"a": Phase.PROGRESSING, "b": Phase.PROMOTING, "c": Phase.WAITING, "d": Phase.SUCCEEDED}
    records = {
        VIRTUAL_SERVICE.key("default", name): a_rollout(phase=phase, policy_spec=group)
        for name, phase in stands.items()
    }
    records[VIRTUAL_SERVICE.key("default", "e")] = a_rollout()
    records[VIRTUAL_SERVICE.key("default", "f")] = a_rollout(policy_spec=group, source="other/mesh")
    key = VIRTUAL_SERVICE.key("default", "a")
    names = {verb: "".join(k.name for k in meant(verb, key, records[key], records)) for verb in Verb}
    alone = dict.fromkeys((Verb.RESUME, Verb.RETRY, Verb.PAUSE, Verb.ROLL_BACK), "a")
    assert names == {**alone, Verb.PROMOTE: "ab", Verb.OVERRULE: "abc"}


# What it changes


def test_every_move_past_a_window_says_so():
    by = "although outside its windows: overruled by ada (hotfix)"
    good = {"verdict": a_verdict("pass", NOON), "now": NOON - seconds(60)}
    for record in (
        a_rollout(phase=Phase.WAITING, step=0),
        a_rollout(**good),
        a_rollout(at_percent=100, **good),
    ):
        assert decide(record, past=by, now=NOON).reason.endswith(f"; {by}")
        assert by not in decide(record, now=NOON).reason


def test_it_ends_no_hold_opens_no_gate_and_replaces_no_evidence():
    for record in (a_rollout(verdict=a_verdict("pass", NOON)), a_rollout(now=NOON - seconds(60))):
        assert isinstance(decide(record, past="although", now=NOON), Hold)


def test_a_plan_foretells_what_was_let_past_its_windows():
    spec = a_policy_spec("50 10m, 100").model_copy(update={"windows": (NIGHT,)})
    record = a_rollout(at_percent=50, steps="50 10m, 100", policy_spec=spec, phase=Phase.WAITING, step=0)
    for overruled, begin in (("", 22), (record.canary_hash, 12), ("other", 22)):
        standing = Standing(record.model_copy(update={"overruled": overruled}), SERVICE)
        first = timelines({SERVICE.key: standing}, (), NOON)[SERVICE.key].stops[0]
        assert first.at
        assert first.at.hour == begin
