"""Promises about repositories other than the sample's: all five kinds, and what the playground cannot do."""

from functools import partial

import aiohttp
import pytest
from fakes.real_loop import World, until

from gitmesh.kube.errors import NotFoundError
from gitmesh.model.kinds import DESTINATION_RULE, SIDECAR, TRAFFIC_KINDS, VIRTUAL_SERVICE

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.usefixtures("daemon")]

# One document of each sort, as the guides of Istio combine them; the older API versions are on purpose.
SHOP = {
    "shop/reviews.yaml": """\
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: reviews-route
spec:
  hosts: [reviews]
  http:
    - name: testers
      match: [{headers: {end-user: {exact: jason}}}]
      route: [{destination: {host: reviews, subset: v2}}]
      timeout: 2s
    - name: moved
      match: [{uri: {prefix: /old-reviews}}, {uri: {prefix: /feedback}}]
      rewrite: {uri: /reviews}
      route: [{destination: {host: reviews, subset: v2}}]
    - name: broken-on-purpose
      match: [{uri: {exact: /reviews/teapot}}]
      fault: {abort: {percentage: {value: 100}, httpStatus: 418}}
      route: [{destination: {host: reviews, subset: v1}}]
    - route: [{destination: {host: reviews, subset: v1}}]
      retries: {attempts: 3, perTryTimeout: 2s, retryOn: "gateway-error,connect-failure"}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: reviews-destination
spec:
  host: reviews
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  subsets:
    - name: v1
      labels: {version: v1}
      trafficPolicy: {connectionPool: {tcp: {maxConnections: 100}}}
    - name: v2
      labels: {version: v2}
      trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
""",
    "shop/ratings.yaml": """\
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: ratings
spec:
  hosts: [ratings]
  http:
    - fault: {delay: {percentage: {value: 0.1}, fixedDelay: 5s}}
      route: [{destination: {host: ratings}}]
      mirror: {host: reviews}
  tcp:
    - match: [{port: 9000}]
      route: [{destination: {host: ratings, port: {number: 9080}}}]
""",
    "edge/gateway.yaml": """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: edge
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 80, name: http, protocol: HTTP}
      hosts: [shop.example.com]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: edge
spec:
  hosts: [shop.example.com]
  gateways: [edge]
  http:
    - match: [{uri: {prefix: /shop/reviews}}]
      rewrite: {uri: /reviews}
      route: [{destination: {host: reviews, port: {number: 9080}}}]
""",
    "egress/payments.json": """\
{"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "payments"},
 "spec": {"hosts": ["payments.example.com"], "location": "MESH_EXTERNAL", "resolution": "DNS",
          "ports": [{"number": 443, "name": "https", "protocol": "TLS"}]}}
""",
    "egress/sidecar.yml": """\
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata:
  name: default
spec:
  egress: [{hosts: ["./*", "istio-system/*"]}]
""",
    "docs/notes.md": "Nothing for the mesh.\n",
}


async def ask(world: World, path: str, host: str = "reviews:9080", base: str = "mesh", **headers: str):
    url = str(world.play.state[base]) + path
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, headers={"Host": host, **{k.replace("_", "-"): v for k, v in headers.items()}}) as got,
    ):
        return got.status, got.headers.get("x-service-version", "")


async def test_every_kind_of_a_foreign_repository_is_applied_shown_and_routed(world: World):
    revision = await world.publish(SHOP)
    await world.follow()
    await world.wait_applied(revision)
    shown = {
        "vs": {"edge", "ratings", "reviews-route"},
        "dr": {"reviews-destination"},
        "gw": {"edge"},
        "se": {"payments"},
        "sidecar": {"default"},
    }
    for short, names in shown.items():
        out = await world.kubectl("get", short, "-o", "name")
        assert {line.rpartition("/")[2] for line in out.split()} == names

    async def answers(wanted: tuple[int, str], path: str, **request: str) -> None:
        async def seen() -> bool:
            return await ask(world, path, **request) == wanted

        await until(f"{path} to be answered by {wanted}", seen)

    await answers((200, "v1"), "/reviews")
    await answers((200, "v2"), "/reviews", end_user="jason")
    await answers((200, "v2"), "/old-reviews")
    await answers((200, "v2"), "/feedback")
    await answers((418, ""), "/reviews/teapot")
    assert (await ask(world, "/shop/reviews", host="shop.example.com", base="gateway"))[0] == 200
    assert (await ask(world, "/elsewhere", host="shop.example.com", base="gateway"))[0] == 404


