"""What GitMesh says a rule does to a request is what Envoy does: paths, rewrites, redirects, headers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from fakes.mesh_objects import pod, resource_set, service, to, virtual_service
from fakes.real_envoy import Bench, mesh_bench
from fakes.upstreams import upstreams

from gitmesh.istio.matching.outcome import Forward, Redirect
from gitmesh.istio.matching.request import read_request
from gitmesh.istio.matching.traffic import Traffic

pytestmark = [pytest.mark.real, pytest.mark.anyio]

UPSTREAM = "127.83.9.1"
PARTS = (
    "a",
    "A",
    "%61",
    "%2F",
    "%2f",
    "..",
    ".",
    "%2e%2e",
    "%2E",
    "",
    "~",
    "%7E",
    "%7e",
    "b c",
    "'",
    ":",
    "@",
    "!",
)
PARTS += (
    "%20",
    "%zz",
    "%",
    "$",
    "&",
    "+",
    ";",
    "=",
    ",",
    "(",
    ")",
    "*",
    "|",
    "^",
    "%C3%A4",
    "%25",
    "[",
    "]",
    "\\",
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    with upstreams(UPSTREAM) as port:
        base = [service("reviews"), pod("reviews", "v1", UPSTREAM, port=port)]
        base[0]["spec"]["ports"][0]["targetPort"] = "http"
        async with mesh_bench(tmp_path_factory.mktemp("effects"), *base) as found:
            yield found


async def agree(bench: Bench, rule: dict[str, Any], url: str, *headers: tuple[str, str]) -> None:
    """Hold what we say against what came: the path upstream, or the location."""
    body = virtual_service("reviews", rule)
    traffic = Traffic(resource_set((*bench.base, body)))
    outcome = traffic.answer(request := read_request("GET", url, headers)).action.outcome
    await bench.send(url, headers=list(headers))  # a worker of Envoy takes routes a moment later
    answer = await bench.send(url, headers=list(headers))
    match outcome:
        case Redirect(status, location):
            assert (answer.status, answer.headers.get("location")) == (status, location), url
        case Forward():
            query = request.target.partition("?")[1:]
            wanted = outcome.rewrite.path or request.path + "".join(query)
            assert answer.status == 200, (url, answer)
            assert answer.seen["path"] == wanted, url
            if outcome.rewrite.authority:
                assert answer.seen["headers"]["host"] == outcome.rewrite.authority, url
        case other:
            pytest.fail(f"{url}: {other}, Envoy answers {answer.status}")


async def test_a_path_arrives_as_it_is_said(bench: Bench):
    rule = {"route": [to("reviews")]}
    await bench.apply(virtual_service("reviews", rule))
    random = Random(7)
    for _ in range(150):
        path = "/".join(random.choice(PARTS) for _ in range(random.randint(1, 5)))
        if "%zz" in path or path.endswith("%") or "%/" in path or " " in path:
            continue  # not a path of HTTP
        query = random.choice(("", "", "?x=1", "?a=%61&b=..", "?"))
        await agree(bench, rule, f"http://reviews:9080/{path}{query}")


REWRITES = [
    ({"uri": {"prefix": "/reviews"}}, {"uri": "/"}),
    ({"uri": {"prefix": "/reviews/"}}, {"uri": "/"}),
    ({"uri": {"prefix": "/Reviews"}, "ignoreUriCase": True}, {"uri": "/new"}),
    ({"uri": {"exact": "/reviews/1"}}, {"uri": "/one"}),
    ({"uri": {"regex": "/rev.*"}}, {"uri": "/any"}),
    ({"headers": {"x": {"exact": "1"}}}, {"uri": "/base/"}),
    ({"uri": {"prefix": "/reviews"}}, {"uriRegexRewrite": {"match": r"/(\w+)/(\d)", "rewrite": r"/\2/\1"}}),
    ({"uri": {"prefix": "/reviews"}}, {"authority": "other.test"}),
    ({"uri": {"prefix": "/reviews"}}, {"uri": "/a", "authority": "other.test"}),
]


@pytest.mark.parametrize(("match", "rewrite"), REWRITES)
async def test_a_rewrite_does_what_is_said(bench: Bench, match: dict[str, Any], rewrite: dict[str, Any]):
    rule = {"match": [match], "rewrite": rewrite, "route": [to("reviews")]}
    await bench.apply(virtual_service("reviews", rule))
    await agree(bench, rule, "http://reviews:9080/reviews/1", ("x", "1"))
    if "exact" not in match.get("uri", {}):
        await agree(bench, rule, "http://reviews:9080/reviews/1/b?q=%61", ("x", "1"))


@pytest.mark.parametrize(
    "redirect",
    [
        {"uri": "/new"},
        {"uri": "/new?fixed=1"},
        {"authority": "other.test"},
        {"authority": "other.test:81", "redirectCode": 302},
        {"scheme": "https"},
        {"scheme": "https", "port": 443},
        {"port": 8080},
        {"port": 80},
        {"port": 8443, "scheme": "https", "uri": "/x"},
        {"derivePort": "FROM_REQUEST_PORT", "authority": "other.test"},
        {"derivePort": "FROM_PROTOCOL_DEFAULT"},
        {"redirectCode": 308},
    ],
)
async def test_a_redirect_leads_where_is_said(bench: Bench, redirect: dict[str, Any]):
    rule = {"redirect": redirect}
    await bench.apply(virtual_service("reviews", rule))
    for path in ("/", "/a?x=1", "/a/../b"):
        await agree(bench, rule, f"http://reviews:9080{path}")


@pytest.mark.parametrize("field", ["headers", "withoutHeaders"])
@pytest.mark.parametrize("wanted", ["jason", "bob", "jason,bob"])
async def test_a_repeated_header_is_compared_as_is_said(bench: Bench, wanted: str, field: str):
    rules = [
        {"match": [{field: {"user": {"exact": wanted}}}], "redirect": {"uri": "/taken"}},
        {"redirect": {"uri": "/left"}},
    ]
    body = virtual_service("reviews", *rules)
    await bench.apply(body)
    headers = [("user", "jason"), ("user", "bob")]
    ours = Traffic(resource_set((*bench.base, body))).answer(
        read_request("GET", "http://reviews:9080/", headers)
    )
    answer = await bench.send("http://reviews:9080/", headers=headers)
    assert isinstance(ours.action.outcome, Redirect)
    assert answer.headers["location"] == ours.action.outcome.location
