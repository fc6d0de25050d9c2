"""Which rules a client meets: by its labels and namespace, the names it uses, and who exports what to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fakes.mesh_objects import istio, pod, service, subsets, to, virtual_service
from fakes.real_envoy import Bench, mesh_bench
from fakes.upstreams import upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.real]

V1, V2, RATINGS, CART, PAGE, BUYER, BASKET = (f"127.0.62.{number}" for number in range(1, 8))
PAGE_POD, BUYER_POD, BASKET_POD = "productpage-v1.default", "buyer-v1.default", "basket-v1.shop"
REVIEWS = "reviews.default.svc.cluster.local"


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


def on_port(name: str, number: int, target: int, namespace: str = "default") -> dict[str, Any]:
    body = service(name, number, namespace)
    body["spec"]["ports"][0]["targetPort"] = target
    return body


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory, port: int) -> AsyncIterator[Bench]:
    base = [
        on_port("reviews", 9080, port),
        on_port("ratings", 9080, port),
        on_port("cart", 80, port, "shop"),
        pod("reviews", "v1", V1),
        pod("reviews", "v2", V2),
        pod("ratings", "v1", RATINGS),
        in_shop(pod("cart", "v1", CART)),
        pod("productpage", "v1", PAGE),
        pod("buyer", "v1", BUYER),
        in_shop(pod("basket", "v1", BASKET)),
        subsets("reviews", "v1", "v2"),
    ]
    async with mesh_bench(tmp_path_factory.mktemp("clients"), *base) as found:
        yield found


def two_ways(match: dict[str, Any], name: str = "reviews", **spec: Any) -> dict[str, Any]:
    """Return rules that send what matches to v2, and all else to v1."""
    rules = ({"match": [match], "route": [to("reviews", "v2")]}, {"route": [to("reviews", "v1")]})
    return virtual_service(name, *rules, hosts=["reviews"], **spec)


def all_to(subset: str, name: str, host: str = "reviews", **spec: Any) -> dict[str, Any]:
    rule = {"route": [to(REVIEWS, subset, 9080)]}
    spec.setdefault("hosts", [host])
    return virtual_service(name, rule, **spec)


def aged(body: dict[str, Any], day: int) -> dict[str, Any]:
    body["metadata"]["creationTimestamp"] = f"2026-01-{day:02}T00:00:00Z"
    return body


async def asked(bench: Bench, as_: str = "client", url: str = "http://reviews.default:9080/") -> str:
    answer = await bench.send(url, as_=as_)
    return answer.by or str(answer.status)


async def test_source_labels_choose_by_the_labels_of_the_pod_that_asks(bench: Bench):
    await bench.apply(two_ways({"sourceLabels": {"app": "productpage", "version": "v1"}}))
    assert await asked(bench, PAGE_POD) == V2
    assert await asked(bench, BUYER_POD) == V1
    assert await asked(bench) == V1, "the built-in client has no labels"
    await bench.apply(two_ways({"sourceLabels": {"app": "productpage", "version": "v2"}}))
    assert await asked(bench, PAGE_POD) == V1, "every label must be there"


async def test_source_namespace_chooses_by_where_the_pod_lives(bench: Bench):
    await bench.apply(two_ways({"sourceNamespace": "shop"}))
    assert await asked(bench, BASKET_POD) == V2
    assert await asked(bench, PAGE_POD) == await asked(bench) == V1


async def test_conditions_on_the_client_and_on_the_request_hold_together(bench: Bench):
    both = {"sourceLabels": {"app": "productpage"}, "uri": {"prefix": "/new"}}
    await bench.apply(two_ways(both))
    assert await asked(bench, PAGE_POD, "http://reviews:9080/new") == V2
    assert await asked(bench, PAGE_POD, "http://reviews:9080/old") == V1
    assert await asked(bench, BUYER_POD, "http://reviews:9080/new") == V1


async def test_rules_that_are_all_for_other_clients_leave_a_client_to_the_service(bench: Bench):
    only = {"match": [{"sourceLabels": {"app": "buyer"}}], "directResponse": {"status": 418}}
    await bench.apply(virtual_service("reviews", only))
    assert await asked(bench, BUYER_POD) == "418"
    assert (await bench.spread("http://reviews:9080/", 30, as_=PAGE_POD)).keys() == {V1, V2}


async def test_gateways_that_leave_the_mesh_out_keep_rules_away_from_pods(bench: Bench):
    front = istio("Gateway", "front", {"selector": {"istio": "ingressgateway"}, "servers": []})
    await bench.apply(all_to("v2", "reviews", gateways=["front"]), front)
    assert (await bench.spread("http://reviews:9080/", 30)).keys() == {V1, V2}
    await bench.apply(all_to("v2", "reviews", gateways=["front", "mesh"]), front)
    assert await asked(bench) == V2
    await bench.apply(two_ways({"gateways": ["front"]}, gateways=["front", "mesh"]), front)
    assert await asked(bench) == V1
    await bench.apply(two_ways({"gateways": ["mesh"]}, gateways=["front", "mesh"]), front)
    assert await asked(bench) == V2


@pytest.mark.parametrize("name", ["reviews", "reviews.default.svc.cluster.local"])
async def test_a_short_host_means_the_virtual_services_own_namespace(bench: Bench, name: str):
    await bench.apply(virtual_service("rules", {"directResponse": {"status": 418}}, hosts=[name]))
    for asked_for in ("reviews", "reviews.default", "reviews.default.svc", REVIEWS, f"{REVIEWS}."):
        assert await asked(bench, PAGE_POD, f"http://{asked_for}:9080/") == "418", asked_for


async def test_a_partly_qualified_host_in_a_rule_is_no_service(bench: Bench):
    """Istio expands names without a dot only. `reviews.default` is served under that one name, on port 80."""
    rules = virtual_service("rules", {"directResponse": {"status": 418}}, hosts=["reviews.default"])
    await bench.apply(rules)
    assert await asked(bench, PAGE_POD, "http://reviews.default/") == "418"
    assert await asked(bench, PAGE_POD, "http://reviews:9080/") in (V1, V2)
    assert await asked(bench, PAGE_POD, "http://reviews.default:9080/") in (V1, V2)


async def test_a_short_name_reaches_the_clients_own_namespace_only(bench: Bench):
    await bench.apply()
    assert await asked(bench, BASKET_POD, "http://cart/") == CART
    assert await asked(bench, PAGE_POD, "http://cart.shop/") == CART
    assert await asked(bench, PAGE_POD, "http://cart/") == "503", "let out of the mesh, where it is no name"
    assert await asked(bench, BASKET_POD, "http://reviews:9080/") == "503"


async def test_the_port_is_part_of_what_is_asked_for(bench: Bench):
    await bench.apply()
    assert await asked(bench, PAGE_POD, "http://cart.shop:80/") == CART
    assert await asked(bench, PAGE_POD, "http://cart.shop:9080/") == "503"
    assert await asked(bench, PAGE_POD, "http://reviews/") in (V1, V2), "without a port: its first"


async def test_of_two_virtual_services_for_a_host_the_older_is_all_that_counts(bench: Bench):
    older = two_ways({"uri": {"exact": "/x"}}, "z-older")
    older["spec"]["http"].pop()
    await bench.apply(aged(all_to("v1", "a-younger"), 2), aged(older, 1))
    assert await asked(bench, url="http://reviews:9080/x") == V2
    assert await asked(bench) == "404", "what it does not take is not left to the other"
    [report] = [text for text in bench.reports() if "a-younger" in text]
    assert "is older" in report


async def test_where_the_older_has_no_rule_for_a_port_or_a_client_the_younger_speaks(bench: Bench):
    older = two_ways({"port": 9999}, "older")
    older["spec"]["http"].pop()
    await bench.apply(aged(older, 1), aged(all_to("v2", "younger"), 2))
    assert await asked(bench) == V2


async def test_a_precise_host_comes_before_a_wildcard_and_a_longer_wildcard_before_a_shorter(bench: Bench):
    wide = aged(virtual_service("wide", {"directResponse": {"status": 401}}, hosts=["*.cluster.local"]), 1)
    near = aged(
        virtual_service("near", {"directResponse": {"status": 402}}, hosts=["*.default.svc.cluster.local"]), 2
    )
    await bench.apply(wide, near, aged(all_to("v2", "reviews"), 3))
    assert await asked(bench) == V2
    assert await asked(bench, url="http://ratings:9080/") == "402"
    assert await asked(bench, url="http://cart.shop/") == "401"


async def test_a_host_that_is_no_service_is_served_on_port_80(bench: Bench):
    await bench.apply(all_to("v2", "shop", hosts=["shop.example", "*.shop.example"]))
    for host in ("shop.example", "shop.example:80", "www.shop.example", "a.b.shop.example:80"):
        assert await asked(bench, url=f"http://{host}/") == V2, host
    assert await asked(bench, url="http://shop.example:8080/") == "503"


async def test_rules_for_every_host_take_what_is_asked_of_port_80_and_no_service_has(bench: Bench, port: int):
    private = on_port("cart", 80, port, "shop")  # a service with port 80 would have the rules in their place
    private["metadata"]["annotations"] = {"networking.istio.io/exportTo": "."}
    rule = {"match": [{"uri": {"prefix": "/x"}}], "route": [to("reviews", "v2", 9080)]}
    await bench.apply(private, virtual_service("all", rule, hosts=["*"]))
    for url, by in (
        ("http://nobody.example/x", V2),
        ("http://nobody.example/y", "404"),
        ("http://nobody.example:8080/x", "503"),
        ("http://reviews:9080/x", V2),
        ("http://reviews:9080/y", "404"),
    ):
        assert await asked(bench, PAGE_POD, url) == by, url
    raw = b"GET http://nobody.example:80/x HTTP/1.1\r\nHost: nobody.example:80\r\nConnection: close\r\n\r\n"
    async with bench.tunnel("nobody.example:80", as_=PAGE_POD) as stream:
        await stream.send(raw)
        assert V2.encode() in await stream.receive()


async def test_a_virtual_service_is_for_the_namespaces_that_it_is_exported_to(bench: Bench):
    for export_to, private in ((["."], True), (["shop"], False), (["*"], None), ([".", "shop"], None)):
        await bench.apply(virtual_service("reviews", {"directResponse": {"status": 418}}, exportTo=export_to))
        assert (await asked(bench, PAGE_POD) == "418") is (private in (True, None)), export_to
        assert (await asked(bench, BASKET_POD) == "418") is (private in (False, None)), export_to


async def test_a_private_virtual_service_comes_before_an_older_public_one(bench: Bench):
    public = aged(all_to("v1", "public"), 1)
    private = in_shop(aged(all_to("v2", "private", hosts=[REVIEWS], exportTo=["."]), 2))
    await bench.apply(public, private)
    assert await asked(bench, PAGE_POD) == V1
    assert await asked(bench, BASKET_POD) == V2


async def test_a_service_is_for_the_namespaces_that_it_is_exported_to(bench: Bench, port: int):
    hidden = on_port("cart", 80, port, "shop")
    hidden["metadata"]["annotations"] = {"networking.istio.io/exportTo": "."}
    lead = virtual_service("lead", {"route": [to("cart.shop.svc.cluster.local")]}, hosts=["lead.example"])
    await bench.apply(hidden, lead)
    assert await asked(bench, BASKET_POD, "http://cart/") == CART
    assert await asked(bench, PAGE_POD, "http://cart.shop/") == "503"
    assert await asked(bench, PAGE_POD, "http://lead.example/") == "503", "nor by a route"


async def test_a_service_that_is_another_name_leads_to_the_service_of_that_name(bench: Bench):
    spec = {"type": "ExternalName", "externalName": REVIEWS, "ports": [{"name": "http", "port": 9080}]}
    other_name = {**service("opinions"), "spec": spec}
    await bench.apply(other_name)
    assert (await bench.spread("http://opinions:9080/", 30, as_=PAGE_POD)).keys() == {V1, V2}
    await bench.apply(other_name, virtual_service("opinions", {"directResponse": {"status": 418}}))
    assert await asked(bench, PAGE_POD, "http://opinions:9080/") == "418"


async def test_requests_are_counted_as_those_of_the_pod_that_sent_them(bench: Bench):
    await bench.apply()
    await asked(bench, PAGE_POD, "http://cart.shop/")

    lines = [
        line for line in (await bench.plane.admin.prometheus()).splitlines() if "requests_total{" in line
    ]
    mine = [line for line in lines if 'source_workload="productpage-v1"' in line]
    assert any('destination_service="cart.shop.svc.cluster.local"' in line for line in mine), lines


async def test_rules_hold_for_a_client_that_tunnels_its_requests(bench: Bench):
    await bench.apply(two_ways({"uri": {"prefix": "/new"}}))
    async with bench.tunnel("reviews:9080", as_=PAGE_POD) as stream:
        for path, by in (("/new", V2), ("/old", V1)):
            await stream.send(f"GET {path} HTTP/1.1\r\nHost: reviews:9080\r\n\r\n".encode())
            answer = await stream.receive()
            assert f"x-served-by: {by}".encode() in answer.lower(), answer
