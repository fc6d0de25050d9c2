"""Who else owns a field, and when it may be taken from them."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.builders import a_destination_rule, a_set, a_virtual_service, owned

from gitmesh.model.field_managers import field_managers, field_text
from gitmesh.model.plan import Change, Plan, Refusal, Takeover
from gitmesh.model.resource import Resource
from gitmesh.model.source import CONFLICTS_ANNOTATION, TrafficSourceSpec
from gitmesh.plan.planner import PlanInput, make_plan, make_rollback_plan
from gitmesh.plan.render import render_text

SOURCE = "gitmesh/mesh"
MORNING, NOON, EVENING = (f"2026-03-02T{hour}:00:00Z" for hour in ("08", "12", "18"))
HTTP = {"f:spec": {"f:http": {}}}
RULE = a_destination_rule("reviews: v1, v2")
WANTED = a_virtual_service("reviews: v1")
EDITED = a_virtual_service("reviews: v2")
OURS = ("gitmesh", "Apply", NOON, {"f:spec": {"f:hosts": {}}})


def an_entry(manager: str, operation: str, time: str, fields: Any, **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "time": time, "fieldsV1": fields, **more}


def planned(
    wanted: Resource, live: Resource, *entries: tuple[Any, ...], rolls_back: bool = False, **spec: Any
) -> Plan:
    body = {"metadata": {"managedFields": [an_entry(*entry) for entry in entries]}}
    given = PlanInput(
        source=SOURCE,
        revision="new",
        previous_revision="old",
        effective=a_set(wanted, RULE),
        live=a_set(owned(live), owned(RULE)),
        inventory=frozenset({live.key}),
        spec=TrafficSourceSpec(url="https://example.com/mesh.git", **spec),
        settle_seconds=0.0,
        managers={live.key: field_managers(body)},
    )
    return make_rollback_plan(given, {live.key}) if rolls_back else make_plan(given)


def the_change(plan: Plan) -> Change:
    assert not plan.refusals, plan.refusals
    (change,) = plan.changes()
    return change


def the_refusal(plan: Plan) -> Refusal:
    assert plan.is_empty
    (refusal,) = plan.refusals
    return refusal


def test_nothing_is_forced_where_nobody_else_owns_what_is_written():
    ours = ("gitmesh", "Apply", NOON, {"f:spec": {"f:http": {}, "f:hosts": {}}})
    labels = ("kubectl-label", "Update", EVENING, {"f:metadata": {"f:labels": {".": {}, "f:team": {}}}})
    change = the_change(planned(WANTED, EDITED, ours, labels))
    assert (change.force, change.opponents, change.takeover) == (False, (), None)


@pytest.mark.parametrize("manager", ["kubectl-edit", "kubectl-client-side-apply", "node-fetch", "curl"])
def test_g3_what_a_person_edited_after_us_is_taken_back(manager: str):
    change = the_change(planned(WANTED, EDITED, OURS, (manager, "Update", EVENING, HTTP)))
    assert change.force
    assert [str(o) for o in change.opponents] == [f"{manager} (Update, since {EVENING}): spec.http"]


def test_a_person_who_forced_an_apply_is_a_person_too():
    assert the_change(planned(WANTED, EDITED, OURS, ("kubectl", "Apply", EVENING, HTTP))).force


def test_in_the_same_second_we_take_it_back():
    assert the_change(planned(WANTED, EDITED, OURS, ("kubectl-edit", "Update", NOON, HTTP))).force


def test_what_a_person_owned_before_us_is_a_conflict():
    refused = the_refusal(planned(WANTED, EDITED, OURS, ("kubectl-edit", "Update", MORNING, HTTP)))
    assert refused.cause == "Conflict"
    assert f"kubectl-edit (Update, since {MORNING}): spec.http" in refused.reason
    assert "gitmesh.dev/conflicts: force" in refused.hint


@pytest.mark.parametrize(
    ("manager", "operation", "tool"),
    [
        ("rollouts-controller", "Update", "Argo Rollouts"),
        ("flagger", "Update", "Flagger"),
        ("kustomize-controller", "Apply", "Flux"),
        ("argocd-controller", "Apply", "Argo CD"),
        ("helm", "Update", "Helm"),
        ("my-mesh-operator", "Update", "my-mesh-operator"),
        ("somebody-who-applies", "Apply", "somebody-who-applies"),
    ],
)
def test_argo_rollouts_3854_a_controller_is_named_and_not_fought_also_when_it_wrote_last(
    manager: str, operation: str, tool: str
):
    refused = the_refusal(planned(WANTED, EDITED, OURS, (manager, operation, EVENING, HTTP)))
    assert refused.cause == "Conflict"
    assert f"{manager} ({operation}, since {EVENING}): spec.http" in refused.reason
    assert tool in refused.reason + refused.hint


def test_policy_may_force_for_a_source_or_for_one_object_and_may_refuse_for_one():
    flagger = ("flagger", "Update", EVENING, HTTP)
    assert the_change(planned(WANTED, EDITED, OURS, flagger, conflicts="force")).force
    forced = WANTED.with_metadata(annotations={CONFLICTS_ANNOTATION: "force"})
    assert the_change(planned(forced, EDITED, OURS, flagger)).force
    refused = WANTED.with_metadata(annotations={CONFLICTS_ANNOTATION: "refuse"})
    assert the_refusal(planned(refused, EDITED, OURS, flagger, conflicts="force"))


def test_no_conflict_holds_up_a_rollback():
    change = the_change(planned(WANTED, EDITED, OURS, ("flagger", "Apply", EVENING, HTTP), rolls_back=True))
    assert (change.force, change.takeover) == (True, None)


def test_who_owns_other_fields_or_the_status_or_is_ourselves_is_no_opponent():
    others = [
        ("flagger", "Update", EVENING, {"f:spec": {"f:tls": {}}, "f:metadata": {"f:labels": {}}}),
        ("gitmesh", "Update", MORNING, HTTP),
    ]
    assert the_change(planned(WANTED, EDITED, OURS, *others)).force
    status = an_entry("istiod", "Apply", EVENING, HTTP, subresource="status")
    assert not field_managers({"metadata": {"managedFields": [status]}})


def test_labels_are_owned_one_by_one():
    wanted = WANTED.with_metadata(labels={"team": "shop"})
    live = WANTED.with_metadata(labels={"team": "web", "stage": "test"})
    stage = ("kubectl-label", "Update", EVENING, {"f:metadata": {"f:labels": {"f:stage": {}}}})
    assert not the_change(planned(wanted, live, OURS, stage)).force
    team = ("kubectl-label", "Update", EVENING, {"f:metadata": {"f:labels": {"f:team": {}}}})
    change = the_change(planned(wanted, live, OURS, team))
    assert [o.fields for o in change.opponents] == [("metadata.labels.team",)]


def test_a_field_that_a_person_added_goes_although_an_apply_alone_would_leave_it():
    added = EDITED.with_spec({**WANTED.spec, "exportTo": ["."]})
    fields = {"f:spec": {"f:exportTo": {}}}
    change = the_change(planned(WANTED, added, OURS, ("kubectl-edit", "Update", EVENING, fields)))
    assert (change.force, change.takeover) == (True, Takeover(spec=("kubectl-edit",)))


def test_a_field_that_we_alone_own_goes_with_the_apply():
    ours = ("gitmesh", "Apply", NOON, {"f:spec": {"f:hosts": {}, "f:http": {}, "f:exportTo": {}}})
    before = EDITED.with_spec({**WANTED.spec, "exportTo": ["."]})
    change = the_change(planned(WANTED, before, ours))
    assert (change.force, change.takeover) == (False, None)


def test_a_field_that_nobody_is_known_to_own_is_taken_over():
    before = EDITED.with_spec({**WANTED.spec, "exportTo": ["."]})
    assert the_change(planned(WANTED, before)).takeover == Takeover()


def test_a_plan_says_from_whom_it_takes_what():
    plan = planned(WANTED, EDITED, OURS, ("kubectl-edit", "Update", EVENING, HTTP))
    assert f"      taken from kubectl-edit (Update, since {EVENING}): spec.http" in render_text(plan)


def test_many_fields_are_counted_and_hostile_entries_are_read_as_far_as_they_make_sense():
    fields = {"f:spec": {f"f:field{n}": {} for n in range(5000)}}
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"f:x": deep}
    body = {
        "metadata": {
            "managedFields": [
                an_entry("wide", "Apply", "", fields),
                an_entry("deep", "Apply", "", deep),
                an_entry("odd", "Apply", "", ["f:spec"]),
                an_entry("text", "Apply", "", {"f:spec": "all"}),
                "nothing",
                {"manager": "bare"},
            ]
        }
    }
    read = {manager.name: manager for manager in field_managers(body)}
    assert len(read["wide"].fields) == 2000
    assert read["deep"].fields == read["odd"].fields == read["bare"].fields == frozenset()
    assert read["text"].fields == {("f:spec",)}
    assert field_managers({"metadata": {"managedFields": "none"}}) == ()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("f:spec", "f:http"), "spec.http"),
        (("f:metadata", "f:labels", "f:app.kubernetes.io/name"), 'metadata.labels["app.kubernetes.io/name"]'),
        (("f:spec", "f:ports", 'k:{"name":"http"}', "f:number"), 'spec.ports[{"name":"http"}].number'),
    ],
)
def test_fields_are_named_as_people_write_them(path: tuple[str, ...], text: str):
    assert field_text(path) == text
