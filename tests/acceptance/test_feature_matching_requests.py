"""Each HTTP condition of a VirtualService takes the requests that it describes, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.mesh_objects import pod, service, subsets, to, virtual_service
from fakes.real_envoy import Bench, mesh_bench
from fakes.upstreams import upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.real]

V1, V2 = "127.0.51.1", "127.0.51.2"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with upstreams(V1, V2) as number:
        yield number


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory, port: int) -> AsyncIterator[Bench]:
    reviews = service("reviews", port)
    reviews["spec"]["ports"] = [
        {"name": "http", "port": 80, "targetPort": port},
        {"name": "http-two", "port": 9080, "targetPort": port},
    ]
    pods = [pod("reviews", "v1", V1), pod("reviews", "v2", V2)]
    directory: Path = tmp_path_factory.mktemp("matching")
    async with mesh_bench(directory, reviews, *pods, subsets("reviews", "v1", "v2")) as found:
        yield found


def two_ways(*matches: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Return rules that send what matches to v2, and all else to v1."""
    second = {"match": list(matches), "route": [to("reviews", "v2")]}
    return virtual_service("reviews", second, {"route": [to("reviews", "v1")]}, **spec)


# A condition, requests that it takes, requests that it leaves. A request: path, and `method` or headers.
CASES = {
    "uri exact": """
match: {uri: {exact: /exact}}
takes: [/exact, "/exact?x=1", /a/../exact, /./exact, /%65xact]
leaves: [/exact/, /exactly, /Exact, //exact, /]
""",
    "uri prefix": """
match: {uri: {prefix: /pre}}
takes: [/pre, /pre/x, /prefix, "/pre?q=1"]
leaves: [/Pre, /x/pre, /p]
""",
    "uri regex, wholly": """
match: {uri: {regex: "/r[0-9]+"}}
takes: [/r1, "/r12?q=1"]
leaves: [/r, /r12/x, /xr1, /R1]
""",
    "ignoreUriCase with exact": """
match: {uri: {exact: /CaSe}, ignoreUriCase: true}
takes: [/case, /CASE]
leaves: [/cases]
""",
    "ignoreUriCase with prefix": """
match: {uri: {prefix: /CaSe}, ignoreUriCase: true}
takes: [/case/x, /CASEx]
leaves: [/cas]
""",
    "ignoreUriCase does not reach regex": """
match: {uri: {regex: /CaSe}, ignoreUriCase: true}
takes: [/CaSe]
leaves: [/case]
""",
    "headers exact, name in any case and value as written": """
match: {headers: {End-User: {exact: jason}}}
takes: [{path: /, end-user: jason}, {path: /, END-USER: jason}]
leaves: [/, {path: /, end-user: Jason}, {path: /, end-user: jason2}]
""",
    "headers prefix": """
match: {headers: {x-group: {prefix: in-}}}
takes: [{path: /, x-group: in-1}, {path: /, x-group: in-}]
leaves: [/, {path: /, x-group: xin-1}]
""",
    "headers regex, wholly": """
match: {headers: {cookie: {regex: "^(.*?;)?(user=jason)(;.*)?$"}}}
takes: [{path: /, cookie: user=jason}, {path: /, cookie: a=b;user=jason;c=d}]
leaves: [/, {path: /, cookie: user=jasons}]
""",
    "headers presence": """
match: {headers: {x-there: {}}}
takes: [{path: /, x-there: "1"}, {path: /, x-there: ""}]
leaves: [/]
""",
    "headers presence, written as the regex *": """
match: {headers: {x-there: {regex: "*"}}}
takes: [{path: /, x-there: "1"}]
leaves: [/]
""",
    "withoutHeaders presence": """
match: {withoutHeaders: {x-old: {}}}
takes: [/, {path: /, x-other: "1"}]
leaves: [{path: /, x-old: "1"}, {path: /, x-old: ""}]
""",
    "withoutHeaders exact: absence passes too": """
match: {withoutHeaders: {x-old: {exact: "1"}}}
takes: [/, {path: /, x-old: "2"}]
leaves: [{path: /, x-old: "1"}]
""",
    "withoutHeaders prefix": """
match: {withoutHeaders: {x-old: {prefix: a}}}
takes: [/, {path: /, x-old: ba}]
leaves: [{path: /, x-old: ab}]
""",
    "withoutHeaders regex": """
match: {withoutHeaders: {x-old: {regex: "a+"}}}
takes: [/, {path: /, x-old: ab}]
leaves: [{path: /, x-old: aa}]
""",
    "queryParams exact": """
match: {queryParams: {canary: {exact: "1"}}}
takes: ["/?canary=1", "/x?a=2&canary=1"]
leaves: [/, "/?canary=2", "/?Canary=1", "/?canary=11"]
""",
    "queryParams prefix": """
match: {queryParams: {q: {prefix: a}}}
takes: ["/?q=ab", "/?q=a"]
leaves: [/, "/?q=ba"]
""",
    "queryParams regex, wholly": """
match: {queryParams: {q: {regex: "[a-c]+"}}}
takes: ["/?q=abc"]
leaves: [/, "/?q=abd"]
""",
    "queryParams presence": """
match: {queryParams: {q: {}}}
takes: ["/?q", "/?q=", "/?q=1"]
leaves: [/, "/?p=q"]
""",
    "queryParams: only the first of equal names, and not decoded": """
match: {queryParams: {q: {exact: a b}}}
takes: []
leaves: ["/?q=a%20b", "/?q=x&q=a%20b"]
""",
    "method": """
match: {method: {exact: PUT}}
takes: [{path: /, method: PUT}]
leaves: [/, {path: /, method: POST}]
""",
    "method regex": """
match: {method: {regex: GET|PUT}}
takes: [/, {path: /, method: PUT}]
leaves: [{path: /, method: DELETE}]
""",
    "scheme": """
match: {scheme: {exact: http}}
takes: [/]
leaves: []
""",
    "another scheme": """
match: {scheme: {exact: https}}
takes: []
leaves: [/]
""",
    "authority, as it was sent": """
match: {authority: {exact: reviews.default}}
takes: [{path: /, host: reviews.default}]
leaves: [/, {path: /, host: "reviews.default:9080"}, {path: /, host: Reviews.default}]
""",
    "authority prefix": """
match: {authority: {prefix: reviews.def}}
takes: [{path: /, host: "reviews.default:9080"}, {path: /, host: reviews.default.svc}]
leaves: [/]
""",
    "port": """
match: {port: 9080}
takes: [{path: /, host: "reviews:9080"}]
leaves: [/, {path: /, host: "reviews:80"}]
""",
    "AND within a block": """
match: {uri: {prefix: /both}, method: {exact: PUT}, headers: {a: {exact: "1"}}, queryParams: {q: {}}}
takes: [{path: "/both?q", method: PUT, a: "1"}]
leaves: [{path: /both, method: PUT, a: "1"}, {path: "/both?q", a: "1"}, {path: "/both?q", method: PUT}]
""",
}


