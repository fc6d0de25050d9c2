"""How DestinationRules choose an endpoint, on real requests: algorithms, hashes, places, levels, clients."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from fakes.mesh_objects import istio, pod, service, subsets, to, virtual_service
from fakes.real_envoy import Bench, mesh_bench
from fakes.upstreams import Upstream, upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.real]

V1, V2, V3, PAGE, BUYER, SLOW = (f"127.0.61.{n}" for n in range(1, 7))
ALL = {V1, V2, V3}
URL = "http://reviews:9080"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with upstreams(V1, V2, V3) as number:
        yield number


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory, port: int) -> AsyncIterator[Bench]:
    reviews = service("reviews")
    reviews["spec"]["ports"] = [{"name": f"http-{n}", "port": n, "targetPort": port} for n in (9080, 9081)]
    pods = [pod("reviews", version, address) for version, address in (("v1", V1), ("v2", V2), ("v3", V3))]
    for body, place in zip(pods, ("eu.a", "eu.b", "us.c"), strict=True):
        body["metadata"]["labels"]["istio-locality"] = place
    page, buyer = pod("page", "v1", PAGE), pod("buyer", "v1", BUYER)
    page["metadata"]["labels"]["istio-locality"] = "eu.a"
    buyer["metadata"]["namespace"] = "shop"
    async with mesh_bench(tmp_path_factory.mktemp("balancing"), reviews, *pods, page, buyer) as found:
        yield found


def balanced(**balancer: Any) -> dict[str, Any]:
    return rule(trafficPolicy={"loadBalancer": balancer})


def rule(name: str = "reviews", *versions: str, **spec: Any) -> dict[str, Any]:
    named = [{"name": version, "labels": {"version": version}} for version in versions]
    return istio("DestinationRule", name, {"host": "reviews", "subsets": named, **spec})


async def in_turn(bench: Bench, count: int, path: str = "/", **options: Any) -> list[str]:
    return [(await bench.send(URL + path, **options)).by for _ in range(count)]


async def test_round_robin_takes_endpoints_in_turn(bench: Bench):
    await bench.apply(balanced(simple="ROUND_ROBIN"))
    found = await in_turn(bench, 30)
    assert Counter(found) == dict.fromkeys(ALL, 10)
    assert found[:3] * 10 == found


@pytest.mark.parametrize("simple", ["RANDOM", "LEAST_REQUEST", "UNSPECIFIED"])
async def test_random_and_least_request_reach_all_and_follow_no_order(bench: Bench, simple: str):
    await bench.apply(balanced(simple=simple))
    found = await in_turn(bench, 90)
    assert set(found) == ALL
    assert found[:3] * 30 != found


class Slow(Upstream):
    async def answer(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        await anyio.sleep(0.03)
        return await super().answer(method, path, headers)


@pytest.mark.parametrize(
    ("balancer", "least", "most"),
    [(None, 90, 230), ({"simple": "LEAST_REQUEST"}, 90, 230), ({"simple": "RANDOM"}, 231, 370)],
)
async def test_an_endpoint_that_is_busy_gets_less_also_where_nothing_is_said(
    bench: Bench, port: int, balancer: dict[str, Any] | None, least: int, most: int
):
    """LEAST_REQUEST is the default. It compares two endpoints drawn at random, perhaps the same twice: of two
    the slow one gets a quarter at least. By RANDOM it gets half. The bounds are six standard deviations away.
    """
    old = [{"name": "both", "labels": {"kind": "both"}}]
    slow = pod("reviews", "v4", SLOW)
    fast = pod("reviews", "v5", V1)
    for body in (slow, fast):
        body["metadata"]["labels"]["kind"] = "both"
    policy = {"trafficPolicy": {"loadBalancer": balancer}} if balancer else {}
    rules = istio("DestinationRule", "reviews", {"host": "reviews", "subsets": old, **policy})
    await bench.apply(slow, fast, rules, virtual_service("reviews", {"route": [to("reviews", "both")]}))
    server = await asyncio.start_server(Slow(SLOW).connection, SLOW, port)
    async with server:
        found = await bench.spread(f"{URL}/", 600)
    assert found.total() == 600
    assert least <= found[SLOW] <= most, found


async def test_passthrough_goes_to_the_address_of_the_service_whatever_the_subset(bench: Bench):
    policy = {"loadBalancer": {"simple": "PASSTHROUGH"}}
    only_v1 = virtual_service("reviews", {"route": [to("reviews", "v1")]})
    await bench.apply(rule("reviews", "v1", trafficPolicy=policy), only_v1)
    assert set(await in_turn(bench, 60)) == ALL


HASHES: list[tuple[dict[str, Any], str, Any]] = [
    ({"httpHeaderName": "x-user"}, "/", lambda user: {"x-user": user}),
    ({"httpHeaderName": "x-user", "maglev": {}}, "/", lambda user: {"x-user": user}),
    ({"httpHeaderName": "x-user", "maglev": {"tableSize": 1009}}, "/", lambda user: {"x-user": user}),
    ({"httpHeaderName": "x-user", "minimumRingSize": 4096}, "/", lambda user: {"x-user": user}),
    ({"httpHeaderName": "x-user", "ringHash": {"minimumRingSize": 2}}, "/", lambda user: {"x-user": user}),
    ({"httpCookie": {"name": "user"}}, "/", lambda user: {"cookie": f"user={user}"}),
    ({"httpQueryParameterName": "user"}, "/?user={}", lambda user: {}),
]


@pytest.mark.parametrize(("consistent", "path", "headers"), HASHES)
async def test_equal_properties_lead_to_one_endpoint(
    bench: Bench, consistent: dict[str, Any], path: str, headers: Any
):
    await bench.apply(balanced(consistentHash=consistent))
    homes = {}
    for user in range(20):
        found = await in_turn(bench, 4, path.format(user), headers=headers(str(user)))
        assert len(set(found)) == 1, (user, found)
        homes[user] = found[0]
    if "ringHash" not in consistent:  # on a ring of two points one endpoint may have nothing
        assert set(homes.values()) == ALL


async def test_a_hash_by_source_address_keeps_a_client_at_one_endpoint(bench: Bench):
    await bench.apply(balanced(consistentHash={"useSourceIp": True}))
    assert len(set(await in_turn(bench, 30))) == 1


async def test_without_the_hashed_property_any_endpoint_answers(bench: Bench):
    await bench.apply(balanced(consistentHash={"httpHeaderName": "x-user"}))
    assert set(await in_turn(bench, 60)) == ALL


async def test_a_cookie_with_a_lifetime_is_given_to_those_who_have_none(bench: Bench):
    cookie = {"name": "user", "ttl": "60s", "path": "/shop"}
    await bench.apply(balanced(consistentHash={"httpCookie": cookie}))
    first = await bench.send(f"{URL}/")
    given = first.headers["set-cookie"]
    assert given.startswith("user=")
    assert "Max-Age=60" in given
    assert "Path=/shop" in given
    again = await in_turn(bench, 10, headers={"cookie": given.split(";")[0]})
    assert set(again) == {first.by}
    assert "set-cookie" not in (await bench.send(f"{URL}/", headers={"cookie": given.split(";")[0]})).headers


async def test_a_hash_holds_inside_of_a_subset(bench: Bench):
    two = {"name": "old", "labels": {"app": "reviews"}}
    by_user = {"loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}}}
    body = istio(
        "DestinationRule",
        "reviews",
        {
            "host": "reviews",
            "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}},
            "subsets": [{**two, "trafficPolicy": by_user}],
        },
    )
    await bench.apply(body, virtual_service("reviews", {"route": [to("reviews", "old")]}))
    assert len(set(await in_turn(bench, 20, headers={"x-user": "ann"}))) == 1


async def test_a_ports_policy_replaces_the_hosts_and_a_subsets_overrides_it(bench: Bench):
    sticky = {"loadBalancer": {"consistentHash": {"useSourceIp": True}}}
    policy = {
        **sticky,
        "portLevelSettings": [{"port": {"number": 9081}, "loadBalancer": {"simple": "ROUND_ROBIN"}}],
    }
    turns = {"name": "turns", "trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}}}
    body = istio(
        "DestinationRule", "reviews", {"host": "reviews", "trafficPolicy": policy, "subsets": [turns]}
    )
    await bench.apply(body)
    assert len(set(await in_turn(bench, 12))) == 1
    at_port = [(await bench.send("http://reviews:9081/")).by for _ in range(12)]
    assert Counter(at_port) == dict.fromkeys(ALL, 4)
    await bench.apply(body, virtual_service("reviews", {"route": [to("reviews", "turns")]}))
    assert Counter(await in_turn(bench, 12)) == dict.fromkeys(ALL, 4)


async def test_the_rule_of_the_clients_own_namespace_comes_before_that_of_the_service(bench: Bench):
    theirs = balanced(simple="ROUND_ROBIN")
    ours = istio(
        "DestinationRule",
        "ours",
        {
            "host": "reviews.default.svc.cluster.local",
            "trafficPolicy": {"loadBalancer": {"consistentHash": {"useSourceIp": True}}},
        },
        namespace="shop",
    )
    url = "http://reviews.default:9080/"
    await bench.apply(theirs, ours)
    assert Counter(await in_turn(bench, 12)) == dict.fromkeys(ALL, 4)
    assert len({(await bench.send(url, as_="buyer-v1.shop")).by for _ in range(12)}) == 1


async def test_a_rule_for_selected_clients_is_for_them_alone(bench: Bench):
    for_page = rule(
        "for-page",
        workloadSelector={"matchLabels": {"app": "page"}},
        trafficPolicy={"loadBalancer": {"consistentHash": {"useSourceIp": True}}},
    )
    await bench.apply(for_page, balanced(simple="ROUND_ROBIN"))
    assert len(set(await in_turn(bench, 12, as_="page-v1.default"))) == 1
    assert Counter(await in_turn(bench, 12)) == dict.fromkeys(ALL, 4)


async def test_a_rule_that_is_not_exported_says_nothing_to_other_namespaces(bench: Bench):
    private = rule("reviews", "v1", exportTo=["."])
    to_v1 = virtual_service("reviews", {"route": [to("reviews.default.svc.cluster.local", "v1")]})
    await bench.apply(private, to_v1)
    assert set(await in_turn(bench, 5)) == {V1}
    # There is no such subset for a buyer, so no cluster: what Istio answers with 503.
    answer = await bench.send("http://reviews.default:9080/", as_="buyer-v1.shop")
    assert answer.status == 503


async def test_rules_for_one_host_are_merged(bench: Bench):
    more = subsets("reviews", "v2")
    more["metadata"]["name"] = "more"
    both = [to("reviews", "v1", weight=50), to("reviews", "v2", weight=50)]
    await bench.apply(rule("reviews", "v1"), more, virtual_service("reviews", {"route": both}))
    assert set(await in_turn(bench, 40)) == {V1, V2}


async def test_with_outlier_detection_a_client_stays_in_its_own_place(bench: Bench):
    failing = {"outlierDetection": {"consecutive5xxErrors": 5}}
    await bench.apply(rule(trafficPolicy=failing))
    assert set(await in_turn(bench, 20, as_="page-v1.default")) == {V1}
    assert set(await in_turn(bench, 60)) == ALL  # the built-in client is nowhere
    off = {**failing, "loadBalancer": {"localityLbSetting": {"enabled": False}}}
    await bench.apply(rule(trafficPolicy=off))
    assert set(await in_turn(bench, 60, as_="page-v1.default")) == ALL


async def test_shares_are_distributed_over_places(bench: Bench):
    shares = {"distribute": [{"from": "eu/a", "to": {"eu/b": 75, "us/*": 25}}]}
    await bench.apply(balanced(simple="ROUND_ROBIN", localityLbSetting=shares))
    assert Counter(await in_turn(bench, 40, as_="page-v1.default")) == {V2: 30, V3: 10}


async def test_a_warm_up_leaves_no_endpoint_out(bench: Bench):
    """All endpoints are new at once in the playground, so that all warm up alike: which is reported."""
    warmup = {"duration": "1h", "minimumPercent": 1, "aggression": 1.5}
    await bench.apply(balanced(simple="ROUND_ROBIN", warmup=warmup))
    assert set(await in_turn(bench, 30)) == ALL
    assert ["spec.trafficPolicy.loadBalancer.warmup" in report for report in bench.reports()] == [True]
