"""The probe says which route takes a request: Envoy's own answer, and no request is sent."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from fakes.mesh_objects import istio, pod, service, subsets, to, virtual_service
from fakes.real_envoy import Bench, eventually, mesh_bench
from fakes.upstreams import upstreams

from gitmesh.playground.envoy.errors import EnvoyError

pytestmark = [pytest.mark.anyio, pytest.mark.real]

V1, V2 = "127.0.25.1", "127.0.25.2"
HOST = "reviews.default.svc.cluster.local"
JASON = {"headers": {"end-user": {"exact": "jason"}}}
RULES = virtual_service(
    "reviews",
    {"name": "testers", "match": [{"uri": {"exact": "/no"}}, JASON], "route": [to("reviews", "v2")]},
    {"match": [{"uri": {"prefix": "/old"}}], "redirect": {"uri": "/new", "redirectCode": 307}},
    {"match": [{"uri": {"prefix": "/teapot"}}], "directResponse": {"status": 418}},
    {"match": [{"method": {"exact": "HEAD"}}], "route": [to("reviews", "v2")]},
    {"match": [{"scheme": {"exact": "https"}}], "route": [to("reviews", "v2")]},
    {
        "match": [{"uri": {"prefix": "/"}, "queryParams": {"half": {"exact": "1"}}}],
        "route": [to("reviews", "v1", weight=50), to("reviews", "v2", weight=50)],
    },
    {"match": [{"uri": {"prefix": "/api"}}], "route": [to("reviews", "v1")], "timeout": "3s"},
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with upstreams(V1, V2) as number:
        yield number


@pytest.fixture(scope="module")
async def bench(port: int, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    reviews = service("reviews", 9080)
    reviews["spec"]["ports"][0]["targetPort"] = port
    base = [reviews, pod("reviews", "v1", V1), pod("reviews", "v2", V2), subsets("reviews", "v1", "v2")]
    async with mesh_bench(tmp_path_factory.mktemp("bench"), *base) as running:
        yield running


async def test_it_names_the_object_the_rule_and_the_cluster(bench: Bench):
    await bench.apply(RULES)
    answer = await bench.probe.ask("client", "GET", "http://reviews:9080/x?a=b c", {"end-user": "jason"})
    assert answer.found
    assert (answer.source, answer.rule, answer.route) == (
        "default/reviews",
        "spec.http[0].match[1]",
        "testers",
    )
    assert (answer.cluster, answer.status) == (f"outbound|9080|v2|{HOST}", None)
    assert answer.host == f"{HOST}:9080"
    answer = await bench.probe.ask("client", "GET", "http://reviews:9080/api/1")
    assert answer.message["route"]["timeout"] == "3s"


@pytest.mark.parametrize(
    ("method", "url", "rule", "status"),
    [
        ("GET", "http://reviews:9080/old/1", 1, 307),
        ("GET", "http://REVIEWS.default:9080/teapot", 2, 418),
        ("HEAD", "http://reviews:9080/", 3, None),
        ("GET", "https://reviews:9080/", 4, None),
        ("POST", "http://reviews:9080/api", 6, None),
    ],
)
async def test_it_says_what_envoy_answers_itself(
    bench: Bench, method: str, url: str, rule: int, status: int | None
):
    await bench.apply(RULES)
    answer = await bench.probe.ask("client", method, url)
    assert answer.rule.split(".match")[0] == f"spec.http[{rule}]"
    assert answer.status == status


async def test_it_says_when_no_route_takes_a_request(bench: Bench):
    await bench.apply(RULES)
    answer = await bench.probe.ask("client", "GET", "http://reviews:9080/nothing")
    assert (answer.found, answer.status, answer.source) == (False, 404, "")
    gateway = next(name for name in bench.translation.routes if "http.80" in name)
    answer = await bench.probe.ask(gateway, "GET", "http://nobody/")
    assert (answer.found, answer.status) == (False, 404)


async def test_a_service_without_rules_has_its_own_route(bench: Bench):
    await bench.apply()
    answer = await bench.probe.ask("client", "GET", "http://reviews:9080/")
    assert (answer.found, answer.route, answer.source, answer.rule) == (True, "default", "", "")
    assert answer.cluster == f"outbound|9080||{HOST}"


async def test_it_answers_for_each_proxy(bench: Bench):
    rule = {"match": [{"sourceLabels": {"version": "v1"}}], "directResponse": {"status": 418}}
    await bench.apply(virtual_service("reviews", rule, {"route": [to("reviews", "v1")]}))
    for who, status in (("client", None), ("reviews-v1.default", 418), ("reviews-v2.default", None)):
        assert (await bench.probe.ask(who, "GET", "http://reviews:9080/")).status == status, who
    with pytest.raises(LookupError, match=r"no proxy nobody; there are client, reviews-v1\.default"):
        await bench.probe.ask("nobody", "GET", "http://reviews:9080/")


async def test_no_request_is_sent_and_weights_are_heeded(bench: Bench, port: int):
    await bench.apply(RULES)
    answers: Counter[str] = Counter()

    async def ask() -> None:
        for _ in range(100):
            url = "http://reviews:9080/probed?half=1"
            answers[(await bench.probe.ask("client", "GET", url)).cluster.split("|")[2]] += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(ask)
    assert answers.total() == 800
    assert 300 < answers["v1"] < 500
    for address in (V1, V2):
        seen = (await bench.send(f"http://{address}:{port}/__seen")).seen
        assert not any(path.startswith("/probed") for path in seen)


async def test_a_rule_of_a_gateway_is_found_at_the_gateway_only(bench: Bench):
    servers = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["shop.test"]}]
    gateway = istio("Gateway", "shop", {"selector": {"istio": "ingressgateway"}, "servers": servers})
    rules = virtual_service("shop", {"route": [to("reviews", "v1")]}, hosts=["shop.test"], gateways=["shop"])
    await bench.apply(gateway, rules)
    routes = next(name for name in bench.translation.routes if "http.80" in name)
    answer = await bench.probe.ask(routes, "GET", "http://shop.test/")
    assert (answer.source, answer.rule) == ("default/shop", "spec.http[0]")
    assert (await bench.probe.ask("client", "GET", "http://shop.test/")).source == ""


@pytest.mark.parametrize("header", ["a\r\nHost: b", "a\nb"])
async def test_a_line_break_in_a_header_is_refused(bench: Bench, header: str):
    with pytest.raises(EnvoyError, match="line break"):
        await bench.probe.ask("client", "GET", "http://reviews:9080/", {"x": header})


async def test_what_is_no_request_for_envoy_has_its_status(bench: Bench):
    await bench.apply()
    answer = await bench.probe.ask("client", "GET", "http://reviews:9080/", {"Transfer-Encoding": "nonsense"})
    assert (answer.found, answer.status) == (False, 501)


async def test_it_finds_an_envoy_that_came_back(bench: Bench):
    await bench.apply(RULES)
    await bench.probe.ask("client", "GET", "http://reviews:9080/api")
    pid = bench.plane.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    async def back() -> bool:
        return bench.plane.process.pid not in (None, pid) and await bench.plane.admin.is_ready()

    await eventually(back)
    assert (await bench.probe.ask("client", "GET", "http://reviews:9080/api")).source == "default/reviews"