async def taker(bench: Bench, request: str | dict[str, str]) -> str:
    how = {"path": request} if isinstance(request, str) else dict(request)
    path, method, host = how.pop("path"), how.pop("method", "GET"), how.pop("host", "reviews")
    answer = await bench.send(f"http://{host}{path}", method=method, headers={"Host": host, **how})
    assert answer.status == 200, (request, answer)
    return answer.by


@pytest.mark.parametrize("name", CASES)
async def test_a_condition_takes_what_it_describes_and_nothing_else(bench: Bench, name: str):
    case = yaml.safe_load(CASES[name])
    await bench.apply(two_ways(case["match"]))
    assert bench.reports() == []
    for request in case["takes"]:
        assert await taker(bench, request) == V2, request
    for request in case["leaves"]:
        assert await taker(bench, request) == V1, request


async def test_one_of_several_blocks_is_enough(bench: Bench):
    await bench.apply(two_ways({"uri": {"prefix": "/a"}}, {"headers": {"b": {}}}))
    assert [await taker(bench, r) for r in ("/a", {"path": "/", "b": "1"}, "/c")] == [V2, V2, V1]


async def test_the_first_rule_that_holds_takes_the_request_however_precise_a_later_one_is(bench: Bench):
    rules = [
        {"match": [{"uri": {"prefix": "/a"}}], "route": [to("reviews", "v2")]},
        {"match": [{"uri": {"exact": "/a/b"}}], "route": [to("reviews", "v1")]},
        {"route": [to("reviews", "v1")]},
        {"match": [{"uri": {"exact": "/c"}}], "route": [to("reviews", "v2")]},
    ]
    await bench.apply(virtual_service("reviews", *rules))
    assert [await taker(bench, path) for path in ("/a/b", "/a", "/c")] == [V2, V2, V1]


