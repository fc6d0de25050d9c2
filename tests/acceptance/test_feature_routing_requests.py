"""What VirtualServices do with requests: weights, subsets, redirects, rewrites, headers, mirrors, CORS."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from math import sqrt
from typing import Any

import pytest
from fakes.mesh_objects import pod, service, subsets, to, virtual_service
from fakes.real_envoy import Bench, eventually, mesh_bench
from fakes.upstreams import upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.real]

V1, V2, V3, RATINGS = (f"127.0.52.{n}" for n in range(1, 5))
URL = "http://reviews:9080"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with upstreams(V1, V2, V3, RATINGS) as number:
        yield number


def ports(name: str, target: int, *numbers: int) -> dict[str, Any]:
    body = service(name)
    body["spec"]["ports"] = [{"name": f"http-{n}", "port": n, "targetPort": target} for n in numbers]
    return body


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory, port: int) -> AsyncIterator[Bench]:
    reviews, ratings = ports("reviews", port, 9080, 9081), ports("ratings", port, 8000)
    reviews["spec"]["ports"][1]["targetPort"] = 1  # closed
    pods = [pod("reviews", version, address) for version, address in (("v1", V1), ("v2", V2), ("v3", V3))]
    base = [reviews, ratings, *pods, pod("ratings", "v1", RATINGS), subsets("reviews", "v1", "v2", "v3")]
    async with mesh_bench(tmp_path_factory.mktemp("routing"), *base) as found:
        yield found


def rule(subset: str = "v1", **fields: Any) -> dict[str, Any]:
    return {"route": [to("reviews", subset)], **fields}


def at(path: str, rule: dict[str, Any]) -> dict[str, Any]:
    return {"match": [{"uri": {"prefix": path}}], **rule}


async def rules(bench: Bench, *found: dict[str, Any], reports: int = 0) -> None:
    await bench.apply(virtual_service("reviews", *found))
    assert len(bench.reports()) == reports, bench.reports()


SHARES = [
    ((90, 10), (0.9, 0.1)),
    ((50, 30, 20), (0.5, 0.3, 0.2)),
    ((1, 2), (1 / 3, 2 / 3)),
    ((300, 100), (0.75, 0.25)),
]


@pytest.mark.parametrize(("weights", "expected"), SHARES)
async def test_weights_are_kept_whatever_their_sum(
    bench: Bench, weights: tuple[int, ...], expected: tuple[float, ...]
):
    entries = [to("reviews", f"v{n}", weight=weight) for n, weight in enumerate(weights, start=1)]
    await rules(bench, {"route": entries})
    requests = 600
    found = await bench.spread(f"{URL}/", requests)
    assert found.total() == requests
    for address, share in zip((V1, V2, V3), expected, strict=False):
        # Six standard deviations: wrong less than once in a hundred million runs.
        assert abs(found[address] - requests * share) < 6 * sqrt(requests * share * (1 - share)), found


async def test_a_weight_of_zero_gets_nothing(bench: Bench):
    entries = [to("reviews", "v1", weight=0), to("reviews", "v2", weight=1), to("reviews", "v3")]
    await rules(bench, {"route": entries})
    assert await bench.spread(f"{URL}/", 100) == {V2: 100}


async def test_a_single_destination_gets_everything_without_a_weight_and_even_with_zero(bench: Bench):
    await rules(bench, at("/zero", {"route": [to("reviews", "v2", weight=0)]}), rule("v3"))
    assert await bench.spread(f"{URL}/zero", 10) == {V2: 10}
    assert await bench.spread(f"{URL}/", 10) == {V3: 10}


async def test_a_rule_whose_weights_are_all_zero_is_left_out_and_reported(bench: Bench):
    entries = [to("reviews", "v1", weight=0), to("reviews", "v2", weight=0)]
    await rules(bench, {"route": entries}, rule("v3"), reports=1)
    assert (await bench.send(f"{URL}/")).by == V3


async def test_a_subset_is_the_pods_with_its_labels(bench: Bench):
    await rules(bench, *(at(f"/{v}", rule(v)) for v in ("v1", "v2", "v3")))
    assert [(await bench.send(f"{URL}/{v}")).by for v in ("v1", "v2", "v3")] == [V1, V2, V3]


async def test_a_subset_that_nobody_defines_answers_503(bench: Bench):
    await rules(bench, rule("v9"))
    assert (await bench.send(f"{URL}/")).status == 503


async def test_the_port_of_a_destination_is_the_one_written_else_that_of_the_request(bench: Bench):
    await rules(
        bench,
        at("/written", {"route": [to("reviews", "v1", 9080)]}),
        at("/other", {"route": [to("ratings", port=8000)]}),
        at("/only", {"route": [to("ratings")]}),
        rule("v2"),
    )
    assert (await bench.send("http://reviews:9081/written")).by == V1
    assert (await bench.send("http://reviews:9081/other")).by == RATINGS
    # Also where it is not a port of the service, whose only one is another: as with istiod.
    assert (await bench.send("http://reviews:9081/only")).status == 503
    assert (await bench.send("http://reviews:9080/")).by == V2
    assert (await bench.send("http://reviews:9081/")).status == 503  # that port is closed


async def test_another_host_may_be_the_destination(bench: Bench):
    await rules(bench, {"route": [to("ratings", port=8000)]})
    answer = await bench.send(f"{URL}/x")
    assert (answer.by, answer.seen["headers"]["host"]) == (RATINGS, "reviews:9080")


REDIRECTS = [
    ({"uri": "/b"}, "/a?x=1", 301, "http://reviews:9080/b?x=1"),
    ({"authority": "other"}, "/a?x=1", 301, "http://other/a?x=1"),
    ({"authority": "other:81"}, "/a", 301, "http://other:81/a"),
    ({"scheme": "https"}, "/a", 301, "https://reviews:9080/a"),
    ({"port": 8443}, "/a", 301, "http://reviews:8443/a"),
    ({"scheme": "https", "port": 443, "authority": "x"}, "/a", 301, "https://x/a"),
    ({"derivePort": "FROM_REQUEST_PORT", "authority": "x"}, "/a", 301, "http://x:9080/a"),
    ({"derivePort": "FROM_PROTOCOL_DEFAULT", "scheme": "https", "authority": "x"}, "/a", 301, "https://x/a"),
    *(({"uri": "/b", "redirectCode": code}, "/a", code, None) for code in (301, 302, 303, 307, 308)),
]


@pytest.mark.parametrize(("redirect", "path", "status", "location"), REDIRECTS)
async def test_redirects(
    bench: Bench, redirect: dict[str, Any], path: str, status: int, location: str | None
):
    await rules(bench, {"redirect": redirect})
    answer = await bench.send(f"{URL}{path}")
    assert (answer.status, answer.by) == (status, "")
    assert location is None or answer.headers["location"] == location


async def test_a_redirect_that_envoy_cannot_send_is_left_out_and_reported(bench: Bench):
    await rules(bench, {"redirect": {"uri": "/b", "redirectCode": 304}}, rule("v1"), reports=1)
    assert (await bench.send(f"{URL}/a")).by == V1


async def test_direct_responses(bench: Bench):
    await rules(
        bench,
        at("/text", {"directResponse": {"status": 418, "body": {"string": "short and stout"}}}),
        at("/bytes", {"directResponse": {"status": 200, "body": {"bytes": "aGVsbG8="}}}),
        {"directResponse": {"status": 503}, "headers": {"response": {"set": {"x-why": "closed"}}}},
    )
    text, octets, empty = [await bench.send(f"{URL}{path}") for path in ("/text", "/bytes", "/")]
    assert (text.status, text.text, text.by) == (418, "short and stout", "")
    assert (octets.status, octets.text) == (200, "hello")
    assert (empty.status, empty.text, empty.headers["x-why"]) == (503, "", "closed")


REWRITES = [
    ({"prefix": "/old"}, {"uri": "/new"}, "/old/a?q=1", "/new/a?q=1"),
    ({"prefix": "/old"}, {"uri": "/new"}, "/older", "/newer"),
    ({"prefix": "/old"}, {"uri": "/"}, "/old/a", "//a"),
    ({"prefix": "/old/"}, {"uri": "/"}, "/old/a", "/a"),
    ({"exact": "/old"}, {"uri": "/new"}, "/old?q=1", "/new?q=1"),
    ({"regex": "/o.*"}, {"uri": "/new"}, "/old/a?q=1", "/new?q=1"),
    (
        {"prefix": "/r/"},
        {"uriRegexRewrite": {"match": "^/r/([^/]+)/(.*)$", "rewrite": r"/x/\2/\1"}},
        "/r/a/b?q=1",
        "/x/b/a?q=1",
    ),
    ({"prefix": "/r"}, {"uriRegexRewrite": {"match": "a", "rewrite": "b"}}, "/r/a/a", "/r/b/b"),
]


@pytest.mark.parametrize(("uri", "rewrite", "asked", "received"), REWRITES)
async def test_paths_are_rewritten_and_the_query_stays(
    bench: Bench, uri: dict[str, Any], rewrite: dict[str, Any], asked: str, received: str
):
    await rules(bench, {"match": [{"uri": uri}], **rule(rewrite=rewrite)})
    assert (await bench.send(f"{URL}{asked}")).seen["path"] == received


def setting(value: str) -> dict[str, Any]:
    return {"headers": {"request": {"set": {"Host": value}}}}


async def test_the_authority_is_rewritten_and_of_several_the_rewrite_wins_then_the_rule(bench: Bench):
    one = {"route": [{**to("reviews", "v1"), **setting("destination")}]}
    several = {
        "route": [
            {**to("reviews", "v1", weight=1), **setting("weighted")},
            to("reviews", "v1", weight=0),
            to("reviews", "v2", weight=0),
        ]
    }
    await rules(
        bench,
        at("/rewrite", {**one, **setting("rule"), "rewrite": {"authority": "rewrite"}}),
        at("/rule", {**one, **setting("rule")}),
        at("/destination", one),
        at("/weighted", several),
        rule(),
    )
    for wanted in ("rewrite", "rule", "destination", "weighted"):
        assert (await bench.send(f"{URL}/{wanted}")).seen["headers"]["host"] == wanted
    assert (await bench.send(f"{URL}/")).seen["headers"]["host"] == "reviews:9080"


async def test_request_headers_are_set_added_and_removed(bench: Bench):
    request = {"set": {"x-set": "new"}, "add": {"x-add": "b"}, "remove": ["x-drop"]}
    await rules(bench, rule(headers={"request": request}))
    sent = {"x-set": "old", "x-add": "a", "x-drop": "1", "x-keep": "1"}
    seen = (await bench.send(f"{URL}/", headers=sent)).seen["headers"]
    assert seen["x-set"] == "new"
    assert seen["x-add"] == "a,b"
    assert "x-drop" not in seen
    assert seen["x-keep"] == "1"


async def test_response_headers_are_set_added_and_removed(bench: Bench):
    response = {"set": {"x-upstream": "new"}, "add": {"x-more": "1"}, "remove": ["x-served-by"]}
    await rules(bench, rule(headers={"response": response}))
    answer = await bench.send(f"{URL}/")
    assert (answer.headers["x-upstream"], answer.headers["x-more"], answer.by) == ("new", "1", "")


async def test_headers_are_removed_before_any_is_added(bench: Bench):
    await rules(bench, rule(headers={"request": {"add": {"x-a": "new"}, "remove": ["x-a"]}}))
    assert (await bench.send(f"{URL}/", headers={"x-a": "old"})).seen["headers"]["x-a"] == "new"


async def test_of_two_sets_that_of_a_single_destination_wins_and_with_weights_that_of_the_rule(bench: Bench):
    ours = {"headers": {"request": {"set": {"x-a": "rule"}}, "response": {"set": {"x-b": "rule"}}}}
    theirs = {
        "headers": {
            "request": {"set": {"x-a": "destination", "x-only": "1"}},
            "response": {"set": {"x-b": "destination"}},
        }
    }
    entry = {**to("reviews", "v1", weight=1), **theirs}
    weighted = [entry, {**to("reviews", "v2", weight=1), **theirs}]
    await rules(bench, at("/one", {"route": [entry], **ours}), {"route": weighted, **ours})
    for path, winner in (("/one", "destination"), ("/several", "rule")):
        answer = await bench.send(f"{URL}{path}")
        assert answer.seen["headers"]["x-a"] == winner
        assert answer.headers["x-b"] == winner
        assert answer.seen["headers"]["x-only"] == "1"


async def test_headers_of_a_weighted_destination_are_its_own(bench: Bench):
    def entry(version: str) -> dict[str, Any]:
        return {
            **to("reviews", version, weight=1),
            "headers": {"response": {"set": {"x-version": version}}},
        }

    await rules(bench, {"route": [entry("v1"), entry("v2")]})
    answers = [await bench.send(f"{URL}/") for _ in range(20)]
    assert {(a.by, a.headers["x-version"]) for a in answers} == {(V1, "v1"), (V2, "v2")}


async def seen_by(bench: Bench, subset: str, path: str) -> int:
    """Ask an upstream how often a path came."""
    await bench.apply(virtual_service("reviews", rule(subset)))
    return int((await bench.send(f"{URL}/__seen")).seen.get(path, 0))


async def mirrored(bench: Bench, path: str, count: int, **fields: Any) -> tuple[int, int]:
    """Send requests to v1; return how many of them v2 and v3 got as well."""
    await rules(bench, rule("v1", **fields))
    assert await bench.spread(f"{URL}{path}", count) == {V1: count}
    seen: Counter[str] = Counter()

    async def settled() -> bool:
        before = dict(seen)
        seen.update({v: await seen_by(bench, v, path) - seen[v] for v in ("v2", "v3")})
        return before == dict(seen)

    await eventually(settled)
    return seen["v2"], seen["v3"]


def copy(subset: str, **fields: Any) -> dict[str, Any]:
    return {"destination": {"host": "reviews", "subset": subset}, **fields}


async def test_a_mirror_gets_a_copy_of_every_request_and_the_client_sees_none_of_it(bench: Bench):
    found = await mirrored(bench, "/mirror/all", 30, mirror={"host": "reviews", "subset": "v2"})
    assert found == (30, 0)


async def test_a_mirror_gets_its_percentage(bench: Bench):
    mirror = {"host": "reviews", "subset": "v2"}
    half, _ = await mirrored(bench, "/mirror/half", 200, mirror=mirror, mirrorPercentage={"value": 50})
    assert 60 <= half <= 140
    older, _ = await mirrored(bench, "/mirror/older", 200, mirror=mirror, mirrorPercent=50)
    assert 60 <= older <= 140
    none, _ = await mirrored(bench, "/mirror/none", 30, mirror=mirror, mirrorPercentage={"value": 0})
    assert none == 0


async def test_several_mirrors_each_get_their_share(bench: Bench):
    found = await mirrored(bench, "/mirror/both", 30, mirrors=[copy("v2"), copy("v3")])
    assert found == (30, 30)
    mirrors = [copy("v2", percentage={"value": 100}), copy("v3", percentage={"value": 0})]
    assert await mirrored(bench, "/mirror/one", 30, mirrors=mirrors) == (30, 0)


async def test_a_mirror_that_fails_does_not_hurt(bench: Bench):
    await rules(bench, rule("v1", mirror={"host": "reviews", "port": {"number": 9081}}))
    assert await bench.spread(f"{URL}/", 20) == {V1: 20}


CORS = {
    "allowOrigins": [{"exact": "https://ui.example"}, {"prefix": "https://a."}, {"regex": "https://b[0-9]"}],
    "allowMethods": ["GET", "POST"],
    "allowHeaders": ["x-a"],
    "exposeHeaders": ["x-b"],
    "maxAge": "1m",
    "allowCredentials": True,
}


async def preflight(bench: Bench, origin: str) -> Any:
    headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    return await bench.send(f"{URL}/", method="OPTIONS", headers=headers)


async def test_a_preflight_from_an_allowed_origin_is_answered_by_the_mesh(bench: Bench):
    await rules(bench, rule(corsPolicy=CORS))
    answer = await preflight(bench, "https://ui.example")
    wanted = {
        "origin": "https://ui.example",
        "methods": "GET,POST",
        "headers": "x-a",
        "credentials": "true",
    }
    assert (answer.status, answer.by) == (200, "")
    assert {name: answer.headers[f"access-control-allow-{name}"] for name in wanted} == wanted
    assert answer.headers["access-control-max-age"] == "60"
    for origin in ("https://a.b", "https://b1"):
        assert (await preflight(bench, origin)).headers["access-control-allow-origin"] == origin


async def test_a_request_from_an_allowed_origin_is_told_so(bench: Bench):
    await rules(bench, rule(corsPolicy=CORS))
    answer = await bench.send(f"{URL}/", headers={"Origin": "https://ui.example"})
    assert answer.by == V1
    assert answer.headers["access-control-allow-origin"] == "https://ui.example"
    assert answer.headers["access-control-expose-headers"] == "x-b"
    other = await bench.send(f"{URL}/", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


async def test_a_preflight_from_another_origin_goes_to_the_service_unless_it_is_to_be_ignored(bench: Bench):
    await rules(bench, rule(corsPolicy=CORS))
    forwarded = await preflight(bench, "https://evil.example")
    assert forwarded.by == V1
    await rules(bench, rule(corsPolicy={**CORS, "unmatchedPreflights": "IGNORE"}))
    ignored = await preflight(bench, "https://evil.example")
    assert (ignored.status, ignored.by) == (200, "")
    assert "access-control-allow-origin" not in ignored.headers


async def test_the_older_list_of_origins_still_counts(bench: Bench):
    await rules(bench, rule(corsPolicy={"allowOrigin": ["*"]}))
    answer = await preflight(bench, "https://any.example")
    assert answer.headers["access-control-allow-origin"] == "https://any.example"
