"""Failures that other tools do not see, from a proxy's own counters to the verdict: K9, K12 and K13."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from fakes.builders import NOON, a_rollout, a_target

from gitmesh.decide.questions import questions
from gitmesh.decide.verdict import judge
from gitmesh.model.metrics import RequestQuery, ValueQuery
from gitmesh.model.rollout import Outcome
from gitmesh.observe.errors import MetricsError
from gitmesh.observe.http import Endpoint
from gitmesh.observe.prometheus import PrometheusMetrics
from gitmesh.observe.scrape import ScrapeMetrics

pytestmark = pytest.mark.anyio
HOST = "reviews.default.svc.cluster.local"


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)


def counter(count: int, **labels: str) -> str:
    all_labels = {
        "reporter": "source",
        "destination_service": HOST,
        "destination_version": "v2",
        "response_code": "200",
        "grpc_response_status": "",
        **labels,
    }
    return "istio_requests_total{" + ",".join(f'{k}="{v}"' for k, v in all_labels.items()) + f"}} {count}\n"


async def verdict(monkeypatch: pytest.MonkeyPatch, *counters: str) -> Outcome:
    """Judge a rollout by what a proxy counts in five seconds."""
    clock, texts = Clock(), iter(["", "".join(counters)])

    async def get(_: Endpoint) -> bytes:
        return next(texts).encode()

    monkeypatch.setattr(Endpoint, "get", get)
    metrics = ScrapeMetrics(
        "http://127.0.0.1:15090/stats/prometheus",
        timeout=timedelta(seconds=1),
        response_bytes_max=1_000_000,
        clock=clock,
    )
    record = a_rollout()
    (question,) = questions(record, NOON)
    assert isinstance(question, RequestQuery)
    await metrics.count(question)
    clock.seconds = 5
    return judge(record, {question: await metrics.count(question)}, NOON).outcome


async def test_k9_two_series_where_one_was_meant_are_refused_and_none_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    two = [{"metric": {"pod": pod}, "value": [1700000000, value]} for pod, value in (("a", "0"), ("b", "9"))]
    answer = {"status": "success", "data": {"resultType": "vector", "result": two}}

    async def request(*_: Any) -> tuple[int, bytes]:
        return 200, json.dumps(answer).encode()

    monkeypatch.setattr(Endpoint, "request", request)
    metrics = PrometheusMetrics(
        "http://prometheus:9090", timeout=timedelta(seconds=1), response_bytes_max=10_000
    )
    with pytest.raises(MetricsError, match="2 series where one was meant"):
        await metrics.value(ValueQuery("checkout_failed"))
    with pytest.raises(MetricsError, match="labels that were not asked for: pod"):
        await metrics.count(RequestQuery(a_target(), timedelta(seconds=5)))


async def test_k12_a_canary_that_cannot_be_reached_fails_though_it_reports_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = counter(100, response_code="503", response_flags="UH")
    assert await verdict(monkeypatch, refused) is Outcome.FAIL
    reset = counter(100, response_code="0", response_flags="UF")
    assert await verdict(monkeypatch, reset) is Outcome.FAIL


async def test_k12_what_the_canary_itself_reports_is_not_counted_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent, taken = counter(100, response_code="503"), counter(5000, reporter="destination")
    assert await verdict(monkeypatch, sent + taken) is Outcome.FAIL


async def test_k13_a_grpc_failure_on_http_200_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    failed, fine = counter(10, grpc_response_status="14"), counter(90, grpc_response_status="0")
    assert await verdict(monkeypatch, failed, fine) is Outcome.FAIL
    caller = counter(10, grpc_response_status="5")  # not found: the caller's, not the server's
    assert await verdict(monkeypatch, caller, fine) is Outcome.PASS
