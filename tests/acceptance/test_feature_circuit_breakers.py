"""Bounds beyond which requests fail at once, and endpoints that are left out while they fail."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from fakes.mesh_objects import istio, pod, service, to, virtual_service
from fakes.real_envoy import Answer, Bench, eventually, mesh_bench
from fakes.servers import h2c_server, http_server
from fakes.upstreams import upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.real]

V1, LATE, H2, FULL = (f"127.0.62.{n}" for n in range(1, 5))
URL = "http://reviews:9080"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with upstreams(V1) as number:
        yield number


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory, port: int) -> AsyncIterator[Bench]:
    base = [service("reviews", port), pod("reviews", "v1", V1)]
    base[0]["spec"]["ports"][0] |= {"port": 9080, "targetPort": port}
    async with mesh_bench(tmp_path_factory.mktemp("breakers"), *base) as found:
        yield found


def pooled(*, tcp: dict[str, Any] | None = None, **http: Any) -> dict[str, Any]:
    return ruled(connectionPool={"tcp": tcp or {}, "http": http})


def ruled(**policy: Any) -> dict[str, Any]:
    return istio("DestinationRule", "reviews", {"host": "reviews", "trafficPolicy": policy})


def plain(**fields: Any) -> dict[str, Any]:
    """Return a VirtualService that tries once."""
    return virtual_service("reviews", {"route": [to("reviews")], "retries": {"attempts": 0}, **fields})


async def at_once(bench: Bench, count: int, path: str) -> list[Answer]:
    answers: list[Answer] = []

    async def one() -> None:
        answers.append(await bench.send(URL + path))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one)
        await anyio.sleep(0.05)  # a request that opens a connection counts as waiting until it is open
        for _ in range(count - 1):
            tasks.start_soon(one)
    return answers


def statuses(answers: list[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


@pytest.mark.parametrize(("waiting", "served"), [(1, 2), (3, 4)])
async def test_requests_beyond_the_connections_wait_and_beyond_the_queue_fail(
    bench: Bench, waiting: int, served: int
):
    await bench.apply(pooled(tcp={"maxConnections": 1}, http1MaxPendingRequests=waiting), plain())
    answers = await at_once(bench, 6, "/slow/200")
    assert statuses(answers) == {200: served, 503: 6 - served}
    refused = next(answer for answer in answers if answer.status == 503)
    assert refused.headers["x-envoy-overloaded"] == "true"
    assert (await bench.send(f"{URL}/")).status == 200


async def test_a_bound_on_connections_alone_makes_requests_wait_for_each_other(bench: Bench):
    await bench.apply(pooled(tcp={"maxConnections": 2}), plain())
    began = anyio.current_time()
    assert statuses(await at_once(bench, 6, "/slow/100")) == {200: 6}
    assert anyio.current_time() - began >= 0.3  # three rounds of two


async def test_a_bound_on_requests_holds_for_http1_too(bench: Bench):
    await bench.apply(pooled(http2MaxRequests=2), plain())
    assert statuses(await at_once(bench, 5, "/slow/200")) == {200: 2, 503: 3}


async def test_without_a_bound_everything_is_served(bench: Bench):
    await bench.apply(plain())
    assert statuses(await at_once(bench, 40, "/slow/100")) == {200: 40}


async def test_a_connection_is_left_after_so_many_requests(bench: Bench):
    async def connections(count: int) -> list[int]:
        found = [(await bench.send(f"{URL}/")).seen["headers"]["x-connection"] for _ in range(count)]
        return list(Counter(found).values())

    await bench.apply(pooled(maxRequestsPerConnection=1), plain())
    assert await connections(5) == [1] * 5
    await bench.apply(pooled(maxRequestsPerConnection=3), plain())
    assert await connections(9) == [3] * 3
    await bench.apply(plain())
    assert await connections(9) == [9]


@pytest.mark.parametrize(("bound", "path", "again"), [(1, "/slow/250/bound", 1), (0, "/slow/250/free", 4)])
async def test_only_so_many_retries_are_under_way(bench: Bench, bound: int, path: str, again: int):
    """Zero is no bound, as in Istio, where Envoy's own default would be three."""
    retries = {"attempts": 1, "perTryTimeout": "100ms", "retryOn": "gateway-error"}
    await bench.apply(pooled(maxRetries=bound), plain(retries=retries))
    assert statuses(await at_once(bench, 4, path)) == {504: 4}
    assert await seen(bench, path) == 4 + again


async def seen(bench: Bench, path: str) -> int:
    await bench.apply(plain())
    return int((await bench.send(f"{URL}/__seen")).seen.get(path, 0))


async def test_retries_may_be_a_share_of_what_is_under_way(bench: Bench):
    retries = {"attempts": 1, "perTryTimeout": "100ms", "retryOn": "gateway-error"}
    budget = {"percent": 1, "minRetryConcurrency": 2}
    await bench.apply(ruled(retryBudget=budget), plain(retries=retries))
    await at_once(bench, 6, "/slow/250/budget")
    assert await seen(bench, "/slow/250/budget") == 6 + 2


