"""Promises about writing beside others: conflicts, adoption, foundations, and whether it is in effect."""

from __future__ import annotations

import re
from typing import Any

import anyio
import pytest
from fakes.real_loop import RULES, World, routes, until

from gitmesh.kube.errors import NotFoundError
from gitmesh.model.field_managers import field_managers
from gitmesh.model.kinds import CUSTOM_RESOURCE_DEFINITION, DESTINATION_RULE, NAMESPACE, VIRTUAL_SERVICE
from gitmesh.model.source import OWNER_ANNOTATION, Condition

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.usefixtures("daemon")]

OLDER = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: reviews
  labels: {team: web}
spec:
  host: reviews
  exportTo: ["."]
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 7}}
  subsets:
    - {name: v1, labels: {version: v1}}
"""
SHOP = """\
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: {istio-injection: enabled}
"""
WIDGETS = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


def file(world: World, text: str) -> str:
    path = world.repository.work.parent / "theirs.yaml"
    path.write_text(text)
    return str(path)


async def rule(world: World) -> dict[str, Any]:
    return dict(await world.client.get(DESTINATION_RULE, "default", "reviews"))


async def in_effect(world: World) -> Condition | None:
    return next((c for c in (await world.status()).conditions if c.type == "InEffect"), None)


@pytest.mark.parametrize("server_side", [False, True])
async def test_g23_what_kubectl_applied_is_adopted_and_only_what_git_has_is_left(
    world: World, server_side: bool
):
    await world.kubectl("apply", *(["--server-side"] if server_side else []), "-f", file(world, OLDER))
    revision = await world.publish({"rules.yaml": RULES})
    await world.follow()
    ready = await world.wait_ready("False", "PlanRefused")
    assert "written by kubectl" in ready.message
    await world.follow(adopt=True)
    await world.wait_applied(revision)
    body = await rule(world)
    assert list(body["spec"]) == ["host", "subsets"]
    assert body["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "gitmesh"}
    assert body["metadata"]["annotations"] == {OWNER_ANNOTATION: world.source_name}
    assert [manager.name for manager in field_managers(body)] == ["gitmesh"]


async def test_argo_rollouts_3854_a_controller_is_named_until_git_says_force(world: World):
    revision = await world.publish({"rules.yaml": RULES, "routes.yaml": routes(100, 0)})
    await world.follow()
    await world.wait_applied(revision)
    theirs = file(world, routes(60, 40))
    await world.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--field-manager=rollouts-controller", "-f", theirs)
    )
    ready = await world.wait_ready("False", "Conflict")
    assert re.search(r"rollouts-controller \(Apply, since \d{4}-[-0-9T:]*Z\): spec\.", ready.message)
    assert await world.weights() == (60, 40)
    assert await world.events(VIRTUAL_SERVICE, "reviews", "Conflict")
    planned = await world.gitmesh("plan", str(world.repository.work), "--source", world.name)
    assert planned.status == 1
    assert "rollouts-controller (Apply, since" in planned.out
    forced = routes(70, 30).replace(
        "{name: reviews}", "{name: reviews, annotations: {gitmesh.dev/conflicts: force}}"
    )
    await world.publish({"routes.yaml": forced})
    await world.wait_weights(70, 30)
    await world.wait_ready()


async def test_argo_rollouts_4741_routes_that_another_virtual_service_keeps_out_are_not_ready(world: World):
    """The older of two VirtualServices for one host rules it, as in Istio. Requests tell."""
    await world.kubectl("apply", "-f", file(world, RULES.replace("{name: reviews}", "{name: theirs}")))
    older = routes(100, 0).replace("{name: reviews}", "{name: aaa}")
    await world.kubectl("apply", "-f", file(world, older))
    await anyio.sleep(1.1)  # ages are whole seconds
    await world.publish({"rules.yaml": RULES, "routes.yaml": routes(0, 100)})
    async with world.load(rate=50):
        await world.follow()
        ready = await world.wait_ready("False", "NotInEffect", seconds=60)
        assert "VirtualService default/reviews: of " in ready.message
        assert "v1 took 100 % (0 % expected), v2 took 0 % (100 % expected)" in ready.message
        await world.kubectl("delete", "virtualservice", "aaa")
        await world.wait_ready("True", seconds=120)
        condition = await in_effect(world)
        assert condition is not None
        assert (condition.status, condition.reason) == ("True", "Measured")


async def test_routes_without_requests_are_ready_and_say_that_they_were_not_measured(world: World):
    revision = await world.publish({"rules.yaml": RULES, "routes.yaml": routes(75, 25)})
    await world.follow()
    await world.wait_applied(revision, seconds=40)
    condition = await in_effect(world)
    assert condition is not None
    assert (condition.status, condition.reason) == ("Unknown", "NotMeasured")
    assert condition.message == "VirtualService default/reviews: no requests"


async def test_routes_of_a_gateway_that_does_not_exist_are_not_ready(world: World):
    bound = routes(75, 25).replace("  hosts:", "  gateways: [nowhere]\n  hosts:")
    await world.publish({"rules.yaml": RULES, "routes.yaml": bound})
    await world.follow()
    ready = await world.wait_ready("False", "NotInEffect")
    assert "bound to Gateway default/nowhere only, and no such Gateway exists" in ready.message


async def test_namespaces_and_definitions_come_first_and_stay(world: World):
    routes_there = routes(75, 25).replace("{name: reviews}", "{name: reviews, namespace: shop}")
    rules_there = RULES.replace("{name: reviews}", "{name: reviews, namespace: shop}")
    found = {"shop.yaml": SHOP, "widgets.yaml": WIDGETS, "rules.yaml": rules_there}
    await world.publish({**found, "routes.yaml": routes_there})
    await world.follow()
    ready = await world.wait_ready("False", "PlanRefused")
    assert 'namespaces "shop" not found' in ready.message
    planned = await world.gitmesh("plan", str(world.repository.work), "--source", world.name)
    assert "lay foundations" not in planned.out

    await world.follow(foundations=["Namespace", "CustomResourceDefinition"])

    async def there() -> bool:
        try:
            await world.client.get(VIRTUAL_SERVICE, "shop", "reviews")
        except NotFoundError:
            return False
        return True

    await until("the routes in the new namespace", there)
    namespace = await world.client.get(NAMESPACE, "", "shop")
    assert namespace["metadata"]["labels"]["istio-injection"] == "enabled"
    assert namespace["metadata"]["annotations"][OWNER_ANNOTATION] == world.source_name
    assert await world.kubectl("get", "widgets", "-n", "shop", "-o", "name") == ""
    await world.publish({"shop.yaml": None, "widgets.yaml": None, "routes.yaml": None})

    async def gone() -> bool:
        return not await there()

    await until("the routes to be pruned", gone)
    await anyio.sleep(0.5)  # a delete would come now
    assert await world.client.get(NAMESPACE, "", "shop")
    assert await world.client.get(CUSTOM_RESOURCE_DEFINITION, "", "widgets.example.com")
    for kind, name in ((NAMESPACE, "shop"), (CUSTOM_RESOURCE_DEFINITION, "widgets.example.com")):
        await world.client.delete(kind, "", name)
