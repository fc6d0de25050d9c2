"""What a plan holds, what it refuses, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.builders import (
    SOURCE,
    a_destination_rule,
    a_resource,
    a_service_entry,
    a_set,
    a_virtual_service,
    carry_out,
    owned,
)

from gitmesh.model.plan import ABSENT, ChangeKind, FieldChange, Plan
from gitmesh.model.resource import Resource
from gitmesh.model.source import Limits, TrafficSourceSpec
from gitmesh.plan.planner import PlanInput, make_plan, make_rollback_plan

RULE = a_destination_rule("reviews: v1, v2")
ROUTE = a_virtual_service("reviews: v1")


def an_input(effective: list[Resource], live: list[Resource], **fields: Any) -> PlanInput:
    spec = TrafficSourceSpec(url="https://example.com/mesh.git", **fields.pop("spec", {}))
    defaults: dict[str, Any] = {
        "source": SOURCE,
        "revision": "new",
        "previous_revision": "old",
        "inventory": frozenset(r.key for r in live if r.annotations),
        "settle_seconds": 2.0,
    }
    return PlanInput(effective=a_set(*effective), live=a_set(*live), spec=spec, **{**defaults, **fields})


def planned(effective: list[Resource], live: list[Resource], **fields: Any) -> Plan:
    return make_plan(an_input(effective, live, **fields))


def shape(plan: Plan) -> list[list[str]]:
    """Each wave as its changes: `["create DestinationRule default/reviews"]`."""
    return [[f"{c.kind.value} {c.key}" for c in wave.changes] for wave in plan.waves]


def settles(plan: Plan) -> list[float]:
    return [wave.settle_seconds for wave in plan.waves]


def test_what_is_right_is_left_alone():
    live = [owned(RULE), owned(ROUTE)]
    plan = planned([RULE, ROUTE], live)
    assert (plan.is_empty, plan.unchanged, plan.refusals) == (True, 2, ())


def test_version_status_server_fields_nulls_and_the_labels_of_others_are_no_difference():
    body = {
        **owned(ROUTE).body,
        "apiVersion": "networking.istio.io/v1alpha3",
        "status": {"observedGeneration": 3},
    }
    live = Resource(ROUTE.key, "networking.istio.io/v1alpha3", body)
    live = live.with_metadata(labels={**live.labels, "team": "a"}, generation=3)
    desired = ROUTE.with_spec({**ROUTE.spec, "gateways": None})
    assert planned([RULE, desired], [owned(RULE), live]).is_empty


def test_what_is_applied_carries_our_marks_and_nothing_that_the_server_sets():
    desired = Resource(
        ROUTE.key,
        "networking.istio.io/v1alpha3",
        {
            **ROUTE.body,
            "apiVersion": "networking.istio.io/v1alpha3",
            "status": {"x": 1},
            "metadata": {
                "name": "reviews",
                "uid": "x",
                "resourceVersion": "1",
                "labels": {"app": "reviews"},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
            },
        },
    )
    (change,) = planned([RULE, desired], [owned(RULE)]).changes()
    assert change.after.body == {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {
            "name": "reviews",
            "namespace": "default",
            "labels": {"app": "reviews", "app.kubernetes.io/managed-by": "gitmesh"},
            "annotations": {"gitmesh.dev/source": SOURCE},
        },
        "spec": ROUTE.spec,
    }


def test_a_new_subset_comes_before_the_route_that_names_it_with_time_to_settle():
    desired = [a_destination_rule("reviews: v1, v2, v3"), a_virtual_service("reviews: v3")]
    plan = planned(desired, [owned(RULE), owned(ROUTE)])
    assert shape(plan) == [
        ["update DestinationRule default/reviews"],
        ["update VirtualService default/reviews"],
    ]
    assert settles(plan) == [2.0, 0.0]


def test_a_pure_weight_change_is_one_change_and_waits_for_nothing():
    before, after = a_virtual_service("reviews: v1 100, v2 0"), a_virtual_service("reviews: v1 75, v2 25")
    plan = planned([RULE, after], [owned(RULE), owned(before)])
    assert shape(plan) == [["update VirtualService default/reviews"]]
    assert settles(plan) == [0.0]
    (change,) = plan.changes()
    assert change.fields == (
        FieldChange(("spec", "http", 0, "route", 0, "weight"), 100, 75),
        FieldChange(("spec", "http", 0, "route", 1, "weight"), 0, 25),
    )


def test_the_route_leaves_a_subset_before_the_subset_goes():
    desired = [a_destination_rule("reviews: v2, v3"), a_virtual_service("reviews: v3")]
    plan = planned(desired, [owned(RULE), owned(ROUTE)])
    assert shape(plan) == [
        ["update DestinationRule default/reviews"],
        ["update VirtualService default/reviews"],
        ["update DestinationRule default/reviews"],
    ]
    first, _, last = plan.changes()
    assert [s["name"] for s in first.after.spec["subsets"]] == ["v1", "v2", "v3"]
    assert [s["name"] for s in last.after.spec["subsets"]] == ["v2", "v3"]
    assert settles(plan) == [2.0, 2.0, 0.0]


def test_a_subset_that_only_goes_needs_no_wave_before_the_route():
    plan = planned(
        [a_destination_rule("reviews: v2"), a_virtual_service("reviews: v2")], [owned(RULE), owned(ROUTE)]
    )
    assert shape(plan) == [
        ["update VirtualService default/reviews"],
        ["update DestinationRule default/reviews"],
    ]
    assert settles(plan) == [2.0, 0.0]


def test_a_subset_that_nobody_names_goes_in_one_wave():
    assert shape(planned([a_destination_rule("reviews: v1"), ROUTE], [owned(RULE), owned(ROUTE)])) == [
        ["update DestinationRule default/reviews"]
    ]


def test_a_subset_moves_to_another_rule_without_a_gap():
    desired = [a_destination_rule("reviews: v2"), a_destination_rule("reviews: v1", name="b"), ROUTE]
    plan = planned(desired, [owned(RULE), owned(ROUTE)])
    assert shape(plan) == [["create DestinationRule default/b"], ["update DestinationRule default/reviews"]]
    assert settles(plan) == [2.0, 0.0]


def test_deletes_come_last_and_routes_first_among_them():
    live = [owned(RULE), owned(ROUTE), owned(a_service_entry("x", "x.example.com"))]
    plan = planned([a_virtual_service("ratings: v1").with_spec({"hosts": ["ratings"]})], live, spec=MANY)
    assert shape(plan) == [
        ["create VirtualService default/ratings"],
        ["delete VirtualService default/reviews"],
        ["delete DestinationRule default/reviews", "delete ServiceEntry default/x"],
    ]
    assert settles(plan) == [0.0, 2.0, 0.0]


def test_a_gateway_is_there_before_the_route_that_is_bound_to_it():
    gateway = a_resource("Gateway", "front", {"servers": []})
    route = ROUTE.with_spec({**ROUTE.spec, "gateways": ["front", "mesh"]})
    plan = planned([RULE, gateway, route], [owned(RULE), owned(ROUTE)])
    assert shape(plan) == [["create Gateway default/front"], ["update VirtualService default/reviews"]]
    assert settles(plan) == [2.0, 0.0]


MANY = {"limits": Limits(delete_percent_max=100)}


def test_an_empty_source_deletes_nothing():
    for fields in ({}, {"empty_source": True}):
        plan = planned([RULE] if fields else [], [owned(RULE), owned(ROUTE)], spec=MANY, **fields)
        assert plan.is_empty
        assert plan.refusals[0].key is None
        assert "2 objects" in plan.refusals[0].reason


def test_an_empty_source_that_owns_nothing_is_fine():
    assert planned([], [RULE]) == Plan(SOURCE, "new")


def test_deletes_of_few_objects_are_ordinary_work():
    live = [owned(a_service_entry(name, f"{name}.example.com")) for name in "abc"]
    assert len(list(planned(live[:1], live).changes())) == 2


def test_only_what_is_ours_is_pruned_and_only_where_it_may_be():
    keep = owned(a_service_entry("keep", "k.example.com"))
    keep = keep.with_metadata(annotations={**keep.annotations, "gitmesh.dev/prune": "disabled"})
    live = [owned(RULE), a_service_entry("foreign", "f.example.com"), keep]
    live.append(owned(a_service_entry("other", "o.example.com"), source="team/b"))
    assert shape(planned([ROUTE.with_spec({})], live)) == [
        ["create VirtualService default/reviews"],
        ["delete DestinationRule default/reviews"],
    ]
    assert shape(planned([ROUTE.with_spec({})], live, spec={"prune": False})) == [
        ["create VirtualService default/reviews"]
    ]


def test_an_object_of_the_inventory_is_ours_also_without_its_mark():
    plan = planned(
        [a_destination_rule("reviews: v1"), ROUTE], [RULE, owned(ROUTE)], inventory=frozenset({RULE.key})
    )
    (change,) = plan.changes()
    assert change.kind is ChangeKind.UPDATE


def test_an_object_of_somebody_else_is_refused_by_name():
    plan = planned([RULE, ROUTE], [RULE])
    assert [r.key for r in plan.refusals] == [RULE.key]
    assert shape(plan) == [["create VirtualService default/reviews"]]


def test_an_object_of_somebody_else_is_adopted_when_asked_for():
    (change,) = planned([RULE], [RULE], spec={"adopt": True}).changes()
    assert (change.kind, change.force, change.reason) == (ChangeKind.UPDATE, True, "adopted from the cluster")


def test_an_object_of_another_source_is_never_adopted():
    plan = planned([RULE], [owned(RULE, source="team/b")], spec={"adopt": True})
    assert plan.is_empty
    assert "team/b" in plan.refusals[0].reason


def test_a_difference_without_a_new_revision_is_drift():
    edited = owned(a_virtual_service("reviews: v2"))
    (change,) = planned([RULE, ROUTE], [owned(RULE), edited], previous_revision="new").changes()
    assert (change.drift, change.reason) == (True, "drift: live was changed by someone else")
    assert planned(
        [RULE, ROUTE], [owned(RULE), edited], previous_revision="new", spec={"heal": False}
    ).is_empty


def test_a_deleted_object_is_drift_too():
    live = [owned(RULE)]
    inventory = frozenset({RULE.key, ROUTE.key})
    (change,) = planned([RULE, ROUTE], live, previous_revision="new", inventory=inventory).changes()
    assert (change.kind, change.drift) == (ChangeKind.CREATE, True)


def test_a_step_of_a_rollout_is_no_drift():
    after = a_virtual_service("reviews: v1 75, v2 25")
    plan = planned(
        [RULE, after], [owned(RULE), owned(ROUTE)], previous_revision="new", moving=frozenset({after.key})
    )
    assert [(c.drift, c.reason) for c in plan.changes()] == [(False, "rollout")]


def test_a_route_to_a_subset_that_nothing_defines_is_refused():
    plan = planned([RULE, a_virtual_service("reviews: v9")], [owned(RULE), owned(ROUTE)])
    assert plan.is_empty
    assert "subset v9 of reviews.default.svc.cluster.local" in plan.refusals[0].reason


def test_a_subset_that_the_route_of_somebody_else_names_stays():
    plan = planned([a_destination_rule("reviews: v2")], [owned(RULE), ROUTE])
    assert plan.is_empty
    assert "VirtualService default/reviews still names subset v1" in plan.refusals[0].reason


def test_a_wildcard_rule_defines_subsets_for_all_its_hosts():
    rule = a_destination_rule("*.default.svc.cluster.local: v1", name="all")
    assert not planned([rule, ROUTE], []).refusals


def test_a_rule_that_changes_its_host_under_a_route_is_refused():
    plan = planned([a_destination_rule("ratings: v1", name="reviews"), ROUTE], [owned(RULE), owned(ROUTE)])
    assert plan.is_empty
    assert plan.refusals[0].key == RULE.key


def test_a_rollback_is_planned_even_when_the_rest_is_held():
    live = [owned(RULE), owned(a_virtual_service("reviews: v2"))]
    live += [owned(a_service_entry(name, f"{name}.example.com")) for name in "abcde"]
    given = an_input([ROUTE, RULE], live, spec={"heal": False}, previous_revision="new")
    assert make_plan(given).excess
    plan = make_rollback_plan(given, {ROUTE.key})
    assert plan.excess is None
    assert shape(plan) == [["update VirtualService default/reviews"]]
    assert not next(plan.changes()).drift


def test_a_rollback_brings_the_subset_that_it_needs_and_takes_none_away():
    live = [owned(a_destination_rule("reviews: v2, v3")), owned(a_virtual_service("reviews: v2"))]
    given = an_input([a_destination_rule("reviews: v1, v2"), ROUTE], live)
    first, second = make_rollback_plan(given, {ROUTE.key}).changes()
    assert [s["name"] for s in first.after.spec["subsets"]] == ["v2", "v3", "v1"]
    assert second.key == ROUTE.key


@pytest.mark.parametrize("effective", [[RULE, ROUTE], [a_destination_rule("reviews: v1"), ROUTE]])
def test_a_plan_that_was_carried_out_is_empty(effective: list[Resource]):
    given = an_input(effective, [owned(RULE), owned(a_virtual_service("reviews: v2"))])
    live = carry_out(make_plan(given), dict(given.live))
    assert planned(effective, list(live.values())).is_empty


def test_equal_plans_have_equal_hashes():
    assert planned([RULE], []).hash == planned([RULE], []).hash
    assert planned([RULE], []).hash != planned([RULE, ROUTE], []).hash


def test_a_removed_field_is_shown_as_absent():
    live = owned(ROUTE.with_spec({**ROUTE.spec, "exportTo": ["."]}))
    (change,) = planned([RULE, ROUTE], [owned(RULE), live]).changes()
    assert change.fields == (FieldChange(("spec", "exportTo"), ["."], ABSENT),)
