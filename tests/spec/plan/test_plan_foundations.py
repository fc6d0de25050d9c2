"""Namespaces and definitions come first, are never deleted, and bear before anything stands on them."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.builders import SOURCE, a_destination_rule, a_set, a_virtual_service

from gitmesh.model.field_managers import FieldManager
from gitmesh.model.plan import Change, ChangeKind, Plan
from gitmesh.model.resource import Resource, ResourceKey, resource_from_body
from gitmesh.model.source import OWNER_ANNOTATION, TrafficSourceSpec
from gitmesh.plan.foundations import (
    FOUND,
    Ground,
    foundations_in,
    founded,
    is_established,
    stages,
    stands_on,
)
from gitmesh.plan.planner import PlanInput, make_plan

SPEC = TrafficSourceSpec(url="https://example.com/mesh.git")


def a_namespace(name: str, **metadata: Any) -> Resource:
    return resource_from_body(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}}
    )


def a_definition(kind: str = "VirtualService", group: str = "networking.istio.io", **spec: Any) -> Resource:
    plural = f"{kind.lower()}s"
    return resource_from_body(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "names": {"kind": kind, "plural": plural}, "versions": [], **spec},
        }
    )


def traffic(*resources: Resource) -> Plan:
    return make_plan(PlanInput(SOURCE, "new", a_set(*resources), {}, frozenset(), "old", SPEC, 0.0))


def planned(
    *wanted: Resource,
    live: tuple[Resource, ...] = (),
    plan: Plan | None = None,
    managers: tuple[FieldManager, ...] = (),
) -> Plan:
    ground = Ground(a_set(*wanted), a_set(*live), {r.key: managers for r in live})
    return founded(plan or Plan(SOURCE, "new"), ground, SPEC)


def changes(plan: Plan) -> list[Change]:
    assert not plan.refusals, plan.refusals
    return list(plan.changes())


def test_what_is_missing_is_created_in_a_wave_before_all_others():
    plan = planned(a_namespace("shop"), a_definition(), plan=traffic(a_destination_rule()))
    assert [(wave.title, wave.founds) for wave in plan.waves] == [
        (FOUND, True),
        ("add what routes name", False),
    ]
    first = plan.waves[0].changes
    assert [(c.kind, str(c.key)) for c in first] == [
        (ChangeKind.CREATE, "Namespace shop"),
        (ChangeKind.CREATE, "CustomResourceDefinition virtualservices.networking.istio.io"),
    ]
    after = first[0].after
    assert after is not None
    assert after.body == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "shop",
            "labels": {"app.kubernetes.io/managed-by": "gitmesh"},
            "annotations": {OWNER_ANNOTATION: SOURCE},
        },
    }


def test_what_a_server_fills_in_and_others_add_is_no_difference():
    live = a_namespace("shop", labels={"kubernetes.io/metadata.name": "shop", "istio-injection": "enabled"})
    live = live.with_spec({"finalizers": ["kubernetes"]})
    plan = planned(a_namespace("shop", labels={"istio-injection": "enabled"}), live=(live,))
    assert (plan.is_empty, plan.unchanged, plan.refusals) == (True, 1, ())


def test_a_namespace_of_another_source_may_be_wanted_by_this_one_too():
    live = a_namespace("shop", annotations={OWNER_ANNOTATION: "team/b"})
    assert planned(a_namespace("shop"), live=(live,)).unchanged == 1


def test_what_is_not_ours_is_changed_by_the_rules_of_adoption():
    live = a_namespace("shop")
    plan = planned(a_namespace("shop", labels={"istio-injection": "enabled"}), live=(live,))
    (refused,) = plan.refusals
    assert "does not come from this source" in refused.reason
    wanted = a_namespace(
        "shop", labels={"istio-injection": "enabled"}, annotations={"gitmesh.dev/adopt": "enabled"}
    )
    (change,) = changes(planned(wanted, live=(live,)))
    assert change.kind is ChangeKind.UPDATE


def test_what_is_ours_follows_git_and_a_conflict_on_it_is_named():
    live = a_namespace("shop", labels={"tier": "a"}, annotations={OWNER_ANNOTATION: SOURCE})
    wanted = a_namespace("shop", labels={"tier": "b"})
    (change,) = changes(planned(wanted, live=(live,)))
    assert [(f.path, f.new) for f in change.fields] == [(("metadata", "labels", "tier"), "b")]
    other = FieldManager(
        "capi-operator", "Apply", "2026-03-02T12:00:00Z", frozenset({("f:metadata", "f:labels", "f:tier")})
    )
    plan = planned(wanted, live=(live,), managers=(other,))
    assert [(r.cause, "capi-operator" in r.reason) for r in plan.refusals] == [("Conflict", True)]


def test_what_stands_on_something_new_is_asked_about_once_that_is_there():
    plan = traffic(a_destination_rule("reviews: v1"), a_virtual_service("reviews: v1"))
    plan = planned(a_namespace("default"), plan=plan)
    (asked, written), (asked_then, written_then) = stages(plan)
    assert [str(key) for key in sorted(stands_on(asked))] == [
        "DestinationRule default/reviews",
        "VirtualService default/reviews",
    ]
    assert [c.key.kind for c in written.changes()] == ["Namespace"]
    assert asked_then == written_then
    assert [c.key.kind for c in written_then.changes()] == ["DestinationRule", "VirtualService"]
    assert not stands_on(asked_then)


def test_what_is_of_a_kind_that_comes_with_the_plan_is_asked_about_later_and_the_rest_now():
    plan = traffic(a_destination_rule("reviews: v1"), a_virtual_service("reviews: v1"))
    plan = planned(a_definition(), a_namespace("other"), plan=plan)
    assert [key.kind for key in stands_on(plan)] == ["VirtualService"]


def test_without_foundations_there_is_one_stage_or_none():
    assert list(stages(Plan(SOURCE, "new"))) == []
    plan = traffic(a_destination_rule("reviews: v1"))
    assert list(stages(plan)) == [(plan, plan)]


def test_only_kinds_that_are_asked_for_count():
    others: dict[ResourceKey, Resource] = a_set(a_namespace("shop"), a_definition())
    others |= a_set(resource_from_body({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}}))
    assert len(foundations_in(others)) == 2
    assert [key.name for key in foundations_in(others, ("Namespace",))] == ["shop"]


@pytest.mark.parametrize(
    ("body", "established"),
    [
        ({"kind": "Namespace", "status": {"phase": "Active"}}, True),
        ({"kind": "Namespace", "status": {"phase": "Terminating"}}, False),
        (
            {
                "kind": "Namespace",
                "metadata": {"deletionTimestamp": "2026-03-02T12:00:00Z"},
                "status": {"phase": "Active"},
            },
            False,
        ),
        ({"kind": "Namespace"}, False),
        (
            {
                "kind": "CustomResourceDefinition",
                "status": {"conditions": [{"type": "Established", "status": "True"}]},
            },
            True,
        ),
        (
            {
                "kind": "CustomResourceDefinition",
                "status": {"conditions": [{"type": "Established", "status": "False"}, 7]},
            },
            False,
        ),
        ({"kind": "CustomResourceDefinition", "status": 7}, False),
    ],
)
def test_a_foundation_bears_once_it_is_active_or_established(body: Any, established: bool):
    assert is_established(body) == established
