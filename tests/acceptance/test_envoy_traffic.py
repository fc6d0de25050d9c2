"""Istio's objects steer real requests through a real Envoy."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from typing import Any

import anyio
import pytest
from fakes.mesh_objects import istio, pod, service, subsets, to, virtual_service
from fakes.real_envoy import Client, client_of, envoy, eventually, snapshot_of
from fakes.upstreams import upstreams

from gitmesh.playground.translate.listeners import Address

pytestmark = [pytest.mark.anyio, pytest.mark.real]

V1, V2, RATINGS, NOBODY = "127.0.21.1", "127.0.21.2", "127.0.21.3", "127.0.21.9"
HOST = "reviews.default.svc.cluster.local"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with upstreams(V1, V2, RATINGS) as number:
        yield number


@pytest.fixture
def bookinfo(port: int) -> list[dict[str, Any]]:
    return [
        service("reviews", port),
        service("ratings", port),
        pod("reviews", "v1", V1),
        pod("reviews", "v2", V2),
        pod("ratings", "v1", RATINGS),
        subsets("reviews", "v1", "v2"),
    ]


def rule(subset: str, **fields: Any) -> dict[str, Any]:
    return {"route": [to("reviews", subset)], **fields}


async def test_a_service_without_rules_is_reached_under_all_its_names(
    tmp_path: Path, bookinfo: list[Any], port: int
):
    async with envoy(tmp_path, *bookinfo) as plane, client_of(plane.addresses.mesh) as client:
        for name in (
            "ratings",
            "ratings.default",
            "ratings.default.svc",
            f"{HOST.replace('reviews', 'ratings')}",
        ):
            for host in (name, f"{name}:{port}", name.upper()):
                assert (await client.ask(host)).by == RATINGS, host
        both = Counter([(await client.ask("reviews")).by for _ in range(50)])
        assert both.keys() == {V1, V2}
        assert (await client.ask("nobody")).status == 503  # let out, and then there is no such name


async def test_the_port_of_the_host_header_chooses_the_port_of_the_service(
    tmp_path: Path, bookinfo: list[Any], port: int
):
    two = service("reviews", 80)
    two["spec"]["ports"] = [
        {"name": "http", "port": 80, "targetPort": port},
        {"name": "http-closed", "port": 81, "targetPort": 1},
        {"name": "http-rules", "port": 82, "targetPort": port},
    ]
    rules = virtual_service(
        "reviews",
        {"match": [{"port": 82, "uri": {"prefix": "/said"}}], "directResponse": {"status": 418}},
    )
    async with envoy(tmp_path, two, *bookinfo[1:], rules) as plane, client_of(plane.addresses.mesh) as client:
        for host, path, status in (
            ("reviews", "/", 200),
            ("reviews:80", "/", 200),
            ("reviews:7777", "/", 503),
            ("reviews:81", "/", 503),
            ("reviews:82", "/said", 418),
            ("reviews:82", "/", 404),
            ("reviews", "/said", 200),
        ):
            assert (await client.ask(host, path)).status == status, (host, path)


MATCHES = [
    ({"uri": {"exact": "/exact"}}, "/exact?x=1", {}, "/exact/", {}),
    ({"uri": {"prefix": "/pre"}}, "/prefix/x", {}, "/other", {}),
    ({"uri": {"regex": "/r[0-9]+"}}, "/r12?q=1", {}, "/r12/x", {}),
    ({"uri": {"exact": "/CaSe"}, "ignoreUriCase": True}, "/case", {}, "/cases", {}),
    ({"uri": {"prefix": "/normal"}}, "/x/../normal", {}, "/x/normal", {}),
    ({"headers": {"end-user": {"exact": "jason"}}}, "/", {"End_User": "jason"}, "/", {"End_User": "Jason"}),
    ({"headers": {"x-group": {"prefix": "in-"}}}, "/", {"X_Group": "in-1"}, "/", {"X_Group": "out"}),
    ({"headers": {"cookie": {"regex": "a.*z"}}}, "/", {"Cookie": "abcz"}, "/", {"Cookie": "xaz"}),
    ({"headers": {"x-there": {}}}, "/", {"X_There": "1"}, "/", {}),
    ({"withoutHeaders": {"x-old": {}}}, "/", {}, "/", {"X_Old": "1"}),
    ({"withoutHeaders": {"x-old": {"exact": "1"}}}, "/", {"X_Old": "2"}, "/", {"X_Old": "1"}),
    ({"queryParams": {"canary": {"exact": "1"}}}, "/?a=2&canary=1", {}, "/?canary=2", {}),
    ({"queryParams": {"q": {"regex": "[a-c]+"}}}, "/?q=abc", {}, "/?q=abd", {}),
    ({"method": {"exact": "PUT"}}, "/", {"method": "PUT"}, "/", {"method": "GET"}),
    ({"authority": {"prefix": "reviews.def"}}, "/", {"host": "reviews.default"}, "/", {"host": "reviews"}),
    ({"scheme": {"exact": "http"}}, "/", {}, None, {}),
    ({"uri": {"prefix": "/both"}, "method": {"exact": "PUT"}}, "/both", {"method": "PUT"}, "/both", {}),
]


async def test_each_condition_takes_what_it_describes_and_nothing_else(tmp_path: Path, bookinfo: list[Any]):
    async with envoy(tmp_path, *bookinfo) as plane, client_of(plane.addresses.mesh) as client:

        async def served_by(path: str, how: dict[str, str]) -> str:
            how = dict(how)
            return (await client.ask(how.pop("host", "reviews"), path, **how)).by

        for match, inside, how_inside, outside, how_outside in MATCHES:
            rules = virtual_service("reviews", rule("v2", match=[match]), rule("v1"))
            await plane.apply(snapshot_of(*bookinfo, rules, doors=plane.addresses.doors))
            assert await served_by(inside, how_inside) == V2, match
            if outside is not None:
                assert await served_by(outside, how_outside) == V1, match


async def test_one_of_several_matches_is_enough_and_the_first_rule_wins(tmp_path: Path, bookinfo: list[Any]):
    rules = virtual_service(
        "reviews",
        rule("v2", match=[{"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/b"}}]),
        rule("v1", match=[{"uri": {"prefix": "/"}, "method": {"exact": "GET"}}]),
    )
    async with envoy(tmp_path, *bookinfo, rules) as plane, client_of(plane.addresses.mesh) as client:
        answers = [(await client.ask("reviews", path)).by for path in ("/a", "/b", "/c")]
        assert answers == [V2, V2, V1]
        assert (
            await client.ask("reviews", "/c", "PUT")
        ).status == 404  # no rule takes it: no way to the Service


async def shares(client: Client, requests: int, workers: int = 8) -> Counter[str]:
    found: Counter[str] = Counter()

    async def work() -> None:
        for _ in range(requests // workers):
            found[(await client.ask("reviews")).by] += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(workers):
            tasks.start_soon(work)
    return found


@pytest.mark.parametrize(("weights", "share"), [((90, 10), 0.1), ((1, 2), 2 / 3), ((995, 5), 0.005)])
async def test_weights_are_kept(tmp_path: Path, bookinfo: list[Any], weights: tuple[int, int], share: float):
    destinations = [to("reviews", f"v{n}", weight=w) for n, w in enumerate(weights, start=1)]
    rules = virtual_service("reviews", {"route": destinations})
    async with envoy(tmp_path, *bookinfo, rules) as plane, client_of(plane.addresses.mesh) as client:
        found = await shares(client, 2000)
    expected = 2000 * share
    # Six standard deviations and a little for small counts: wrong less than once in a million runs.
    assert abs(found[V2] - expected) < 6 * sqrt(expected * (1 - share)) + 5
    assert found.total() == 2000


async def test_a_weight_of_zero_gets_nothing(tmp_path: Path, bookinfo: list[Any]):
    rules = virtual_service(
        "reviews", {"route": [to("reviews", "v1", weight=1), to("reviews", "v2", weight=0)]}
    )
    async with envoy(tmp_path, *bookinfo, rules) as plane, client_of(plane.addresses.mesh) as client:
        assert await shares(client, 400) == {V1: 400}


async def test_timeouts_and_retries(tmp_path: Path, bookinfo: list[Any]):
    retries = {"attempts": 3, "retryOn": "503", "backoff": "1ms"}
    rules = virtual_service(
        "reviews",
        rule("v1", match=[{"uri": {"prefix": "/slow"}}], timeout="200ms"),
        rule("v1", match=[{"uri": {"prefix": "/flaky/2/"}}], retries=retries),
        rule("v1", match=[{"uri": {"prefix": "/flaky/9/"}}], retries=retries),
        rule("v1"),
    )
    async with envoy(tmp_path, *bookinfo, rules) as plane, client_of(plane.addresses.mesh) as client:
        assert (await client.ask("reviews", "/slow/2000")).status == 504
        assert (await client.ask("reviews", "/slow/20")).status == 200
        assert (await client.ask("reviews", "/flaky/2/retried")).status == 200
        assert (await client.ask("reviews", "/flaky/9/retried")).status == 503
        assert (
            await client.ask("reviews", "/flaky/1/default")
        ).status == 503  # Istio's default: not for a 503
        seen = (await client.ask("reviews", "/__seen")).seen
        assert (seen["/flaky/2/retried"], seen["/flaky/9/retried"], seen["/flaky/1/default"]) == (3, 4, 1)


async def test_a_dead_pod_is_hidden_by_the_default_retries(tmp_path: Path, bookinfo: list[Any]):
    dead = pod("ratings", "dead", NOBODY)
    async with envoy(tmp_path, *bookinfo, dead) as plane, client_of(plane.addresses.mesh) as client:
        assert {(await client.ask("ratings")).status for _ in range(30)} == {200}


async def test_a_full_connection_pool_turns_requests_away(tmp_path: Path, bookinfo: list[Any]):
    pool = {"tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1}}
    limited = subsets("reviews", "v1", trafficPolicy={"connectionPool": pool})
    world = [*bookinfo[:-1], limited, virtual_service("reviews", rule("v1"))]
    answers: Counter[int] = Counter()
    async with envoy(tmp_path, *world) as plane, client_of(plane.addresses.mesh) as client:

        async def ask() -> None:
            answers[(await client.ask("reviews", "/slow/500")).status] += 1

        await client.ask("reviews")  # while a connection is being made, its request is the one that waits
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(ask)
    assert answers == {200: 2, 503: 4}


async def test_a_pod_that_fails_is_ejected(tmp_path: Path, bookinfo: list[Any]):
    detection = {
        "consecutive5xxErrors": 3,
        "interval": "100ms",
        "baseEjectionTime": "1m",
        "maxEjectionPercent": 100,
    }
    careful = subsets("reviews", trafficPolicy={"outlierDetection": detection})
    async with envoy(tmp_path, *bookinfo[:-1], careful) as plane, client_of(plane.addresses.mesh) as client:
        for _ in range(12):  # in a row for each of the two Pods
            await client.ask("reviews", "/status/500")

        async def nobody_left() -> bool:
            return (await client.ask("reviews")).status == 503

        await eventually(nobody_left)


async def test_rewrites_and_headers(tmp_path: Path, bookinfo: list[Any]):
    regex = {"uriRegexRewrite": {"match": "^/r/(.*)$", "rewrite": r"/x/\1"}}
    request = {"set": {"x-set": "new"}, "add": {"x-add": "b"}, "remove": ["x-drop"]}
    headers = {"request": request, "response": {"set": {"x-more": "1"}, "remove": ["x-upstream"]}}
    rules = virtual_service(
        "reviews",
        rule("v1", match=[{"uri": {"prefix": "/old"}}], rewrite={"uri": "/new", "authority": "inner"}),
        rule("v1", match=[{"uri": {"prefix": "/r/"}}], rewrite=regex),
        rule("v1", headers=headers),
    )
    async with envoy(tmp_path, *bookinfo, rules) as plane, client_of(plane.addresses.mesh) as client:
        moved = (await client.ask("reviews", "/old/a?q=1")).seen
        assert (moved["path"], moved["headers"]["host"]) == ("/new/a?q=1", "inner")
        assert (await client.ask("reviews", "/r/a")).seen["path"] == "/x/a"
        answer = await client.ask("reviews", "/", X_Set="old", X_Add="a", X_Drop="1")
        received = answer.seen["headers"]
        assert (received["x-set"], "x-drop" in received) == ("new", False)
        assert received["x-add"] == "a,b"
        assert ("x-upstream" in answer.headers, answer.headers["x-more"]) == (False, "1")


async def test_faults_redirects_and_answers_without_an_upstream(tmp_path: Path, bookinfo: list[Any]):
    always, half = {"percentage": {"value": 100}}, {"percentage": {"value": 50}}
    rules = virtual_service(
        "reviews",
        rule("v1", match=[{"uri": {"exact": "/abort"}}], fault={"abort": {"httpStatus": 418, **always}}),
        rule("v1", match=[{"uri": {"exact": "/half"}}], fault={"abort": {"httpStatus": 418, **half}}),
        rule("v1", match=[{"uri": {"exact": "/delay"}}], fault={"delay": {"fixedDelay": "300ms", **always}}),
        {"match": [{"uri": {"exact": "/go"}}], "redirect": {"uri": "/there", "redirectCode": 308}},
        {
            "match": [{"uri": {"exact": "/said"}}],
            "directResponse": {"status": 503, "body": {"string": "closed"}},
        },
        rule("v1"),
    )
    async with envoy(tmp_path, *bookinfo, rules) as plane, client_of(plane.addresses.mesh) as client:
        assert (await client.ask("reviews", "/abort")).status == 418
        aborted = sum([(await client.ask("reviews", "/half")).status == 418 for _ in range(400)])
        assert abs(aborted - 200) < 60  # six standard deviations
        began = anyio.current_time()
        assert (await client.ask("reviews", "/delay")).status == 200
        assert anyio.current_time() - began >= 0.29
        redirect = await client.ask("reviews", "/go?x=1")
        assert (redirect.status, redirect.headers["location"]) == (308, "http://reviews/there?x=1")
        said = await client.ask("reviews", "/said")
        assert (said.status, said.text) == (503, "closed")


async def test_a_mirror_gets_a_copy_and_the_client_does_not_notice(
    tmp_path: Path, bookinfo: list[Any], port: int
):
    rules = virtual_service("reviews", rule("v1", mirror={"host": "reviews", "subset": "v2"}))
    async with envoy(tmp_path, *bookinfo, rules) as plane, client_of(plane.addresses.mesh) as client:
        answers = {(await client.ask("reviews", "/mirrored")).by for _ in range(20)}
        assert answers == {V1}
        async with client_of(Address(V2, port)) as direct:

            async def all_copies_came() -> bool:
                return (await direct.ask("x", "/__seen")).seen.get("/mirrored") == 20

            await eventually(all_copies_came)


async def test_a_gateway_serves_the_hosts_that_it_names(tmp_path: Path, bookinfo: list[Any]):
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*.shop.example"]}
    front = istio("Gateway", "front", {"selector": {"istio": "ingressgateway"}, "servers": [server]})
    bound = virtual_service(
        "shop", rule("v2"), hosts=["www.shop.example", "other.example"], gateways=["front"]
    )
    wide = virtual_service("wide", {"route": [to("ratings")]}, hosts=["*"], gateways=["front"])
    async with envoy(tmp_path, *bookinfo, front, bound, wide) as plane:
        async with client_of(plane.addresses.gateway) as outside:
            assert (await outside.ask("www.shop.example")).by == V2
            assert (await outside.ask("www.shop.example:8080")).by == V2
            assert (await outside.ask("any.shop.example")).by == RATINGS
            assert (await outside.ask("other.example")).status == 404
            assert (await outside.ask("reviews")).status == 404
        async with client_of(plane.addresses.mesh) as inside:
            assert (await inside.ask("www.shop.example")).status == 503


async def test_requests_are_counted_under_istio_s_names_and_labels(tmp_path: Path, bookinfo: list[Any]):
    unreachable = pod("reviews", "v3", NOBODY)
    abort = {"abort": {"httpStatus": 418, "percentage": {"value": 100}}}
    rules = virtual_service(
        "reviews",
        rule("v3", match=[{"uri": {"prefix": "/v3"}}]),
        rule("v2", match=[{"uri": {"prefix": "/abort"}}], fault=abort),
        rule("v1"),
    )
    world = [*bookinfo[:-1], unreachable, subsets("reviews", "v1", "v2", "v3"), rules]
    async with envoy(tmp_path, *world) as plane, client_of(plane.addresses.mesh) as client:
        for _ in range(3):
            await client.ask("reviews", "/status/500")
        await client.ask("reviews", "/", X_Gitmesh_Source="productpage-v1")
        assert (await client.ask("reviews", "/v3")).status == 503
        await client.ask("reviews", "/abort")
        counted = re.findall(
            r"^envoy_istio_requests_total\{(.*)\} (\d+)$", await plane.admin.prometheus(), re.M
        )

    found = {frozenset(re.findall(r'(\w+)="([^"]*)"', labels)): int(count) for labels, count in counted}
    common = {
        "reporter": "source",
        "source_workload": "unknown",
        "destination_service": HOST,
        "destination_service_name": "reviews",
        "destination_service_namespace": "default",
        "request_protocol": "http",
        "response_flags": "-",
        "grpc_response_status": "",
    }

    def series(version: str, code: str, **labels: str) -> frozenset[tuple[str, str]]:
        about = {
            "destination_version": version,
            "destination_workload": f"reviews-{version}",
            "response_code": code,
        }
        return frozenset({**common, **about, **labels}.items())

    assert found == {
        series("v1", "500"): 3,
        series("v1", "200", source_workload="productpage-v1"): 1,
        series("v3", "503", response_flags="URX,UF"): 1,
        series("v2", "418", response_flags="FI", destination_workload=""): 1,
    }


async def test_the_probe_tells_the_route_without_sending_the_request(
    tmp_path: Path, bookinfo: list[Any], port: int
):
    rules = virtual_service(
        "reviews", rule("v2", match=[{"uri": {"prefix": "/new"}, "name": "path"}], name="canary"), rule("v1")
    )
    async with envoy(tmp_path, *bookinfo, rules) as plane, client_of(plane.addresses.probe) as probe:
        assert (await probe.ask("reviews", "/new/thing")).seen == {
            "route": "canary.path",
            "cluster": f"outbound|{port}|v2|{HOST}",
            "source": "default/reviews",
            "rule": "spec.http[0].match[0]",
        }
        assert (await probe.ask("reviews", "/x")).seen["cluster"] == f"outbound|{port}|v1|{HOST}"
    async with envoy(tmp_path, *bookinfo) as plane, client_of(plane.addresses.mesh) as client:
        seen = [(await client.ask("reviews", "/__seen")).seen for _ in range(20)]
        assert not any("/new/thing" in paths for paths in seen)
