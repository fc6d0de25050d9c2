"""After an adoption, fields that Git does not have are gone, and nobody else owns what Git has."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from fakes.builders import SOURCE, a_destination_rule, a_set, owned
from fakes.cluster import FakeCluster, a_cluster

from gitmesh.apply.executor import Applied, dry_run, execute
from gitmesh.kube.errors import StaleWriteError
from gitmesh.model.field_managers import field_managers
from gitmesh.model.kinds import DESTINATION_RULE
from gitmesh.model.resource import resource_from_body
from gitmesh.model.source import OWNER_ANNOTATION, TrafficSourceSpec
from gitmesh.observe.slim import slim
from gitmesh.plan.planner import PlanInput, make_plan
from gitmesh.playground.apiserver import writes
from gitmesh.playground.apiserver.writes import WriteOptions

pytestmark = pytest.mark.anyio

WANTED = a_destination_rule("reviews: v1, v2")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def an_older(**metadata: Any) -> dict[str, Any]:
    """What was applied before GitMesh: with a traffic policy and a label that Git does not have."""
    body = WANTED.with_metadata(labels={"team": "web"}, **metadata).body
    policy = {"connectionPool": {"tcp": {"maxConnections": 7}}}
    return {**body, "spec": {**body["spec"], "exportTo": ["."], "trafficPolicy": policy}}


def create(cluster: FakeCluster, body: Any, manager: str) -> None:
    """Create as a client does that knows nothing of server-side apply."""
    writes.create(cluster.api, cluster._target_of(body), dict(body), WriteOptions(manager=manager))


def an_input(cluster: FakeCluster, **spec: Any) -> PlanInput:
    live = cluster.find(DESTINATION_RULE, "default", "reviews")
    assert live is not None
    seen = resource_from_body(slim(live))
    return PlanInput(
        source=SOURCE,
        revision="new",
        previous_revision="old",
        effective=a_set(WANTED),
        live=a_set(seen),
        inventory=frozenset(),
        spec=TrafficSourceSpec(url="https://example.com/mesh.git", **{"adopt": True, **spec}),
        settle_seconds=0.0,
        managers={seen.key: field_managers(live)},
    )


async def applied(cluster: FakeCluster, **spec: Any) -> list[Applied]:
    plan = make_plan(an_input(cluster, **spec))
    assert not plan.refusals
    assert not await dry_run(plan, cluster)
    return [one async for one in execute(plan, cluster, anyio.sleep)]


def found(cluster: FakeCluster) -> dict[str, Any]:
    body = cluster.find(DESTINATION_RULE, "default", "reviews")
    assert body is not None
    return dict(body)


def is_as_in_git(cluster: FakeCluster) -> None:
    body = found(cluster)
    assert body["spec"] == WANTED.spec
    assert body["metadata"]["annotations"] == {OWNER_ANNOTATION: SOURCE}
    assert make_plan(an_input(cluster)).is_empty


async def test_g23_what_kubectl_applied_is_adopted_and_removed_fields_are_removed():
    cluster = a_cluster()
    create(cluster, an_older(annotations={LAST_APPLIED: "{}"}), "kubectl-client-side-apply")
    (one,) = await applied(cluster)
    assert one.error is None
    is_as_in_git(cluster)
    assert found(cluster)["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "gitmesh"}
    assert [m.name for m in field_managers(found(cluster))] == ["gitmesh"]


async def test_g23_what_kubectl_applied_on_the_server_is_adopted_too():
    cluster = a_cluster(an_older(annotations={"note": "by hand"}))
    await applied(cluster)
    is_as_in_git(cluster)


@pytest.mark.parametrize(
    ("manager", "labels", "annotations"),
    [
        (
            "kustomize-controller",
            {
                "kustomize.toolkit.fluxcd.io/name": "apps",
                "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
            },
            {"kustomize.toolkit.fluxcd.io/prune": "disabled"},
        ),
        (
            "argocd-controller",
            {"app.kubernetes.io/instance": "shop"},
            {"argocd.argoproj.io/tracking-id": "shop:x", "argocd.argoproj.io/sync-options": "Prune=false"},
        ),
        (
            "helm",
            {"app.kubernetes.io/managed-by": "Helm"},
            {"meta.helm.sh/release-name": "shop", "helm.sh/resource-policy": "keep"},
        ),
    ],
)
@pytest.mark.parametrize("client_side", [True, False])
async def test_the_marks_of_the_tool_before_us_go_with_its_fields(
    manager: str, labels: Any, annotations: Any, client_side: bool
):
    cluster = a_cluster()
    body = an_older(annotations=annotations)
    body["metadata"]["labels"] = labels
    if client_side:
        create(cluster, body, manager)
    else:
        cluster.put(body, manager=manager)
    await applied(cluster)
    is_as_in_git(cluster)
    assert found(cluster)["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "gitmesh"}


async def test_what_others_added_and_report_stays():
    cluster = a_cluster(an_older())
    cluster.edit(
        DESTINATION_RULE,
        "default",
        "reviews",
        {"metadata": {"labels": {"stage": "test"}}},
        manager="kubectl-label",
    )
    cluster.edit(
        DESTINATION_RULE,
        "default",
        "reviews",
        {"metadata": {"finalizers": ["example.com/wait"]}},
        manager="kubectl-client-side-apply",
    )
    cluster.put_status({**an_older(), "status": {"observedGeneration": "1"}}, manager="istiod")
    await applied(cluster)
    body = found(cluster)
    assert body["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "gitmesh", "stage": "test"}
    assert body["metadata"]["finalizers"] == ["example.com/wait"]
    assert body["status"] == {"observedGeneration": "1"}
    assert body["spec"] == WANTED.spec


async def test_an_object_from_before_field_ownership_is_adopted_too():
    cluster = a_cluster(an_older())
    cluster.edit(DESTINATION_RULE, "default", "reviews", {"metadata": {"managedFields": [{}]}})
    assert not field_managers(found(cluster))
    await applied(cluster)
    body = found(cluster)
    assert body["spec"] == WANTED.spec
    assert body["metadata"]["labels"]["team"] == "web", "nobody is known to have set it for us to take away"


async def test_what_was_written_meanwhile_is_looked_at_again_and_nothing_is_changed():
    cluster = a_cluster(an_older())
    plan = make_plan(an_input(cluster))
    cluster.edit(DESTINATION_RULE, "default", "reviews", {"spec": {"exportTo": ["*"]}})
    before = found(cluster)
    (one,) = [one async for one in execute(plan, cluster, anyio.sleep)]
    assert isinstance(one.error, StaleWriteError)
    assert found(cluster) == before


async def test_a_field_that_a_person_added_to_our_object_goes():
    cluster = a_cluster()
    await cluster.apply(DESTINATION_RULE, owned_by_us())
    cluster.edit(
        DESTINATION_RULE, "default", "reviews", {"spec": {"exportTo": ["."]}}, manager="kubectl-edit"
    )
    cluster.edit(
        DESTINATION_RULE, "default", "reviews", {"metadata": {"labels": {"a": "b"}}}, manager="kubectl-edit"
    )
    await applied(cluster, adopt=False)
    assert found(cluster)["spec"] == WANTED.spec
    assert found(cluster)["metadata"]["labels"]["a"] == "b"
    assert make_plan(an_input(cluster, adopt=False)).is_empty


def owned_by_us() -> Any:
    body = owned(WANTED).body
    kept = {k: v for k, v in body["metadata"].items() if k in ("name", "namespace", "labels", "annotations")}
    return {**body, "metadata": kept}
