"""Rollouts that heed one another."""

from __future__ import annotations

from typing import Any

from fakes.builders import NOON, a_policy_spec, a_rollout

from gitmesh.decide.together import Member, missing_dependency, reliance, together, unrest
from gitmesh.decide.transitions import advance
from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.rollout import Advance, Decision, Finish, Hold, Phase, RollBack, RolloutRecord

FORWARD = Advance(2, "all is well")
BEGIN = Advance(0, "new weights in Git")
REST = Hold("waits for the rest of group shop")


def a_member(
    name: str,
    decision: Decision,
    *,
    phase: Phase = Phase.PROGRESSING,
    group: str = "",
    limit: int | None = None,
    waits_for: str = "",
    at_percent: float = 25,
    **fields: Any,
) -> Member:
    record = a_rollout(at_percent=at_percent)
    assert record.policy_spec
    spec = record.policy_spec.model_copy(update={"group": group, "max_concurrent": limit})
    record = record.model_copy(update={"policy_spec": spec, "phase": phase, **fields})
    return Member(VIRTUAL_SERVICE.key("default", name), record, decision, waits_for, "default/careful")


def waiting(name: str, decision: Decision = BEGIN, **fields: Any) -> Member:
    return a_member(name, decision, phase=Phase.WAITING, step=0, **fields)


def done(*members: Member) -> dict[str, Decision]:
    return {key.name: decision for key, decision in together(members).items()}


def test_rollouts_without_ties_do_what_they_decided():
    assert done(a_member("a", FORWARD), a_member("b", Hold("x")), waiting("c")) == {
        "a": FORWARD,
        "b": Hold("x"),
        "c": BEGIN,
    }


# Dependencies


def test_a_rollout_begins_when_what_it_waits_for_is_at_rest():
    assert done(waiting("a", waits_for="ratings, which is Waiting")) == {
        "a": Hold("waits for ratings, which is Waiting")
    }


def test_what_lacks_what_it_comes_after_goes_no_further_and_still_goes_back():
    held = Hold("waits for ratings, which is RolledBack")
    for decision in (FORWARD, Finish("done")):
        assert done(a_member("a", decision, waits_for="ratings, which is RolledBack")) == {"a": held}
    back = RollBack("errors")
    assert done(a_member("a", back, waits_for="ratings, which is RolledBack")) == {"a": back}


RATINGS = VIRTUAL_SERVICE.key("default", "ratings")


def missing(ratings: RolloutRecord | None, *, exists: bool = True, **fields: Any) -> str:
    """What reviews, after ratings, lacks."""
    spec = a_policy_spec().model_copy(update={"after": ("ratings",)})
    record = a_rollout(policy_spec=spec).model_copy(update=fields)
    return missing_dependency(record, "default", {RATINGS: ratings}.get, lambda _: exists)


def test_to_begin_everything_that_comes_before_has_to_be_at_rest():
    waits = {"phase": Phase.WAITING}
    assert missing(a_rollout(), **waits) == "ratings, which is Progressing at 25 %"
    assert missing(a_rollout(phase=Phase.ROLLED_BACK), **waits) == "ratings, which is RolledBack"
    assert missing(a_rollout(phase=Phase.SUCCEEDED), **waits) == ""
    assert missing(None, **waits) == "", "no policy selects it: it goes live with the revision"
    assert missing(None, exists=False, **waits) == "ratings, which does not exist"


def test_on_its_way_a_rollout_needs_what_was_stable_when_it_began_or_what_has_followed_since():
    ratings = a_rollout(phase=Phase.SUCCEEDED)
    ratings = ratings.model_copy(update={"stable": ratings.canary})
    relied = f"{RATINGS.path}@{ratings.stable.hash}"
    begun = {"relies_on": (relied,)}
    assert missing(ratings, **begun) == ""
    other = a_rollout(stable="ratings: v3 100", phase=Phase.PROGRESSING)
    newer = ratings.model_copy(update={"phase": Phase.PROGRESSING, "canary_hash": other.stable.hash})
    assert missing(newer, **begun) == "", "a newer one is on its way, and what this one needs is live"
    undone = {"stable": a_rollout().stable, "canary_hash": ratings.stable.hash}
    back = ratings.model_copy(
        update={**undone, "phase": Phase.ROLLED_BACK, "quarantined": (ratings.stable.hash,)}
    )
    assert missing(back, **begun) == "ratings, which is RolledBack"
    again = ratings.model_copy(update={**undone, "phase": Phase.PROGRESSING})
    assert missing(again, **begun) == "ratings, which is Progressing at 25 %", (
        "it was retried, and is not there yet"
    )
    followed = back.model_copy(update={"phase": Phase.SUCCEEDED, "stable": other.stable})
    assert missing(followed, **begun) == ""
    assert missing(back) == "", "it began before anything was written down"
    assert missing(None, exists=False, **begun) == "", (
        "it is gone from Git and the cluster, as somebody wanted"
    )


def test_what_a_rollout_relies_on_is_what_is_stable_then():
    spec = a_policy_spec().model_copy(update={"after": ("ratings", "shop/details")})
    ratings = a_rollout(phase=Phase.SUCCEEDED)
    found = reliance(a_rollout(policy_spec=spec), "default", {RATINGS: ratings}.get)
    assert found == (f"{RATINGS.path}@{ratings.stable.hash}",)


