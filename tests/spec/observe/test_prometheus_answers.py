"""What PrometheusMetrics asks, and what it makes of every kind of answer."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gitmesh.model.metrics import LatencyQuery, RequestQuery, RequestStats
from gitmesh.model.rollout import Target
from gitmesh.observe.errors import MetricsError
from gitmesh.observe.http import Endpoint
from gitmesh.observe.prometheus import PrometheusMetrics, expression

pytestmark = pytest.mark.anyio
QUERY = RequestQuery(Target(host="reviews.default.svc.cluster.local", version="v2"), timedelta(seconds=5))


def series(value: str, code: str | None = "200", grpc: str | None = None, **more: str) -> dict[str, Any]:
    labels = {"response_code": code, "grpc_response_status": grpc} | more
    return {"metric": {k: v for k, v in labels.items() if v is not None}, "value": [1700000000.5, value]}


def vector(*result: Any, **more: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "vector", "result": list(result)}, **more}


async def counted(monkeypatch: pytest.MonkeyPatch, body: Any, status: int = 200) -> RequestStats:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(*_: Any) -> tuple[int, bytes]:
        return status, raw

    monkeypatch.setattr(Endpoint, "request", answer)
    metrics = PrometheusMetrics(
        "http://user:SECRET@prometheus:9090/prefix?token=SECRET",
        timeout=timedelta(seconds=1),
        response_bytes_max=1000,
    )
    return await metrics.count(QUERY)


async def test_no_series_means_no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await counted(monkeypatch, vector()) == RequestStats(0, 0, expression(QUERY))


async def test_server_errors_missing_answers_and_grpc_failures_are_failures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stats = await counted(
        monkeypatch,
        vector(
            series("90", "200"),
            series("1", "500"),
            series("2", "503", "14"),
            series("4", "0"),
            series("8", "200", "14"),
            series("16", "200", "5"),
            series("32", "404"),
            series("64", None),
        ),
    )
    assert (stats.requests, stats.failed) == (217, 15)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (vector(series("NaN")), "nan is no count"),
        (vector(series("+Inf")), "inf is no count"),
        (vector(series("-1")), "no count"),
        (vector(series("x")), "form of an instant vector"),
        (vector({"metric": {}}), "form of an instant vector"),
        (vector("x"), "form of an instant vector"),
        (vector(series("1"), series("2")), "several series where one was meant"),
        (vector(series("1", pod="a")), "labels that were not asked for: pod"),
        (vector(series("1"), warnings=["store gateway unavailable"]), "partial: store gateway"),
        (vector(series("1"), isPartial=True), "the answer is partial"),
        (vector(series("1"), warnings=5), "warnings are no list"),
        (vector({"metric": [], "value": [0, "1"]}), "form of an instant vector"),
        ({"status": "success", "data": {"resultType": "matrix", "result": []}}, "no vector"),
        ({"status": "success"}, "no vector"),
        ([], "without JSON"),
        (b"<html>", "without JSON"),
    ],
)
async def test_an_odd_answer_is_no_answer(monkeypatch: pytest.MonkeyPatch, body: Any, told: str) -> None:
    with pytest.raises(MetricsError, match=told) as caught:
        await counted(monkeypatch, body)
    assert caught.value.retryable
    assert "Prometheus at http://prometheus:9090/prefix" in str(caught.value)
    assert "SECRET" not in str(caught.value)


async def test_a_remark_about_the_query_is_no_partial_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    remark = ["PromQL info: metric might not be a counter"]
    assert (await counted(monkeypatch, vector(series("3"), warnings=remark, infos=remark))).requests == 3


@pytest.mark.parametrize(("status", "retryable"), [(400, False), (401, False), (422, True), (503, True)])
async def test_a_refusal_repeats_what_prometheus_said(
    monkeypatch: pytest.MonkeyPatch, status: int, retryable: bool
) -> None:
    body = {"status": "error", "errorType": "bad_data", "error": "parse error"}
    with pytest.raises(MetricsError, match=f"HTTP {status}: bad_data: parse error") as caught:
        await counted(monkeypatch, body, status)
    assert caught.value.retryable is retryable


def test_a_hostile_label_value_stays_a_value() -> None:
    target = Target(host='a"} or vector(1) #', version="x\\\n")
    text = expression(RequestQuery(target, timedelta(milliseconds=1500)))
    assert 'destination_service="a\\"} or vector(1) #"' in text
    assert 'destination_version="x\\\\\\n"' in text
    assert "[1500ms]" in text


def test_copies_are_counted_by_those_who_get_them() -> None:
    for copies, reporter in ((False, "source"), (True, "destination")):
        for query in (replace(QUERY, copies=copies), LatencyQuery(QUERY.target, QUERY.window, copies=copies)):
            assert set(re.findall(r'reporter="(\w+)"', expression(query))) == {reporter}


def test_an_address_that_is_no_url_is_refused_at_once() -> None:
    with pytest.raises(MetricsError, match="must be an http or https URL"):
        PrometheusMetrics("prometheus:9090", timeout=timedelta(seconds=1), response_bytes_max=1)
