"""Providers: logins from files and environment, certificates, Datadog, a web endpoint, and who is asked."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fakes.builders import NOON, a_target, seconds
from fakes.certificates import Authority
from pydantic import ValidationError

from gitmesh.cli.listed import read_providers
from gitmesh.model.config import MetricsConfig
from gitmesh.model.metrics import LatencyQuery, RequestQuery, ValueQuery
from gitmesh.model.providers import Provider
from gitmesh.observe.datadog import of_target
from gitmesh.observe.errors import MetricsError
from gitmesh.observe.providers import ProvidedMetrics

pytestmark = pytest.mark.anyio
SECRET = "s3cr3t-token"
ASKED = RequestQuery(a_target(), seconds(60), NOON)


class Clock:
    def now(self) -> Any:
        return NOON + seconds(60)

    def monotonic(self) -> float:
        return 60.0


class Server:
    """Answers every request with the next of `answers`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, dict[str, str], str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                server.asked.append((self.path, dict(self.headers), body))
                status, answer = server.answers.pop(0)
                raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_POST = do_GET  # noqa: N815 (http.server asks for this name)

            def log_message(self, *_: object) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    thread = threading.Thread(target=found.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    found.http.shutdown()
    thread.join()
    found.http.server_close()


def opened(*providers: dict[str, Any]) -> ProvidedMetrics:
    found = ProvidedMetrics(Clock())
    given = tuple(Provider.model_validate(p) for p in providers)
    assert found.configure(MetricsConfig(providers=given, response_bytes_max=100_000)) == ()
    return found


VECTOR = {"status": "success", "data": {"resultType": "vector", "result": []}}


@pytest.mark.parametrize(
    ("login", "header"),
    [
        ({"bearer": {"env": "TOKEN"}}, ("Authorization", f"Bearer {SECRET}")),
        (
            {"basic": {"username": "me", "password": {"env": "TOKEN"}}},
            ("Authorization", "Basic bWU6czNjcjN0LXRva2Vu"),
        ),
        ({"headers": {"X-Scope-OrgID": {"env": "TOKEN"}}}, ("X-Scope-OrgID", SECRET)),
    ],
)
async def test_a_login_goes_into_each_request(
    server: Server, monkeypatch: pytest.MonkeyPatch, login: Any, header: tuple[str, str]
):
    monkeypatch.setenv("TOKEN", SECRET)
    server.answers = [(200, VECTOR)]
    metrics = opened({"name": "main", "kind": "prometheus", "url": server.url, **login})
    await metrics.count(ASKED)
    await metrics.close()
    assert server.asked[0][1][header[0]] == header[1]


async def test_a_secret_in_a_file_is_read_anew_when_it_was_rotated(server: Server, tmp_path: Path):
    file = tmp_path / "token"
    metrics = opened({"name": "main", "kind": "prometheus", "url": server.url, "bearer": {"file": str(file)}})
    for token in ("one", "two"):
        file.write_text(f"{token}\n")
        server.answers = [(200, VECTOR)]
        await metrics.count(ASKED)
    await metrics.close()
    assert [asked[1]["Authorization"] for asked in server.asked] == ["Bearer one", "Bearer two"]


async def test_what_cannot_be_read_or_is_refused_is_told_without_the_secret(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "token"
    metrics = opened({"name": "main", "kind": "prometheus", "url": server.url, "bearer": {"file": str(file)}})
    with pytest.raises(MetricsError, match=r"the bearer of provider main: .*token cannot be read"):
        await metrics.count(ASKED)
    file.write_text(f"{SECRET}\nX-Injected: 1")
    with pytest.raises(MetricsError, match="more than one line") as lines:
        await metrics.count(ASKED)
    file.write_text(SECRET)
    server.answers = [(401, b"no")]
    with pytest.raises(MetricsError, match="HTTP 401: it refuses our login") as refused:
        await metrics.count(ASKED)
    await metrics.close()
    assert SECRET not in f"{lines.value}{refused.value}{metrics!r}{caplog.text}"


async def test_certificates_that_cannot_be_used_are_told(tmp_path: Path):
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    metrics = opened(
        {"name": "main", "kind": "prometheus", "url": "https://127.0.0.1:1", "tls": {"caFile": str(bad)}}
    )
    with pytest.raises(MetricsError, match="the certificates of provider main cannot be used"):
        await metrics.count(ASKED)


async def test_own_authority_and_client_certificate_are_used_and_followed_when_they_change(
    server: Server, tmp_path: Path
):
    authority = Authority()
    server.http.socket = authority.serving(
        authority.issue("metrics.example.com"), asks_clients=True
    ).wrap_socket(server.http.socket, server_side=True, do_handshake_on_connect=False)
    ca = tmp_path / "ca.pem"
    ca.write_text(authority.pem)
    mine, key = authority.issue("gitmesh").files(tmp_path)
    url = server.url.replace("http:", "https:")
    tls = {"caFile": str(ca), "serverName": "metrics.example.com"}
    mutual = {**tls, "certFile": str(mine), "keyFile": str(key)}
    stranger = opened({"name": "main", "kind": "prometheus", "url": url, "tls": tls})
    with pytest.raises(MetricsError):
        await stranger.count(ASKED)
    await stranger.close()
    metrics = opened({"name": "main", "kind": "prometheus", "url": url, "tls": mutual})
    server.answers = [(200, VECTOR)]
    assert (await metrics.count(ASKED)).requests == 0
    ca.write_text(Authority().pem)
    os.utime(ca, (1, 1))
    with pytest.raises(MetricsError, match="certificate verify failed"):
        await metrics.count(ASKED)
    await metrics.close()


async def test_a_policy_chooses_a_provider_by_name_and_else_the_first_is_asked(server: Server):
    other = {"name": "other", "kind": "web", "url": f"{server.url}/other"}
    metrics = opened({"name": "main", "kind": "web", "url": f"{server.url}/main"}, other)
    server.answers = [(200, {"requests": 1, "failed": 0})] * 2
    await metrics.count(ASKED)
    await metrics.count(RequestQuery(a_target(), seconds(60), NOON, "other"))
    assert [asked[0] for asked in server.asked] == ["/main", "/other"]
    with pytest.raises(MetricsError, match="no metrics provider third; there are: main, other"):
        await metrics.value(ValueQuery("x", "third"))
    await metrics.close()


async def test_a_prometheus_is_asked_from_a_moment_to_a_moment(server: Server):
    server.answers = [(200, VECTOR)]
    metrics = opened({"name": "main", "kind": "prometheus", "url": server.url})
    await metrics.count(ASKED)
    await metrics.close()
    form = parse_qs(server.asked[0][2])
    assert form["time"] == [f"{NOON.timestamp() + 60:.3f}"]
    assert f"@ {NOON.timestamp():.3f}" in form["query"][0]
    assert "offset" not in form["query"][0]


async def test_a_prometheus_answers_a_query_with_exactly_one_number(server: Server):
    metrics = opened({"name": "main", "kind": "prometheus", "url": server.url})

    def vector(*values: str) -> dict[str, Any]:
        result = [{"metric": {"pod": str(i)}, "value": [0, v]} for i, v in enumerate(values)]
        return {"status": "success", "data": {"resultType": "vector", "result": result}}

    scalar = {"status": "success", "data": {"resultType": "scalar", "result": [0, "7"]}}
    server.answers = [(200, vector("0.5")), (200, scalar)]
    assert [(await metrics.value(ValueQuery("q"))).value for _ in range(2)] == [0.5, 7]
    for answer, told in ((vector(), "no series"), (vector("1", "2"), "2 series where one was meant")):
        server.answers = [(200, answer)]
        with pytest.raises(MetricsError, match=told):
            await metrics.value(ValueQuery("q"))
    server.answers = [(200, vector("NaN"))]
    with pytest.raises(MetricsError, match="nan is no number"):
        await metrics.value(ValueQuery("q"))
    await metrics.close()


async def test_a_prometheus_answers_with_the_buckets_of_a_histogram(server: Server):
    result = [{"metric": {"le": le}, "value": [0, count]} for le, count in (("+Inf", "10"), ("500", "8"))]
    server.answers = [(200, {"status": "success", "data": {"resultType": "vector", "result": result}})]
    metrics = opened({"name": "main", "kind": "prometheus", "url": server.url})
    stats = await metrics.latency(LatencyQuery(a_target(), seconds(60), NOON))
    assert (stats.requests, stats.slower_than(500)) == (10, 2)
    assert "istio_request_duration_milliseconds_bucket" in stats.query
    await metrics.close()


DATADOG = {
    "name": "dd",
    "kind": "datadog",
    "headers": {"DD-API-KEY": {"env": "TOKEN"}},
    "requests": "sum:mesh.requests{version:$version}.as_count()",
    "failed": "sum:mesh.failed{version:$version}.as_count()",
}


async def test_a_datadog_counts_with_the_queries_of_its_configuration(
    server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TOKEN", SECRET)

    def series(*points: float | None) -> dict[str, Any]:
        begin = NOON.timestamp() * 1000
        pairs = [[begin + 20_000 * i, p] for i, p in enumerate(points)]
        return {"status": "ok", "series": [{"pointlist": pairs}]}

    metrics = opened({**DATADOG, "url": server.url})
    server.answers = [(200, {"status": "ok", "series": []}), (200, series(10, None, 20))]
    stats = await metrics.count(ASKED)
    assert (stats.requests, stats.failed) == (30, 0)
    assert "failed" in server.asked[0][0], "what fails between two questions must not be more than there is"
    path, headers, _ = server.asked[1]
    asked = parse_qs(urlsplit(path).query)
    assert asked["query"] == ["sum:mesh.requests{version:v2}.as_count()"]
    assert int(asked["to"][0]) - int(asked["from"][0]) == 60
    assert headers["DD-API-KEY"] == SECRET
    server.answers = [(200, series(1, 2.5))]
    assert (await metrics.value(ValueQuery("avg:x{*}"))).value == 2.5
    server.answers = [(200, {"status": "ok", "series": [{}, {}]})]
    with pytest.raises(MetricsError, match="2 series where one was meant"):
        await metrics.value(ValueQuery("avg:x{*} by {pod}"))
    server.answers = [(429, {"errors": ["slow down"]})]
    with pytest.raises(MetricsError, match="slow down") as busy:
        await metrics.value(ValueQuery("avg:x{*}"))
    assert busy.value.retryable
    await metrics.close()


async def test_a_datadog_counts_no_request_in_two_windows(server: Server):
    """Its points are of 20 seconds, and a step begins in the middle of one."""
    point = {"status": "ok", "series": [{"pointlist": [[(NOON.timestamp() + 40) * 1000, 70]]}]}
    metrics = opened({**DATADOG, "url": server.url, "headers": {}})
    counts = []
    for since, window in ((0, 50), (50, 10)):
        server.answers = [(200, {"status": "ok", "series": []}), (200, point)]
        asked = RequestQuery(a_target(), seconds(window), NOON + seconds(since))
        counts.append((await metrics.count(asked)).requests)
    assert counts == [70, 0]
    await metrics.close()


async def test_copies_are_asked_for_where_a_provider_can_tell_them(server: Server):
    asked = replace(ASKED, copies=True)
    server.answers = [(200, {"requests": 1, "failed": 0})]
    web = opened({"name": "web", "kind": "web", "url": server.url})
    await web.count(asked)
    assert json.loads(server.asked[0][2])["copies"] is True
    await web.close()
    deaf = opened({**DATADOG, "url": server.url})
    with pytest.raises(MetricsError, match=r"is not asked for copies: write \$reporter"):
        await deaf.count(asked)
    await deaf.close()
    assert of_target("reporter:$reporter", ASKED.target, copies=True) == "reporter:destination"
    assert of_target("reporter:$reporter", ASKED.target) == "reporter:source"


async def test_a_web_endpoint_is_asked_in_json_and_answers_in_json(server: Server):
    metrics = opened({"name": "web", "kind": "web", "url": server.url})
    server.answers = [
        (200, {"requests": 120, "failed": 3}),
        (200, {"buckets": [[None, 120], [100, 90], [500, 118]]}),
        (200, {"value": 0.5}),
    ]
    assert (await metrics.count(ASKED)).failed == 3
    latency = await metrics.latency(LatencyQuery(a_target(), seconds(60), NOON))
    assert (latency.requests, latency.slower_than(500)) == (120, 2)
    assert (await metrics.value(ValueQuery("checkout"))).value == 0.5
    assert json.loads(server.asked[0][2]) == {
        "ask": "requests",
        "host": "reviews.default.svc.cluster.local",
        "namespace": "default",
        "subset": "v2",
        "version": "v2",
        "from": NOON.timestamp(),
        "to": NOON.timestamp() + 60,
    }
    assert json.loads(server.asked[2][2]) == {"ask": "value", "query": "checkout"}
    await metrics.close()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"requests": "many", "failed": 0}, "requests is no number"),
        ({"requests": 1}, "failed is no number"),
        ({"requests": True, "failed": 0}, "requests is no number"),
        ([1], "no JSON object"),
        (b"<html>", "no JSON object"),
    ],
)
async def test_an_odd_answer_is_an_error_that_says_where(server: Server, answer: Any, told: str):
    metrics = opened({"name": "web", "kind": "web", "url": server.url})
    server.answers = [(200, answer)]
    with pytest.raises(MetricsError, match=f"the metrics service at {server.url}: .*{told}"):
        await metrics.count(ASKED)
    await metrics.close()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "line 1: not valid YAML"),
        ("[]", "write a list below providers"),
        ("providers: [{name: a, kind: graphite, url: 'http://x'}]", "providers.0.kind: Input should be"),
        ("providers: [{name: a, kind: web, url: 'ftp://x'}]", "providers.0.url: a url begins with"),
        (
            "providers: [{name: a, kind: web, url: 'http://x'}, {name: a, kind: web, url: 'http://y'}]",
            "several providers are called a",
        ),
        (
            "providers: [{name: a, kind: web, url: 'http://x', bearer: {}}]",
            "providers.0.bearer: a secret is in a file or in an environment variable",
        ),
    ],
)
def test_a_file_of_providers_that_is_wrong_says_where(text: str, told: str):
    with pytest.raises(ValueError, match=told.replace(".", r"\.")):
        read_providers(text)


def test_a_file_of_providers_is_read():
    text = "providers:\n- {name: a, kind: prometheus, url: 'https://p', tls: {caFile: /ca.pem}}\n"
    (found,) = read_providers(text)
    assert (found.name, found.tls.ca_file) == ("a", "/ca.pem")


def test_a_certificate_needs_its_key():
    with pytest.raises(ValidationError, match="certFile and keyFile belong together"):
        Provider.model_validate(
            {"name": "a", "kind": "web", "url": "https://x", "tls": {"certFile": "/cert.pem"}}
        )