async def test_what_the_playground_does_not_translate_is_reported_on_the_object(world: World):
    inbound = (
        "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: inbound}\nspec:\n"
        "  workloadSelector: {labels: {app: ratings}}\n"
        "  ingress: [{port: {number: 9081, protocol: HTTP, name: http}, defaultEndpoint: 127.0.0.1:9080}]\n"
    )
    revision = await world.publish({**SHOP, "inbound.yaml": inbound})
    await world.follow()
    await world.wait_applied(revision)

    async def messages(kind, name: str) -> list[dict]:
        body = await world.client.get(kind, "default", name)
        return list((body.get("status") or {}).get("validationMessages") or ())

    path = "spec.ingress"
    told = await until("a message about inbound", partial(messages, SIDECAR, "inbound"))
    assert path in [message["path"][: len(path)] for message in told], told
    assert all(message["message"] for message in told)
    assert await messages(VIRTUAL_SERVICE, "edge") == [], "what has its effect is no news"
    described = await world.kubectl("describe", "sidecar", "inbound")
    assert "has no effect in the playground" in described
    # What is said about an object is the playground's own status: to Git it is no difference.
    versions = await world.versions()
    assert (await world.gitmesh("sync", world.name)).status == 0
    assert await world.versions() == versions


async def test_a_repository_for_several_namespaces_needs_only_the_namespaces(world: World):
    """A namespace that is missing is said; what else there is waits, for a plan is applied as a whole."""
    rule = (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
        "metadata: {{name: cart, namespace: {0}}}\n"
        "spec: {{host: cart.{0}.svc.cluster.local}}\n"
    )
    await world.publish({"a.yaml": rule.format("default"), "b.yaml": rule.format("elsewhere")})
    await world.follow()
    ready = await world.wait_ready("False")
    assert "elsewhere" in ready.message
    with pytest.raises(NotFoundError):
        await world.client.get(DESTINATION_RULE, "default", "cart")
    await world.kubectl("create", "namespace", "elsewhere")
    try:
        assert (await world.gitmesh("sync", world.name)).status == 0
        assert {"DestinationRule/default/cart", "DestinationRule/elsewhere/cart"} == set(
            await world.versions()
        )
    finally:
        await world.clean()
        await world.kubectl("delete", "namespace", "elsewhere")


async def test_a_large_repository_is_applied_as_a_whole(world: World):
    """300 objects of 150 hosts in one commit, and one of them changed in the next."""
    pair = (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: s{0}}}\n"
        "spec: {{host: s{0}.example.com, subsets: [{{name: v1, labels: {{version: v1}}}}]}}\n---\n"
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s{0}}}\n"
        "spec: {{hosts: [s{0}.example.com], resolution: DNS, "
        "ports: [{{number: 80, name: http, protocol: HTTP}}]}}\n"
    )
    revision = await world.publish({f"hosts/{i}.yaml": pair.format(i) for i in range(150)})
    await world.follow()
    await world.wait_applied(revision, seconds=60)
    before = await generations(world)
    assert len(before) == 300
    changed = pair.format(7).replace("version: v1", "version: v7")
    await world.wait_applied(await world.publish({"hosts/7.yaml": changed}))
    after = await generations(world)
    assert [name for name in after if after[name] != before[name]] == ["DestinationRule/default/s7"]


async def generations(world: World) -> dict[str, int]:
    """Return the generation of each object: unlike its version, a status does not move it."""
    return {
        f"{kind.kind}/{body['metadata']['namespace']}/{body['metadata']['name']}": body["metadata"][
            "generation"
        ]
        for kind in TRAFFIC_KINDS
        for body in await world.items(kind)
    }
