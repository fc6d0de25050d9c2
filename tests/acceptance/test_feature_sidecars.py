"""A Sidecar limits what a workload knows, and an outbound policy says what happens to all else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fakes.mesh_objects import istio, pod, service, subsets, to, virtual_service
from fakes.real_envoy import Bench, TunnelRefusedError, mesh_bench
from fakes.upstreams import upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.real]

V1, V2, RATINGS, CART, PAGE, BUYER, BASKET = (f"127.0.63.{number}" for number in range(1, 8))
PAGE_POD, BUYER_POD, BASKET_POD = "productpage-v1.default", "buyer-v1.default", "basket-v1.shop"
REVIEWS, CART_HOST = "reviews.default.svc.cluster.local", "cart.shop.svc.cluster.local"
BLOCKED = "502"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with upstreams(V1, V2, RATINGS, CART) as number:
        yield number


def in_shop(body: dict[str, Any]) -> dict[str, Any]:
    body["metadata"]["namespace"] = "shop"
    return body


def with_ports(name: str, target: int, namespace: str = "default", **ports: int) -> dict[str, Any]:
    body = service(name, 80, namespace)
    body["spec"]["ports"] = [{"name": n, "port": p, "targetPort": target} for n, p in ports.items()]
    return body


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory, port: int) -> AsyncIterator[Bench]:
    base = [
        with_ports("reviews", port, http=9080, tcp=7000),
        with_ports("ratings", port, http=9080),
        with_ports("cart", port, "shop", http=80),
        pod("reviews", "v1", V1),
        pod("reviews", "v2", V2),
        pod("ratings", "v1", RATINGS),
        in_shop(pod("cart", "v1", CART)),
        pod("productpage", "v1", PAGE),
        pod("buyer", "v1", BUYER),
        in_shop(pod("basket", "v1", BASKET)),
        subsets("reviews", "v1", "v2"),
    ]
    async with mesh_bench(tmp_path_factory.mktemp("sidecars"), *base) as found:
        yield found


def sidecar(*hosts: str, name: str = "default", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    """Return a Sidecar that blocks what it does not know."""
    spec.setdefault("egress", [{"hosts": list(hosts)}])
    spec.setdefault("outboundTrafficPolicy", {"mode": "REGISTRY_ONLY"})
    body = istio("Sidecar", name, spec)
    body["metadata"]["namespace"] = namespace
    return body


def mesh_options(text: str) -> dict[str, Any]:
    metadata = {"name": "istio", "namespace": "istio-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mesh": text}}


async def asked(bench: Bench, url: str, as_: str = PAGE_POD) -> str:
    answer = await bench.send(url, as_=as_)
    return answer.by or str(answer.status)


async def reaches(bench: Bench, as_: str = PAGE_POD) -> dict[str, bool]:
    """Return which services a Pod reaches."""
    urls = {"reviews": "http://reviews.default:9080/", "ratings": "http://ratings.default:9080/"}
    urls["cart"] = "http://cart.shop/"
    return {name: await asked(bench, url, as_) != BLOCKED for name, url in urls.items()}


ALL = {"reviews": True, "ratings": True, "cart": True}
NONE = dict.fromkeys(ALL, False)


async def test_without_a_sidecar_every_exported_service_is_known(bench: Bench):
    await bench.apply()
    assert await reaches(bench) == await reaches(bench, BASKET_POD) == ALL


@pytest.mark.parametrize(
    ("hosts", "known"),
    [
        (["./*"], {**ALL, "cart": False}),
        (["default/*"], {**ALL, "cart": False}),
        (["shop/*"], {**NONE, "cart": True}),
        (["*/*"], ALL),
        (["*/reviews.default.svc.cluster.local"], {**NONE, "reviews": True}),
        (["./ratings.default.svc.cluster.local", "shop/*"], {**ALL, "reviews": False}),
        (["*/*.shop.svc.cluster.local"], {**NONE, "cart": True}),
        (["default/cart.shop.svc.cluster.local"], NONE),
        (["~/*"], NONE),
        (["*/*", "~shop/*"], {**ALL, "cart": False}),
    ],
)
async def test_egress_hosts_are_all_that_a_workload_knows(
    bench: Bench, hosts: list[str], known: dict[str, bool]
):
    await bench.apply(sidecar(*hosts))
    assert await reaches(bench) == known


async def test_a_sidecar_is_for_its_own_namespace(bench: Bench):
    await bench.apply(sidecar("./*"))
    assert await reaches(bench, BUYER_POD) == {**ALL, "cart": False}
    assert await reaches(bench, "client") == {**ALL, "cart": False}, "the built-in client lives there too"
    assert await reaches(bench, BASKET_POD) == ALL


async def test_a_sidecar_of_the_root_namespace_is_for_every_namespace_without_its_own(bench: Bench):
    everywhere = sidecar("./*", name="everywhere", namespace="istio-system")
    await bench.apply(everywhere)
    assert await reaches(bench, BASKET_POD) == {**NONE, "cart": True}, "./* is where the workload is"
    assert await reaches(bench) == {**ALL, "cart": False}
    await bench.apply(everywhere, sidecar("*/*"))
    assert await reaches(bench) == ALL
    assert await reaches(bench, BASKET_POD) == {**NONE, "cart": True}


async def test_a_sidecar_for_selected_workloads_comes_before_that_of_the_namespace(bench: Bench):
    chosen = sidecar("shop/*", name="chosen", workloadSelector={"labels": {"app": "productpage"}})
    await bench.apply(chosen, sidecar("./*"))
    assert await reaches(bench, PAGE_POD) == {**NONE, "cart": True}
    assert await reaches(bench, BUYER_POD) == {**ALL, "cart": False}


async def test_rules_hold_for_what_a_sidecar_imports_by_the_rules_namespace_and_host(bench: Bench):
    rules = virtual_service("reviews", {"directResponse": {"status": 418}})
    rules["metadata"]["creationTimestamp"] = "2021-01-01T00:00:00Z"
    theirs = in_shop(virtual_service("theirs", {"directResponse": {"status": 419}}, hosts=[REVIEWS]))
    theirs["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
    await bench.apply(rules, theirs)
    assert await asked(bench, "http://reviews:9080/") == "419"
    await bench.apply(rules, theirs, sidecar("./*"))
    assert await asked(bench, "http://reviews:9080/") == "418", "a rule of another namespace is not imported"


async def test_an_imported_rule_leads_to_services_that_are_not_imported(bench: Bench):
    lead = virtual_service("lead", {"route": [to(CART_HOST)]}, hosts=["lead.example"])
    await bench.apply(lead, sidecar("./*"))
    assert await asked(bench, "http://lead.example/") == CART
    assert await asked(bench, "http://cart.shop/") == BLOCKED


async def test_an_egress_listener_with_a_port_is_for_that_port_and_the_rest_for_all_others(bench: Bench):
    web = {"port": {"number": 9080, "protocol": "HTTP", "name": "http"}, "hosts": [f"./{REVIEWS}"]}
    await bench.apply(sidecar(egress=[web, {"hosts": ["shop/*"]}]))
    assert await reaches(bench) == {"reviews": True, "ratings": False, "cart": True}
    await bench.apply(sidecar(egress=[web]))
    assert await reaches(bench) == {**NONE, "reviews": True}
    with pytest.raises(TunnelRefusedError):
        async with bench.tunnel("reviews:7000", as_=PAGE_POD):
            pass


async def test_what_is_not_http_is_limited_too(bench: Bench):
    await bench.apply(sidecar("./*"))
    async with bench.tunnel("reviews:7000", as_=PAGE_POD) as stream:
        await stream.send(b"GET /raw HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")
    await bench.apply(sidecar("shop/*"))
    with pytest.raises(TunnelRefusedError) as refused:
        async with bench.tunnel("reviews:7000", as_=PAGE_POD):
            pass
    assert refused.value.status == 502


async def test_allow_any_lets_everything_else_out_and_is_the_default(bench: Bench, port: int):
    outside = f"http://{RATINGS}:{port}/"  # an address that no Service has
    await bench.apply()
    answer = await bench.send(outside + "where?to=1", as_=PAGE_POD)
    assert (answer.by, answer.seen["path"]) == (RATINGS, "/where?to=1")
    await bench.apply(sidecar("./*", outboundTrafficPolicy={"mode": "ALLOW_ANY"}))
    assert await asked(bench, outside) == RATINGS
    assert await asked(bench, "http://cart.shop/") == "503", "let out, and then there is no such name"
    async with bench.tunnel(f"{RATINGS}:{port}", as_=PAGE_POD) as stream:
        await stream.send(b"GET /raw HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")


async def test_registry_only_blocks_everything_else(bench: Bench, port: int):
    outside = f"http://{RATINGS}:{port}/"
    await bench.apply(sidecar("*/*"))
    assert await asked(bench, outside) == await asked(bench, "http://nobody.example/") == BLOCKED
    assert await asked(bench, outside, BASKET_POD) == RATINGS, "in its own namespace only"
    with pytest.raises(TunnelRefusedError) as refused:
        async with bench.tunnel(f"{RATINGS}:{port}", as_=PAGE_POD):
            pass
    assert refused.value.status == 502


async def test_the_mesh_has_a_policy_for_all_and_a_sidecar_comes_before_it(bench: Bench, port: int):
    outside = f"http://{RATINGS}:{port}/"
    closed = mesh_options("outboundTrafficPolicy: {mode: REGISTRY_ONLY}")
    await bench.apply(closed)
    assert await asked(bench, outside) == await asked(bench, outside, BASKET_POD) == BLOCKED
    await bench.apply(closed, sidecar("*/*", outboundTrafficPolicy={"mode": "ALLOW_ANY"}))
    assert await asked(bench, outside) == RATINGS
    assert await asked(bench, outside, BASKET_POD) == BLOCKED
    silent = sidecar("*/*")
    del silent["spec"]["outboundTrafficPolicy"]
    await bench.apply(closed, silent)
    assert await asked(bench, outside) == BLOCKED, "one that says nothing leaves it to the mesh"


async def test_what_is_let_out_may_go_through_an_egress_proxy(bench: Bench):
    way_out = {"mode": "ALLOW_ANY", "egressProxy": {"host": CART_HOST, "port": {"number": 80}}}
    await bench.apply(sidecar("*/*", outboundTrafficPolicy=way_out))
    answer = await bench.send("http://example.org/a", as_=PAGE_POD)
    assert (answer.by, answer.seen["headers"]["host"]) == (CART, "example.org")


async def test_a_request_that_was_let_out_and_comes_back_is_not_let_out_again(bench: Bench):
    await bench.apply()
    assert await asked(bench, f"http://{bench.outbound(PAGE_POD)}/") == "508"


async def test_what_a_sidecar_says_of_incoming_traffic_is_reported(bench: Bench):
    inbound = [
        {"port": {"number": 9080, "protocol": "HTTP", "name": "http"}, "defaultEndpoint": "127.0.0.1:80"}
    ]
    await bench.apply(sidecar("*/*", ingress=inbound))
    assert any("spec.ingress" in text for text in bench.reports())