async def test_a_request_that_no_rule_takes_is_answered_404_and_never_reaches_the_service(bench: Bench):
    rule = {"match": [{"uri": {"prefix": "/known"}}], "route": [to("reviews", "v2")]}
    await bench.apply(virtual_service("reviews", rule))
    assert (await bench.send("http://reviews/known")).by == V2
    answer = await bench.send("http://reviews/unknown")
    assert (answer.status, answer.by) == (404, "")


async def test_rules_that_are_all_for_another_port_leave_a_port_to_the_service(bench: Bench):
    rule = {"match": [{"port": 9080}], "directResponse": {"status": 418}}
    await bench.apply(virtual_service("reviews", rule))
    assert (await bench.send("http://reviews:9080/")).status == 418
    assert (await bench.send("http://reviews/")).status == 200


async def test_a_condition_that_cannot_be_evaluated_takes_nothing_and_is_reported(bench: Bench):
    await bench.apply(two_ways({"headers": {"@request.auth.claims.group": {"exact": "a"}}}))
    assert await taker(bench, {"path": "/", "group": "a"}) == V1
    assert len(bench.reports()) == 1


def delegating(*roots: dict[str, Any]) -> dict[str, Any]:
    return virtual_service("reviews", *roots, {"route": [to("reviews", "v1")]})


def inner(name: str, *rules: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    body = virtual_service(name, *rules, hosts=[])
    body["metadata"] |= metadata
    return body


async def test_a_delegate_s_rules_hold_within_the_conditions_of_the_root(bench: Bench):
    root = {
        "match": [{"uri": {"prefix": "/reviews"}}],
        "delegate": {"name": "inner", "namespace": "team"},
        "headers": {"request": {"set": {"x-from": "root"}}},
    }
    far = {"host": "reviews.default.svc.cluster.local", "subset": "v2"}
    rules = [
        {"match": [{"uri": {"exact": "/reviews/2"}}], "route": [{"destination": far}]},
        {"match": [{"uri": {"prefix": "/other"}}], "route": [{"destination": far}]},
        {"match": [{"headers": {"v": {"exact": "2"}}}], "route": [{"destination": far}], "headers": {}},
    ]
    await bench.apply(delegating(root), inner("inner", *rules, namespace="team"))
    assert len(bench.reports()) == 1  # the rule for /other, which is outside of what the root hands on
    for request, version in (
        ("/reviews/2", V2),
        ("/other", V1),
        ({"path": "/reviews/9", "v": "2"}, V2),
        ({"path": "/x", "v": "2"}, V1),
        ("/reviews/9", V1),
    ):
        assert await taker(bench, request) == version, request
    inherited = await bench.send("http://reviews/reviews/2")
    assert inherited.seen["headers"]["x-from"] == "root"
    own = await bench.send("http://reviews/reviews/9", headers={"v": "2"})
    assert "x-from" not in own.seen["headers"]


async def test_a_missing_delegate_leaves_out_its_rule_only(bench: Bench):
    await bench.apply(delegating({"match": [{"uri": {"prefix": "/a"}}], "delegate": {"name": "gone"}}))
    assert await taker(bench, "/a") == V1
    assert "there is no VirtualService default/gone" in "".join(bench.reports())
