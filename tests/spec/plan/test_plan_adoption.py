"""What exists already is taken over when that was asked for and nobody else keeps it."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.builders import SOURCE, a_destination_rule, a_set, owned

from gitmesh.model.field_managers import FieldManager
from gitmesh.model.plan import Plan, Takeover
from gitmesh.model.resource import Resource
from gitmesh.model.source import ADOPT_ANNOTATION, TrafficSourceSpec
from gitmesh.plan.planner import PlanInput, make_plan

RULE = a_destination_rule("reviews: v1, v2")
TIME = "2026-03-02T12:00:00Z"
SPEC = frozenset({("f:spec", "f:host"), ("f:spec", "f:subsets")})
FLUX = {
    "kustomize.toolkit.fluxcd.io/name": "apps",
    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
}
ARGO = {"argocd.argoproj.io/tracking-id": "shop:networking.istio.io/DestinationRule:default/reviews"}
HELM = {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "default"}


def planned(
    live: Resource, *managers: tuple[str, str], adopt: bool | None = True, wanted: Resource = RULE
) -> Plan:
    found = tuple(FieldManager(name, operation, TIME, SPEC) for name, operation in managers)
    spec: dict[str, Any] = {} if adopt is None else {"adopt": adopt}
    given = PlanInput(
        source=SOURCE,
        revision="new",
        previous_revision="old",
        effective=a_set(wanted),
        live=a_set(live),
        inventory=frozenset(),
        spec=TrafficSourceSpec(url="https://example.com/mesh.git", **spec),
        settle_seconds=0.0,
        managers={live.key: found},
    )
    return make_plan(given)


def the_refusal(plan: Plan) -> str:
    assert plan.is_empty
    (refusal,) = plan.refusals
    return f"{refusal.reason}; {refusal.hint}"


def test_adoption_is_asked_for_and_the_refusal_says_how_and_who_wrote_it():
    text = the_refusal(planned(RULE, ("kubectl-client-side-apply", "Update"), adopt=None))
    assert f"written by kubectl-client-side-apply at {TIME}" in text
    assert "gitmesh.dev/adopt: enabled" in text
    assert "spec.adopt" in text


def test_one_object_may_be_adopted_and_one_may_be_left_out():
    wanted = RULE.with_metadata(annotations={ADOPT_ANNOTATION: "enabled"})
    assert list(planned(RULE, adopt=False, wanted=wanted).changes())
    wanted = RULE.with_metadata(annotations={ADOPT_ANNOTATION: "disabled"})
    assert the_refusal(planned(RULE, wanted=wanted))


def test_what_people_and_other_tools_applied_becomes_ours_and_what_was_only_added_stays_theirs():
    (change,) = planned(
        RULE,
        ("kubectl-client-side-apply", "Update"),
        ("kubectl-label", "Update"),
        ("kustomize-controller", "Apply"),
        ("helm", "Update"),
    ).changes()
    assert change.reason == "adopted from the cluster"
    assert change.takeover == Takeover(
        spec=("helm", "kubectl-client-side-apply", "kubectl-label", "kustomize-controller"),
        metadata=("helm", "kubectl-client-side-apply", "kustomize-controller"),
    )


@pytest.mark.parametrize(
    ("labels", "annotations", "manager", "owner", "advice"),
    [
        (FLUX, {}, "kustomize-controller", "Kustomization flux-system/apps", "prune: disabled"),
        (
            {"helm.toolkit.fluxcd.io/name": "shop", "helm.toolkit.fluxcd.io/namespace": "flux-system"},
            HELM,
            "helm-controller",
            "HelmRelease flux-system/shop",
            "resource-policy: keep",
        ),
        ({}, ARGO, "argocd-controller", "Application shop", "Prune=false"),
        ({}, HELM, "helm", "release shop", "resource-policy: keep"),
    ],
)
def test_what_another_tool_keeps_is_not_adopted_and_the_refusal_says_what_to_do_there(
    labels: Any, annotations: Any, manager: str, owner: str, advice: str
):
    live = RULE.with_metadata(labels=labels, annotations=annotations)
    text = the_refusal(planned(live, (manager, "Apply")))
    assert f"manages it still ({owner}, which wrote at {TIME})" in text
    assert advice in text
    mark = next(iter(labels or annotations))
    assert f"is gone, remove the {'label' if labels else 'annotation'} {mark} from the live object" in text
    unasked = the_refusal(planned(live, (manager, "Apply"), adopt=None))
    assert f"manages it still ({owner}" in unasked
    assert advice in unasked, "both steps are said at once"
    assert "gitmesh.dev/adopt: enabled (or set spec.adopt: true)" in unasked


@pytest.mark.parametrize(
    ("labels", "annotations"),
    [
        (FLUX, {"kustomize.toolkit.fluxcd.io/prune": "disabled"}),
        (FLUX, {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}),
        ({}, {**ARGO, "argocd.argoproj.io/sync-options": "Validate=false, Prune=false"}),
        ({}, {**HELM, "helm.sh/resource-policy": "keep"}),
    ],
)
def test_what_another_tool_was_told_to_leave_alone_is_adopted(labels: Any, annotations: Any):
    live = RULE.with_metadata(labels=labels, annotations=annotations)
    (change,) = planned(live).changes()
    assert change.reason == "adopted from the cluster"


def test_what_a_controller_made_is_never_adopted():
    live = RULE.with_metadata(ownerReferences=[{"kind": "Canary", "name": "reviews", "controller": True}])
    assert "it belongs to Canary reviews, which will write it again" in the_refusal(planned(live))


def test_g22_what_another_source_owns_stays_with_it():
    text = the_refusal(planned(owned(RULE, source="team/b")))
    assert "it belongs to TrafficSource team/b" in text