def test_only_what_succeeded_is_at_rest():
    record = a_rollout()
    told = {phase: unrest(record.model_copy(update={"phase": phase})) for phase in Phase}
    assert {phase for phase, why in told.items() if not why} == {Phase.SUCCEEDED}
    assert told[Phase.PROGRESSING] == "is Progressing at 25 %"
    assert unrest(None) == ""


# How many at once


def test_no_more_than_the_limit_are_in_motion():
    three = [waiting(name, limit=2) for name in "abc"]
    full = Hold("2 rollouts of policy default/careful are in motion already")
    assert done(*three) == {"a": BEGIN, "b": BEGIN, "c": full}
    assert done(a_member("a", FORWARD, limit=2), *three[1:]) == {"a": FORWARD, "b": BEGIN, "c": full}


def test_what_is_held_takes_no_place():
    held = waiting("a", Hold("suspended"), limit=1)
    assert done(held, waiting("b", limit=1))["b"] == BEGIN


def test_a_limit_holds_nothing_that_moves_already():
    both = [a_member(name, FORWARD, limit=1) for name in "ab"]
    assert done(*both) == {"a": FORWARD, "b": FORWARD}


def test_a_group_takes_one_place():
    group = [waiting(name, group="shop", limit=1) for name in "ab"]
    alone = waiting("c", limit=1)
    assert done(*group, alone) == {
        "a": BEGIN,
        "b": BEGIN,
        "c": Hold("1 rollout of policy default/careful is in motion already"),
    }


# Groups


def test_a_group_begins_together_or_not_at_all():
    assert done(waiting("a", group="shop"), waiting("b", group="shop")) == {"a": BEGIN, "b": BEGIN}
    assert done(waiting("a", group="shop"), waiting("b", Hold("suspended"), group="shop")) == {
        "a": Hold("waits for b of group shop: suspended"),
        "b": Hold("suspended"),
    }


def test_a_group_advances_when_all_of_it_is_ready():
    ready, held = a_member("a", FORWARD, group="shop"), a_member("b", Hold("holds at 25 %"), group="shop")
    assert done(ready, held)["a"] == Hold("waits for b of group shop: holds at 25 %")
    assert done(ready, a_member("b", FORWARD, group="shop")) == {"a": FORWARD, "b": FORWARD}


def test_who_is_behind_goes_first():
    behind = a_member("a", Advance(1, ""), group="shop", at_percent=5)
    ahead = a_member("b", FORWARD, group="shop")
    assert done(behind, ahead) == {"a": Advance(1, ""), "b": REST}


def test_a_group_ends_together():
    end = Finish("done")
    last = [a_member(name, end, group="shop", at_percent=100, phase=Phase.PROMOTING) for name in "ab"]
    assert done(*last) == {"a": end, "b": end}
    assert done(last[0], a_member("b", FORWARD, group="shop"))["a"] == REST


def test_members_at_rest_hold_up_nobody():
    rest = a_member("b", Hold(""), group="shop", phase=Phase.SUCCEEDED)
    assert done(a_member("a", FORWARD, group="shop"), rest)["a"] == FORWARD


def test_a_group_goes_back_together():
    bad = a_member("a", RollBack("7.5 % errors"), group="shop")
    good, new = a_member("b", FORWARD, group="shop"), waiting("c", group="shop")
    found = done(bad, good, new, a_member("d", FORWARD))
    assert found["a"] == RollBack("7.5 % errors")
    along = f"{bad.key.path}@{bad.record.canary_hash}"
    assert found["b"] == RollBack("with a of group shop: 7.5 % errors", along)
    assert found["c"] == Hold("a of group shop is rolled back")
    assert found["d"] == FORWARD


def test_a_group_whose_rollback_was_interrupted_goes_back_all_the_same():
    bad = a_member("a", RollBack("7.5 % errors"), group="shop")
    back = advance(bad.record, bad.decision, NOON)
    rest = Member(bad.key, back, Hold(back.message), policy=bad.policy)
    found = done(rest, a_member("b", FORWARD, group="shop"))
    assert isinstance(found["b"], RollBack)
    assert found["b"].reason == "with a of group shop: 7.5 % errors"


def test_what_was_taken_along_names_who_it_was_taken_along_for():
    member = a_member("b", FORWARD, group="shop")
    back = advance(member.record, RollBack("with a of group shop: bad", "path@hash"), NOON)
    assert back.taken_along == "path@hash"
    culprit = a_member("a", Hold("x"), group="shop", phase=Phase.ROLLED_BACK)
    victim = Member(member.key, back, Hold("x"), policy="p")
    found = done(victim, culprit, a_member("c", FORWARD, group="shop"))
    assert found["c"].along.startswith(culprit.key.path)  # type: ignore[union-attr]


def test_a_new_commit_waits_until_the_release_that_is_on_its_way_is_done():
    moving = a_member("a", FORWARD, group="shop")
    new = waiting("b", group="shop", revision="main@2222222")
    assert done(moving, new) == {
        "a": FORWARD,
        "b": Hold("waits until the release of group shop that is on its way is done"),
    }


def test_a_member_whose_beginning_was_interrupted_joins_the_rest():
    moving, new = a_member("a", FORWARD, group="shop"), waiting("b", group="shop")
    assert done(moving, new) == {"a": REST, "b": BEGIN}


def test_groups_do_not_heed_each_other():
    one, other = a_member("a", RollBack("bad"), group="shop"), a_member("b", FORWARD, group="desk")
    assert done(one, other)["b"] == FORWARD
