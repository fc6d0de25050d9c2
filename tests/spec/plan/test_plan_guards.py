"""What is too much for one plan, what a plan is called, and what it leaves alone on purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes.builders import (
    SOURCE,
    a_destination_rule,
    a_service_entry,
    a_set,
    a_virtual_service,
    carry_out,
    owned,
)

from gitmesh.model.plan import ChangeKind, Plan, SkipReason
from gitmesh.model.resource import Resource
from gitmesh.model.source import Limits, TrafficSourceSpec
from gitmesh.plan.guard import CHANGES_GUARDED_FROM, GUARDED_FROM
from gitmesh.plan.normalize import to_apply
from gitmesh.plan.planner import PlanInput, Resting, make_plan, make_rollback_plan
from gitmesh.plan.render import render_json, render_text

RULE = a_destination_rule("reviews: v1, v2")
ROUTE = a_virtual_service("reviews: v1")


def an_input(effective: list[Resource], live: list[Resource], **fields: Any) -> PlanInput:
    spec = TrafficSourceSpec(url="https://example.com/mesh.git", **fields.pop("spec", {}))
    defaults: dict[str, Any] = {"source": SOURCE, "revision": "new", "previous_revision": "old"}
    inventory = frozenset(r.key for r in live if r.annotations)
    given = PlanInput(
        effective=a_set(*effective),
        live=a_set(*live),
        spec=spec,
        inventory=inventory,
        settle_seconds=0,
        **defaults,
    )
    return replace(given, **fields)


def planned(effective: list[Resource], live: list[Resource], **fields: Any) -> Plan:
    return make_plan(an_input(effective, live, **fields))


def entries(count: int, *, port: int = 443) -> list[Resource]:
    return [
        entry.with_spec({**entry.spec, "ports": [{"number": port, "name": "tls", "protocol": "TLS"}]})
        for entry in (a_service_entry(f"e{number:02}", f"e{number}.example.com") for number in range(count))
    ]


def lived(resources: list[Resource]) -> list[Resource]:
    return [owned(resource) for resource in resources]


def marked(resource: Resource, **annotations: str) -> Resource:
    """`reconcile="disabled"` -> the annotation gitmesh.dev/reconcile."""
    new = {f"gitmesh.dev/{name}": value for name, value in annotations.items()}
    return resource.with_metadata(annotations={**resource.annotations, **new})


def skips(plan: Plan) -> dict[str, SkipReason]:
    return {str(s.key): s.why for s in plan.skipped}


def words(plan: Plan) -> list[str]:
    return [f"{change.kind.value} {change.key}" for change in plan.changes()]


# Too much at once


def test_too_many_deletes_are_an_excess_and_the_plan_says_whole_what_it_would_do():
    live = lived(entries(GUARDED_FROM))
    plan = planned(entries(1), live)
    assert plan.excess
    assert (plan.excess.deletes, plan.excess.owned) == (3, 4)
    assert plan.excess.reason == "3 of 4 objects would be deleted at once, limit 50 %"
    assert len(words(plan)) == 3
    assert planned(entries(2), live).excess is None
    assert planned(entries(1), live, spec={"limits": Limits(delete_percent_max=75)}).excess is None


def test_deletes_of_few_objects_are_ordinary_work():
    plan = planned(entries(1), lived(entries(GUARDED_FROM - 1)))
    assert (len(words(plan)), plan.excess) == (2, None)


def test_too_many_changes_are_an_excess():
    live = lived(entries(CHANGES_GUARDED_FROM))
    changed = [*entries(8, port=8443), *entries(CHANGES_GUARDED_FROM)[8:]]
    plan = planned(changed, live)
    assert plan.excess
    assert plan.excess.reason == "8 of 10 objects would be changed at once, limit 75 %"
    assert planned(changed, live, spec={"limits": Limits(change_percent_max=80)}).excess is None
    assert planned([*entries(7, port=8443), *entries(10)[7:]], live).excess is None


def test_changes_of_few_objects_are_ordinary_work():
    few = CHANGES_GUARDED_FROM - 1
    assert planned(entries(few, port=8443), lived(entries(few))).excess is None


def test_both_reasons_are_told():
    live = lived(entries(40))
    limits = Limits(delete_percent_max=10, change_percent_max=10)
    plan = planned(entries(20, port=8443), live, spec={"limits": limits})
    assert plan.excess
    assert plan.excess.reason == (
        "20 of 40 objects would be deleted at once, limit 10 %; "
        "20 of 40 objects would be changed at once, limit 10 %"
    )


def test_what_is_created_adopted_drifted_or_walked_does_not_count():
    live = lived(entries(20))
    strict = {"limits": Limits(change_percent_max=0)}
    assert planned(entries(60), live, spec=strict).excess is None
    adopted = planned(entries(20), entries(20), spec={**strict, "adopt": True})
    assert (len(words(adopted)), adopted.excess) == (20, None)
    changed = entries(20, port=8443)
    assert planned(changed, live, spec=strict, previous_revision="new").excess is None
    keys = frozenset(a_set(*changed))
    assert planned(changed, live, spec=strict, settled=keys).excess is None
    assert planned(changed, live, spec=strict, moving=keys, walked=a_set(*changed)).excess is None
    assert planned(changed, live, spec=strict).excess


def test_an_update_in_two_waves_counts_once():
    live = [owned(a_destination_rule("reviews: v1, v2")), owned(ROUTE), *lived(entries(8))]
    desired = [a_destination_rule("reviews: v2, v3"), a_virtual_service("reviews: v3"), *entries(8)]
    plan = planned(desired, live, spec={"limits": Limits(change_percent_max=0)})
    assert plan.excess
    assert (len(words(plan)), plan.excess.changes) == (3, 2)


@pytest.mark.parametrize("done", range(1, 6))
def test_the_rest_of_a_plan_that_was_cut_short_is_no_excess(done: int):
    """What was let through is never held half done."""
    live = lived(entries(12))
    plan = planned(entries(6), live)
    assert plan.excess is None
    gone = {change.key for change in list(plan.changes())[:done]}
    assert planned(entries(6), [r for r in live if r.key not in gone]).excess is None


def test_g8_an_empty_source_deletes_nothing_and_no_approval_changes_that():
    plan = planned([], lived(entries(3)), spec={"limits": Limits(delete_percent_max=100)})
    assert (plan.is_empty, plan.excess) == (True, None)
    assert "3 objects" in plan.refusals[0].reason
    assert "deletionPolicy" in plan.refusals[0].hint


def test_a_rollback_is_never_an_excess():
    live = [owned(RULE), owned(a_virtual_service("reviews: v2")), *lived(entries(20))]
    given = an_input([RULE, ROUTE], live, spec={"limits": Limits(change_percent_max=0)})
    assert make_rollback_plan(given, {ROUTE.key}).excess is None


# The name of a plan


def test_the_same_changes_have_the_same_hash_whatever_the_commit():
    live = lived(entries(3))
    one = planned(entries(3, port=8443), live)
    assert planned(entries(3, port=8443), live, revision="another", previous_revision="new").hash == one.hash


@pytest.mark.parametrize(
    "another",
    [
        planned(entries(3, port=9443), lived(entries(3))),
        planned(entries(2, port=8443), lived(entries(3))),
        planned([*entries(3, port=8443), RULE], lived(entries(3))),
        planned(entries(3, port=8443), lived(entries(3)), source="team/b", spec={"adopt": True}),
    ],
    ids=["other content", "one deleted instead", "one more", "other source"],
)
def test_another_change_makes_another_hash(another: Plan):
    assert another.hash != planned(entries(3, port=8443), lived(entries(3))).hash


def test_an_object_that_was_made_anew_under_its_name_makes_another_hash():
    gone = lived(entries(3))
    anew = [r.with_metadata(uid="another") for r in gone]
    assert planned(entries(2), gone).hash != planned(entries(2), anew).hash


def test_drift_and_steps_of_a_rollout_do_not_change_the_hash():
    desired = [RULE, a_virtual_service("ratings: v1"), ROUTE]
    calm = planned(desired, [owned(RULE), owned(ROUTE)], settled=frozenset({RULE.key, ROUTE.key}))
    drifted = [owned(a_destination_rule("reviews: v1")), owned(a_virtual_service("reviews: v2"))]
    assert planned(desired, drifted, settled=frozenset({RULE.key, ROUTE.key})).hash == calm.hash
    target = a_virtual_service("reviews: v1 0, v2 100")
    hashes = {
        planned(
            [RULE, a_virtual_service(f"reviews: v1 {100 - weight}, v2 {weight}")],
            [owned(RULE), owned(ROUTE)],
            moving=frozenset({ROUTE.key}),
            walked=a_set(target),
        ).hash
        for weight in (5, 50)
    }
    assert len(hashes) == 1


def test_an_update_in_two_waves_has_the_hash_of_one():
    live = [owned(a_destination_rule("reviews: v1, v2")), owned(ROUTE)]
    desired = [a_destination_rule("reviews: v2, v3"), a_virtual_service("reviews: v3")]
    plan = planned(desired, live)
    half = carry_out(Plan(SOURCE, "new", plan.waves[:0]), a_set(*live))
    assert planned(desired, list(half.values())).hash == plan.hash


def test_people_and_programs_read_the_hash_and_why_it_waits():
    plan = planned(entries(1), lived(entries(4)))
    assert render_text(plan)[-2:] == [
        f"plan {plan.hash} waits for approval: 3 of 4 objects would be deleted at once, limit 50 %",
        f"    `gitmesh approve {plan.hash}` lets exactly this through, once it is held",
    ]
    assert render_json(plan)["held"]["deletes"] == 3
    assert render_json(planned(entries(4), lived(entries(4))))["held"] is None


# What is left alone


def test_an_object_whose_reconcile_is_disabled_is_neither_written_nor_healed_nor_pruned():
    live = [owned(RULE), marked(owned(a_virtual_service("reviews: v2")), reconcile="disabled")]
    for fields in ({}, {"previous_revision": "new"}):
        plan = planned([RULE, ROUTE], live, **fields)
        assert (words(plan), skips(plan)) == ([], {str(ROUTE.key): SkipReason.RECONCILE_DISABLED})
        assert "the live object says gitmesh.dev/reconcile: disabled" in plan.skipped[0].text
        assert plan.skipped[0].fields
    assert skips(planned([RULE], live)) == {str(ROUTE.key): SkipReason.RECONCILE_DISABLED}


def test_git_can_say_so_too():
    held = marked(ROUTE, reconcile="disabled")
    for live in ([owned(RULE)], [owned(RULE), owned(a_virtual_service("reviews: v2"))]):
        plan = planned([RULE, held], live)
        assert (words(plan), skips(plan)) == ([], {str(ROUTE.key): SkipReason.RECONCILE_DISABLED})
        assert "Git says" in plan.skipped[0].text


def test_any_other_value_disables_nothing():
    live = [owned(RULE), marked(owned(a_virtual_service("reviews: v2")), reconcile="enabled", prune="yes")]
    assert words(planned([RULE, ROUTE], live)) == ["update VirtualService default/reviews"]


def test_a_rollback_asks_nobody_who_wants_the_object_left_alone():
    live = [owned(RULE), marked(owned(a_virtual_service("reviews: v2")), reconcile="disabled")]
    given = an_input([RULE, ROUTE], live)
    assert words(make_rollback_plan(given, {ROUTE.key})) == ["update VirtualService default/reviews"]


def test_g7_a_leftover_goes_one_that_is_kept_from_pruning_stays_and_the_object_of_another_owner_stays():
    keep = marked(owned(a_service_entry("keep", "k.example.com")), prune="disabled")
    other = owned(a_service_entry("other", "o.example.com"), source="team/b")
    live = [owned(RULE), owned(ROUTE), owned(a_service_entry("gone", "g.example.com")), keep, other]
    plan = planned([RULE, ROUTE], live)
    assert words(plan) == ["delete ServiceEntry default/gone"]
    assert skips(plan) == {str(keep.key): SkipReason.PRUNE_DISABLED}


def test_what_git_last_kept_from_pruning_stays_also_when_somebody_took_the_mark_off_the_live_object():
    bare = owned(a_service_entry("keep", "k.example.com"))
    plan = planned([RULE, ROUTE], [owned(RULE), owned(ROUTE), bare], kept=frozenset({bare.key}))
    assert (words(plan), skips(plan)) == ([], {str(bare.key): SkipReason.PRUNE_DISABLED})


def test_g4_drift_that_is_not_healed_is_reported_with_its_fields():
    live = [owned(RULE), owned(a_virtual_service("reviews: v2"))]
    plan = planned([RULE, ROUTE], live, previous_revision="new", spec={"heal": False})
    assert (words(plan), skips(plan)) == ([], {str(ROUTE.key): SkipReason.HEAL_DISABLED})
    assert plan.skipped[0].fields[0].path[:3] == ("spec", "http", 0)
    gone = planned(
        [RULE, ROUTE],
        [owned(RULE)],
        previous_revision="new",
        spec={"heal": False},
        inventory=frozenset({ROUTE.key}),
    )
    assert "was deleted by someone else; spec.heal is false" in gone.skipped[0].text


def test_a_commit_to_one_object_does_not_write_over_the_reported_drift_of_another():
    live = [
        owned(RULE),
        owned(a_virtual_service("reviews: v2")),
        owned(a_service_entry("x", "x.example.com")),
    ]
    desired = [RULE, ROUTE, a_service_entry("x", "y.example.com")]
    plan = planned(desired, live, settled=frozenset({RULE.key, ROUTE.key}), spec={"heal": False})
    assert words(plan) == ["update ServiceEntry default/x"]
    assert skips(plan) == {str(ROUTE.key): SkipReason.HEAL_DISABLED}


def test_an_object_that_others_fight_over_rests_unless_a_commit_or_a_rollback_writes_it():
    live = [owned(RULE), owned(a_virtual_service("reviews: v2"))]
    fought = {ROUTE.key: Resting(to_apply(ROUTE, SOURCE).body, "changed again and again by argocd")}
    for fields in ({}, {"previous_revision": "new"}):
        plan = planned([RULE, ROUTE], live, resting=fought, **fields)
        assert (words(plan), skips(plan)) == ([], {str(ROUTE.key): SkipReason.FIGHT})
    new = a_virtual_service("reviews: v1 50, v2 50")
    assert words(planned([RULE, new], live, resting=fought)) == ["update VirtualService default/reviews"]
    given = an_input([RULE, ROUTE], live, previous_revision="new", resting=fought)
    assert words(make_rollback_plan(given, {ROUTE.key})) == ["update VirtualService default/reviews"]
    (change,) = planned([RULE, ROUTE], live, previous_revision="new").changes()
    assert (change.kind, change.drift) == (ChangeKind.UPDATE, True)


def test_a_leftover_that_others_bring_back_rests_too():
    live = [owned(RULE), owned(ROUTE), owned(a_service_entry("x", "x.example.com"))]
    key = live[2].key
    assert skips(planned([RULE, ROUTE], live, resting={key: Resting(None, "back again")})) == {
        str(key): SkipReason.FIGHT
    }
    assert words(planned([RULE, ROUTE], live, resting={key: Resting(live[2].body, "other")}))