async def test_connecting_is_given_up_after_its_time(bench: Bench):
    with socket.socket() as full:
        # Two connections fill the queue of a server that takes none; the next one gets no answer at all.
        full.bind((FULL, 0))
        full.listen(0)
        others = [socket.create_connection(full.getsockname()) for _ in range(1)]
        busy = service("busy", 80)
        busy["spec"]["ports"][0]["targetPort"] = full.getsockname()[1]
        pool = {"connectionPool": {"tcp": {"connectTimeout": "200ms"}}}
        rule = istio("DestinationRule", "busy", {"host": "busy", "trafficPolicy": pool})
        once = virtual_service("busy", {"route": [to("busy")], "retries": {"attempts": 0}})
        await bench.apply(busy, pod("busy", "v1", FULL), rule, once)
        began = anyio.current_time()
        assert (await bench.send("http://busy/")).status == 503
        # Envoy's timers go by a coarse clock, so that one may fire some milliseconds early.
        assert 0.19 <= anyio.current_time() - began < 2
        for other in others:
            other.close()


async def test_a_failing_endpoint_is_left_out_and_comes_back(bench: Bench, port: int):
    failing = {
        "consecutive5xxErrors": 3,
        "interval": "100ms",
        "baseEjectionTime": "1s",
        "maxEjectionPercent": 100,
    }
    in_turn = {"simple": "ROUND_ROBIN"}
    await bench.apply(
        pod("reviews", "v9", LATE), ruled(outlierDetection=failing, loadBalancer=in_turn), plain()
    )
    first = Counter([(await bench.send(f"{URL}/")).by for _ in range(6)])
    assert first == {V1: 3, "": 3}  # nobody listens at the other address yet
    await eventually_left_out(bench, {V1: 20})
    async with http_server(LATE, port=port):

        async def is_back() -> bool:
            return (await bench.send(f"{URL}/")).by == LATE

        await eventually(is_back)
        assert await bench.spread(f"{URL}/", 20) == {V1: 10, LATE: 10}


async def eventually_left_out(bench: Bench, spread: dict[str, int]) -> None:
    """Wait until requests are spread like this.

    A worker of Envoy finds out that an endpoint fails, but the main thread decides that it is left out, and
    then tells the workers: meanwhile more requests may go there.
    """

    async def is_so() -> bool:
        return await bench.spread(f"{URL}/", sum(spread.values())) == spread

    await eventually(is_so)


async def test_errors_that_an_endpoint_answers_count_and_others_do_not(bench: Bench):
    failing = {
        "consecutiveGatewayErrors": 2,
        "consecutive5xxErrors": 0,
        "interval": "100ms",
        "baseEjectionTime": "30s",
    }
    await bench.apply(ruled(outlierDetection={**failing, "maxEjectionPercent": 100}), plain())
    assert [(await bench.send(f"{URL}/status/500")).status for _ in range(5)] == [500] * 5
    assert [(await bench.send(f"{URL}/status/502")).status for _ in range(2)] == [502, 502]
    await eventually_left_out(bench, {"503": 2})


@pytest.mark.parametrize(("most", "left"), [(None, 20), (40, 15), (100, 0)])
async def test_a_tenth_of_the_endpoints_is_left_out_at_most_unless_more_is_allowed(
    bench: Bench, most: int | None, left: int
):
    """Of three endpoints a tenth is none, 40 percent is one. Two of the three serve nothing here."""
    failing = {"consecutive5xxErrors": 1, "interval": "100ms", "baseEjectionTime": "30s"}
    failing |= {"maxEjectionPercent": most} if most else {}
    others = [pod("reviews", f"v{n}", f"127.0.62.{n}") for n in (7, 8)]
    in_turn = {"simple": "ROUND_ROBIN"}
    await bench.apply(*others, ruled(outlierDetection=failing, loadBalancer=in_turn), plain())
    await bench.spread(f"{URL}/", 12)
    await anyio.sleep(1.1)  # Envoy collects what it learns of endpoints for a second

    async def is_so() -> bool:
        return (await bench.spread(f"{URL}/", 30))["503"] == left

    await eventually(is_so)


async def test_http2_is_spoken_where_the_port_or_the_rule_says_so(
    bench: Bench, port: int, tmp_path_factory: pytest.TempPathFactory
):
    directory = tmp_path_factory.mktemp("h2c")
    upgrade = {"connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE", "maxConcurrentStreams": 5}}}
    rule = istio("DestinationRule", "modern", {"host": "modern", "trafficPolicy": upgrade})
    # The HTTP/2 server passes on to the HTTP/1.1 upstream of its own address.
    async with h2c_server(directory, H2, port) as there, http_server(H2, port=port):
        modern = service("modern", 80)
        modern["spec"]["ports"] = [
            {"name": "grpc", "port": 80, "targetPort": there},
            {"name": "http", "port": 81, "targetPort": there},
        ]
        behind = pod("modern", "v1", H2)
        await bench.apply(modern, behind)
        assert (await bench.send("http://modern/")).headers["x-protocol"] == "HTTP/2"
        assert (await bench.send("http://modern:81/")).status == 503
        await bench.apply(modern, behind, rule)
        assert (await bench.send("http://modern:81/")).headers["x-protocol"] == "HTTP/2"
