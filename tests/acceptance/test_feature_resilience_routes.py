"""Timeouts, retries and faults of routes, with Istio's defaults."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import yaml
from fakes.mesh_objects import istio, pod, service, subsets, to, virtual_service
from fakes.real_envoy import Bench, mesh_bench
from fakes.upstreams import upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.real]

V1, RATINGS, REMOTE = "127.0.53.1", "127.0.53.2", "127.0.53.3"
NOBODY, PRODUCTPAGE = "127.0.53.9", "127.0.53.20"
URL = "http://reviews:9080"
NAMES = itertools.count()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with upstreams(V1, RATINGS, REMOTE) as number:
        yield number


def placed(app: str, version: str, address: str, locality: str) -> dict[str, Any]:
    body = pod(app, version, address)
    body["metadata"]["labels"]["istio-locality"] = locality
    return body


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory, port: int) -> AsyncIterator[Bench]:
    services = [service(name) for name in ("reviews", "ratings", "near-and-far")]
    for body in services:
        body["spec"]["ports"][0]["targetPort"] = port
    base = [
        *services,
        pod("reviews", "v1", V1),
        pod("ratings", "v1", RATINGS),
        pod("ratings", "dead", NOBODY),
        placed("near-and-far", "near", NOBODY, "here.a"),
        placed("near-and-far", "far", REMOTE, "there.b"),
        placed("productpage", "v1", PRODUCTPAGE, "here.a"),
    ]
    async with mesh_bench(tmp_path_factory.mktemp("resilience"), *base) as found:
        yield found


async def rule(bench: Bench, reports: int = 0, host: str = "reviews", **fields: Any) -> None:
    await bench.apply(virtual_service(host, {"route": [to(host)], **fields}))
    assert len(bench.reports()) == reports, bench.reports()


async def tries(bench: Bench, path: str, **fields: Any) -> tuple[int, int]:
    """Send one request to a path of its own; return the status and how often the upstream got it."""
    path = f"{path}/{next(NAMES)}"
    await rule(bench, **fields)
    answer = await bench.send(f"{URL}{path}")
    return answer.status, (await bench.send(f"{URL}/__seen")).seen[path]


async def test_a_timeout_ends_what_takes_too_long_and_only_that(bench: Bench):
    await rule(bench, timeout="200ms")
    started = time.monotonic()
    assert (await bench.send(f"{URL}/slow/3000")).status == 504
    assert 0.15 < time.monotonic() - started < 2
    assert (await bench.send(f"{URL}/slow/20")).status == 200


async def test_without_a_timeout_envoy_does_not_put_its_own_of_15_seconds(bench: Bench):
    limit = "x-envoy-expected-rq-timeout-ms"
    await rule(bench, timeout="7s")
    assert (await bench.send(f"{URL}/")).seen["headers"][limit] == "7000"
    for fields in ({}, {"timeout": "0s"}):
        await rule(bench, **fields)
        assert limit not in (await bench.send(f"{URL}/")).seen["headers"]
    await bench.apply()
    answer = await bench.send(f"{URL}/slow/1200")
    assert (answer.status, limit in answer.seen["headers"]) == (200, False)


async def test_the_timeout_covers_all_tries(bench: Bench):
    retries = {"attempts": 5, "perTryTimeout": "150ms", "retryOn": "5xx"}
    started = time.monotonic()
    status, seen = await tries(bench, "/slow/3000", timeout="400ms", retries=retries)
    assert (status, seen < 5) == (504, True)
    assert time.monotonic() - started < 2


async def test_attempts_are_tries_after_the_first(bench: Bench):
    retries = {"retryOn": "5xx", "backoff": "1ms"}
    assert await tries(bench, "/flaky/2", retries={**retries, "attempts": 2}) == (200, 3)
    assert await tries(bench, "/flaky/9", retries={**retries, "attempts": 3}) == (503, 4)
    assert await tries(bench, "/flaky/9", retries={**retries, "attempts": 0}) == (503, 1)


async def test_each_try_has_its_own_timeout(bench: Bench):
    retries = {"attempts": 2, "perTryTimeout": "100ms", "backoff": "1ms", "retryOn": "5xx"}
    assert await tries(bench, "/slow/2000", retries=retries) == (504, 3)


RETRY_ON = [
    ("503", "/flaky/1", True),
    ("500,503", "/flaky/1", True),
    ("500", "/flaky/1", False),
    ("5xx", "/flaky/1", True),
    ("gateway-error", "/flaky/1", True),
    ("gateway-error", "/status/500", False),
    ("retriable-4xx", "/status/409", True),
    ("retriable-4xx", "/flaky/1", False),
    ("connect-failure,refused-stream", "/flaky/1", False),
    ("404,connect-failure", "/status/404", True),
]


@pytest.mark.parametrize(("retry_on", "path", "retried"), RETRY_ON)
async def test_only_what_retry_on_names_is_tried_again(bench: Bench, retry_on: str, path: str, retried: bool):
    retries = {"attempts": 1, "retryOn": retry_on, "backoff": "1ms"}
    _, seen = await tries(bench, path, retries=retries)
    assert seen == (2 if retried else 1)


async def test_the_default_retries_are_not_for_answers_of_the_service(bench: Bench):
    for path in ("/status/500", "/status/503"):
        assert (await tries(bench, path))[1] == 1
    # With attempts but without retryOn it is the same list.
    assert await tries(bench, "/flaky/1", retries={"attempts": 3}) == (503, 1)


def balanced(policy: str) -> dict[str, Any]:
    return subsets("ratings", trafficPolicy={"loadBalancer": {"simple": policy}})


async def test_the_default_retries_hide_a_dead_pod_with_a_rule_and_without(bench: Bench):
    for objects in ((), (virtual_service("ratings", {"route": [to("ratings")]}),)):
        await bench.apply(balanced("ROUND_ROBIN"), *objects)
        assert await bench.spread("http://ratings:9080/", 40) == {RATINGS: 40}


async def test_without_retries_a_dead_pod_is_met(bench: Bench):
    await rule(bench, host="ratings", retries={"attempts": 0})
    found = await bench.spread("http://ratings:9080/", 40)
    assert found.keys() == {RATINGS, "503"}


async def test_previous_hosts_are_avoided_unless_the_rule_says_otherwise(bench: Bench):
    # A second choice by turns is the other Pod as soon as the dead one is refused; a random one may be any.
    for ignore, policy, who in ((True, "ROUND_ROBIN", {RATINGS}), (False, "RANDOM", {RATINGS, "503"})):
        retries = {"attempts": 1, "retryIgnorePreviousHosts": ignore, "backoff": "1ms"}
        rules = virtual_service("ratings", {"route": [to("ratings")], "retries": retries})
        await bench.apply(balanced(policy), rules)
        assert (await bench.spread("http://ratings:9080/", 100)).keys() == who


async def test_the_mesh_may_have_another_default_for_retries(bench: Bench):
    policy = {"defaultHttpRetryPolicy": {"attempts": 3, "retryOn": "5xx", "backoff": "1ms"}}
    mesh = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "istio", "namespace": "istio-system"},
        "data": {"mesh": yaml.safe_dump(policy)},
    }
    path = f"/flaky/3/{next(NAMES)}"
    await bench.apply(mesh)
    assert (await bench.send(f"{URL}{path}")).status == 200
    assert (await bench.send(f"{URL}/__seen")).seen[path] == 4
    await bench.apply({**mesh, "data": {"mesh": "defaultHttpRetryPolicy: {attempts: 0}"}})
    assert "503" in await bench.spread("http://ratings:9080/", 40)


async def test_retries_reach_other_localities_only_when_asked_to(bench: Bench):
    never = {"consecutive5xxErrors": 1_000_000}  # nothing is ejected, but requests stay near
    near = istio(
        "DestinationRule", "near", {"host": "near-and-far", "trafficPolicy": {"outlierDetection": never}}
    )
    for remote, statuses in ((False, {"503"}), (True, {REMOTE})):
        retries = {"attempts": 4, "backoff": "1ms", "retryRemoteLocalities": remote}
        rules = virtual_service("near-and-far", {"route": [to("near-and-far")], "retries": retries})
        await bench.apply(near, rules)
        found = await bench.spread("http://near-and-far:9080/", 20, as_="productpage-v1.default")
        assert found.keys() == statuses


async def test_a_delay_holds_requests_back_without_using_up_the_timeout(bench: Bench):
    delay = {"fixedDelay": "400ms", "percentage": {"value": 100}}
    await rule(bench, fault={"delay": delay}, timeout="200ms")
    started = time.monotonic()
    answer = await bench.send(f"{URL}/")
    assert (answer.status, answer.by) == (200, V1)
    assert time.monotonic() - started >= 0.39


async def test_a_delay_hits_its_percentage_of_requests(bench: Bench):
    await rule(bench, fault={"delay": {"fixedDelay": "150ms", "percentage": {"value": 50}}})
    slow = 0
    for _ in range(20):
        started = time.monotonic()
        await bench.send(f"{URL}/")
        slow += time.monotonic() - started >= 0.145
    assert 1 <= slow <= 19


async def test_an_abort_answers_in_place_of_the_service(bench: Bench):
    await rule(bench, fault={"abort": {"httpStatus": 418, "percentage": {"value": 100}}})
    answer = await bench.send(f"{URL}/aborted")
    assert (answer.status, answer.by) == (418, "")
    await bench.apply()
    assert "/aborted" not in (await bench.send(f"{URL}/__seen")).seen


async def test_an_abort_hits_its_percentage_of_requests(bench: Bench):
    await rule(bench, fault={"abort": {"httpStatus": 555, "percentage": {"value": 25}}})
    found = await bench.spread(f"{URL}/", 400)
    assert 50 < found["555"] < 150
    await rule(bench, fault={"abort": {"httpStatus": 555, "percentage": {"value": 0}}})
    assert await bench.spread(f"{URL}/", 50) == {V1: 50}


async def test_an_abort_may_be_a_grpc_status(bench: Bench):
    await rule(bench, fault={"abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 100}}})
    call = {"url": f"{URL}/pkg.Service/Method", "method": "POST"}
    answer = await bench.send(**call, headers={"content-type": "application/grpc"})
    assert (answer.status, answer.headers["grpc-status"], answer.by) == (200, "14", "")
    plain = await bench.send(**call)
    assert (plain.status, plain.text, plain.by) == (200, "fault filter abort", ""), plain


async def test_delay_and_abort_come_together(bench: Bench):
    whole = {"value": 100}
    fault = {
        "delay": {"fixedDelay": "300ms", "percentage": whole},
        "abort": {"httpStatus": 503, "percentage": whole},
    }
    await rule(bench, fault=fault)
    started = time.monotonic()
    assert (await bench.send(f"{URL}/")).status == 503
    assert time.monotonic() - started >= 0.29


async def test_a_fault_without_a_percentage_never_happens_and_is_reported(bench: Bench):
    fault = {"delay": {"fixedDelay": "5s"}, "abort": {"httpStatus": 500}}
    await rule(bench, reports=2, fault=fault)
    started = time.monotonic()
    assert await bench.spread(f"{URL}/", 20) == {V1: 20}
    assert time.monotonic() - started < 4


async def test_a_fault_hits_only_the_requests_of_its_rule(bench: Bench):
    broken = {"fault": {"abort": {"httpStatus": 500, "percentage": {"value": 100}}}, "route": [to("reviews")]}
    match = [{"headers": {"end-user": {"exact": "jason"}}}]
    await bench.apply(virtual_service("reviews", {"match": match, **broken}, {"route": [to("reviews")]}))
    assert (await bench.send(f"{URL}/", headers={"end-user": "jason"})).status == 500
    assert (await bench.send(f"{URL}/")).status == 200
