"""Whatever a metrics server answers: a number, or an error that says where. Never more, and nobody else."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest
from fakes.builders import NOON, a_rollout, a_target, seconds
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmesh.decide.questions import questions
from gitmesh.decide.verdict import judge, take_verdict
from gitmesh.model.analysis import Analysis, Mode
from gitmesh.model.config import MetricsConfig
from gitmesh.model.metric import Metric
from gitmesh.model.metrics import (
    LatencyQuery,
    LatencyStats,
    RequestQuery,
    RequestStats,
    ValueQuery,
    ValueStats,
)
from gitmesh.model.providers import Provider
from gitmesh.model.rollout import Outcome, RolloutRecord
from gitmesh.observe.errors import MetricsError
from gitmesh.observe.http import Endpoint
from gitmesh.observe.providers import ProvidedMetrics

pytestmark = pytest.mark.anyio
SECRET = "s3cr3t-token"
QUERIES = (
    RequestQuery(a_target(), seconds(60), NOON),
    LatencyQuery(a_target(), seconds(60), NOON),
    ValueQuery("sum(x)"),
)
TEMPLATE: dict[str, dict[str, Any]] = {
    "prometheus": {},
    "scrape": {},
    "datadog": {"requests": "sum:r{version:$version}", "failed": "sum:f{version:$version}"},
    "web": {},
}


class Clock:
    def now(self) -> Any:
        return NOON + seconds(60)

    def monotonic(self) -> float:
        return 60.0


def opened(kind: str, url: str, *, timeout: float = 5, **fields: Any) -> ProvidedMetrics:
    provider = Provider.model_validate({"name": "main", "kind": kind, "url": url, **TEMPLATE[kind], **fields})
    config = MetricsConfig(
        providers=(provider,), response_bytes_max=100_000, timeout=timedelta(seconds=timeout)
    )
    metrics = ProvidedMetrics(Clock())
    metrics.configure(config)
    return metrics


async def asked(metrics: ProvidedMetrics, query: Any) -> Any:
    """Return an answer or the error instead; anything else fails the test."""
    ask = {RequestQuery: metrics.count, LatencyQuery: metrics.latency, ValueQuery: metrics.value}[type(query)]
    try:
        return await ask(query)
    except MetricsError as error:
        return error


# Any JSON --------------------------------------------------------------------------------------------------

numbers = st.one_of(
    st.floats(),
    st.integers(),
    st.sampled_from(["NaN", "+Inf", "-1", "1e308", "9e999", "x", "", "0x1", "1_0"]),
)
leaves = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=5))
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
points = st.lists(st.one_of(anything, st.tuples(numbers, numbers)), max_size=3)
labels = st.dictionaries(st.sampled_from(["response_code", "grpc_response_status", "le", "pod"]), leaves)
series = st.one_of(anything, st.fixed_dictionaries({"metric": labels | anything, "value": points}))
answers = st.one_of(
    anything,
    st.fixed_dictionaries(
        {"status": st.just("success"), "warnings": st.one_of(st.just([]), anything)},
        optional={
            "data": st.fixed_dictionaries(
                {
                    "resultType": st.sampled_from(["vector", "scalar", "matrix"]),
                    "result": st.lists(series, max_size=3) | anything,
                }
            )
            | anything
        },
    ),
    st.fixed_dictionaries(
        {
            "status": st.just("ok"),
            "series": st.lists(st.fixed_dictionaries({"pointlist": points}), max_size=2),
        }
    ),
    st.fixed_dictionaries({"requests": numbers, "failed": numbers, "value": numbers, "buckets": points}),
)


def encoded(answer: Any) -> bytes:
    return json.dumps(answer).encode()  # with NaN and Infinity, which JSON does not have


@settings(max_examples=400, deadline=None)
@given(
    answers,
    st.sampled_from(["prometheus", "datadog", "web"]),
    st.sampled_from([200, 200, 200, 302, 422, 500]),
)
def test_any_json_is_a_number_or_an_error_and_never_a_bad_number_in_a_record(
    answer: Any, kind: str, status: int
):
    async def play() -> None:
        with pytest.MonkeyPatch.context() as patch:

            async def request(*_: Any, **__: Any) -> tuple[int, bytes]:
                return status, encoded(answer)

            patch.setattr(Endpoint, "request", request)
            metrics = opened(kind, "http://127.0.0.1:1")
            for query in QUERIES:
                found = await asked(metrics, query)
                if isinstance(found, MetricsError):
                    assert str(found).isprintable()
                    assert len(str(found)) < 1_000
                else:
                    judged_by(found)

    anyio.run(play)


def judged_by(stats: RequestStats | LatencyStats | ValueStats) -> None:
    """Put an answer to every kind of metric, in both modes: the record stays one that JSON can hold."""
    metrics = {
        RequestStats: (Metric(max=1.0), Metric(compare="stable")),
        LatencyStats: (Metric(name="latency-p99", max=5.0), Metric(name="latency-p9", compare="stable")),
        ValueStats: (Metric(name="x", query="q", max=1.0), Metric(name="y", query="q", compare="stable")),
    }[type(stats)]
    for mode in Mode:
        record = a_rollout(
            analysis=Analysis(mode=mode, metrics=metrics), started_at=NOON, baselines=(a_target("v1"),)
        )
        for second in (10, 20, 30):
            now = NOON + seconds(second)
            check = judge(record, dict.fromkeys(questions(record, now), stats), now)
            record = take_verdict(record, check)
        text = json.dumps(record.as_json(), allow_nan=False)
        assert RolloutRecord.model_validate_json(text).verdict == record.verdict


@pytest.mark.parametrize("count", [2.0**53 + 2, 1e100, 1e303, 1.7e308])
def test_more_requests_than_any_counter_counts_are_no_requests(count: float):
    record = a_rollout(analysis=Analysis(metrics=(Metric(max=1.0),)), started_at=NOON)
    now = NOON + seconds(5)
    stats = RequestStats(count, count, "q")
    check = judge(record, dict.fromkeys(questions(record, now), stats), now)
    assert (check.outcome, "not countable" in check.summary) == (Outcome.BLIND, True)


def test_a_rounding_error_does_not_blind_where_all_fail():
    record = a_rollout(analysis=Analysis(metrics=(Metric(max=1.0),)), started_at=NOON)
    now = NOON + seconds(5)
    stats = RequestStats(0.1 * 3 * 100, 30.000000000000007, "q")
    check = judge(record, dict.fromkeys(questions(record, now), stats), now)
    assert check.outcome is Outcome.FAIL


# A server that is no good ----------------------------------------------------------------------------------

Handler = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def a_server(handler: Handler) -> AsyncIterator[str]:
    """Serve bytes as they are; `handler` gets the head of each request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(await reader.readuntil(b"\r\n\r\n"), writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


KINDS = list(TEMPLATE)


async def question(kind: str, url: str, **fields: Any) -> Any:
    metrics = opened(kind, url, **fields)
    try:
        return await asked(metrics, QUERIES[0])
    finally:
        await metrics.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed_and_the_login_goes_nowhere_else(
    kind: str, status: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TOKEN", SECRET)
    elsewhere: list[bytes] = []

    async def other(head: bytes, writer: asyncio.StreamWriter) -> None:
        elsewhere.append(head)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with a_server(other) as target:

        async def away(head: bytes, writer: asyncio.StreamWriter) -> None:
            assert SECRET.encode() in head
            location = target.replace("127.0.0.1", "localhost")
            writer.write(
                f"HTTP/1.1 {status} Away\r\nLocation: {location}/\r\nContent-Length: 0\r\n\r\n".encode()
            )

        async with a_server(away) as url:
            found = await question(kind, url, bearer={"env": "TOKEN"})
    assert isinstance(found, MetricsError)
    assert f"HTTP {status}" in str(found)
    assert elsewhere == []


async def endless(head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
        await writer.drain()


async def bomb(head: bytes, writer: asyncio.StreamWriter) -> None:
    packed = gzip.compress(b" " * 50_000_000)
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed
    )


async def drip(head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def cut(head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"status"')


async def silent(head: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(10)


async def garbage(head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x1b[31mnonsense\r\n\r\n")


async def headers(head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: " + b"y" * 1000 + b"\r\n")
        await writer.drain()


async def compressed_nonsense(head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd")


async def html(head: bytes, writer: asyncio.StreamWriter) -> None:
    body = b"<html>\x1b]0;gotcha\x07 sign in</html>"
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )


BAD = {
    "endless": (endless, "above 100000 bytes"),
    "a bomb": (bomb, "above 100000 bytes"),
    "dripping": (drip, "no answer within 0.3 s"),
    "cut off": (cut, "is it running"),
    "silent": (silent, "no answer within 0.3 s"),
    "garbage": (garbage, "is it running"),
    "endless headers": (headers, "is it running"),
    "nonsense that is called compressed": (compressed_nonsense, "is it running"),
}


@pytest.mark.parametrize("kind", ["prometheus", "web"])
@pytest.mark.parametrize("bad", BAD)
async def test_a_bad_server_is_an_error_in_time_that_holds_no_secret(
    kind: str, bad: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TOKEN", SECRET)
    handler, told = BAD[bad]
    async with a_server(handler) as url:
        address = url.replace("http://", f"http://me:{SECRET}@") + f"/p?token={SECRET}"
        timeout = 0.3 if "no answer" in told else 5
        began = anyio.current_time()
        found = await question(kind, address, timeout=timeout, headers={"X-Key": {"env": "TOKEN"}})
        assert anyio.current_time() - began < 4
    assert isinstance(found, MetricsError)
    assert told in str(found)
    assert f"at {url}/p" in str(found)
    assert SECRET not in str(found)
    assert str(found).isprintable()


@pytest.mark.parametrize("kind", ["prometheus", "datadog", "web"])
async def test_a_page_for_people_is_no_answer(kind: str):
    async with a_server(html) as url:
        found = await question(kind, url)
    assert isinstance(found, MetricsError)
    assert re.search("JSON", str(found))


async def test_what_a_server_says_of_an_error_is_not_obeyed_by_a_terminal():
    async def says(head: bytes, writer: asyncio.StreamWriter) -> None:
        body = encoded({"status": "error", "errorType": "bad", "error": "\x1b[2J\u202e x\n" + "y" * 5000})
        writer.write(b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with a_server(says) as url:
        found = await question("prometheus", url)
    assert "bad:  [2J  x" in str(found)
    assert len(str(found)) < 500


@pytest.mark.parametrize("query", QUERIES, ids=["count", "latency", "value"])
async def test_a_great_many_series_are_refused_before_they_are_read(
    query: Any, monkeypatch: pytest.MonkeyPatch
):
    result = [{"metric": {"le": str(i), "response_code": str(i)}, "value": [0, "1"]} for i in range(10_001)]

    async def request(*_: Any, **__: Any) -> tuple[int, bytes]:
        return 200, encoded({"status": "success", "data": {"resultType": "vector", "result": result}})

    monkeypatch.setattr(Endpoint, "request", request)
    found = await asked(opened("prometheus", "http://127.0.0.1:1"), query)
    assert "10001 series" in str(found)


async def test_a_query_of_the_address_stays_behind_the_path_of_the_api():
    heads: list[bytes] = []

    async def keep(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n{}")

    async with a_server(keep) as url:
        for _ in range(2):
            await question("prometheus", f"{url}/prefix/?tenant=7")
    assert heads[0].startswith(b"POST /prefix/api/v1/query?tenant=7 HTTP")
    assert b"Cookie" not in heads[1]
