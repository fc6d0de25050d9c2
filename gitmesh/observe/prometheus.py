"""Request statistics from a Prometheus HTTP API.

Stage: observe (effect). One query for requests and failures together, so that both are of one moment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from gitmesh.model.metrics import RequestQuery, RequestStats
from gitmesh.model.rollout import Target
from gitmesh.observe.errors import MetricsError
from gitmesh.observe.http import Endpoint
from gitmesh.observe.requests import ENVOY_NAME, ISTIO_NAME, is_failure

_CODE, _GRPC = "response_code", "grpc_response_status"
SERIES_MAX = 10_000


class PrometheusMetrics:
    """Asks one Prometheus, or anything that speaks its query API. `headers` may carry a login."""

    def __init__(
        self,
        url: str,
        *,
        timeout: timedelta,
        response_bytes_max: int,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._endpoint = Endpoint(
            "Prometheus",
            url.rstrip("/"),
            timeout=timeout,
            response_bytes_max=response_bytes_max,
            headers=headers,
        )

    async def prepare(self, query: RequestQuery) -> None:
        """Do nothing: a Prometheus has been looking all the time."""

    async def count(self, query: RequestQuery) -> RequestStats:
        """Count the requests to one target. No series at all means none. Raises MetricsError."""
        text = expression(query)
        # POST: a query may be longer than a URL. Source: prometheus.io, HTTP API, "Instant queries".
        status, body = await self._endpoint.request("POST", "/api/v1/query", {"query": text})
        requests, failed = self._counts(self._result(status, body))
        return RequestStats(requests, failed, text)

    async def close(self) -> None:
        """Release connections."""
        await self._endpoint.close()

    def _result(self, status: int, body: bytes) -> list[Any]:
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, Mapping):
            raise self._odd(f"HTTP {status} without JSON; is this address the root of its API?")
        if status != 200 or answer.get("status") != "success":
            told = f"{answer.get('errorType', '')}: {answer.get('error', '')}"[:300]
            raise MetricsError(
                f"{self._endpoint.where}: HTTP {status}: {told}", retryable=status not in (400, 401, 403, 404)
            )
        # Thanos and others answer with what they have and a warning; a part is no ground for a verdict.
        warnings = [str(w) for w in answer.get("warnings") or () if not str(w).startswith("PromQL info")]
        if warnings:
            raise self._odd(f"the answer may be partial: {'; '.join(warnings)[:300]}")
        data = answer.get("data")
        result = data.get("result") if isinstance(data, Mapping) else None
        if (
            not isinstance(data, Mapping)
            or data.get("resultType") != "vector"
            or not isinstance(result, list)
        ):
            raise self._odd("the answer is no vector")
        return result

    def _counts(self, result: list[Any]) -> tuple[float, float]:
        if len(result) > SERIES_MAX:
            raise self._odd(f"{len(result)} series where response codes were meant")
        seen: set[tuple[str, str]] = set()
        requests = failed = 0.0
        for item in result:
            code, grpc, value = self._series(item)
            if (code, grpc) in seen:
                raise self._odd("several series where one was meant")
            seen.add((code, grpc))
            requests += value
            failed += value if is_failure(code, grpc) else 0.0
        return requests, failed

    def _series(self, item: Any) -> tuple[str, str, float]:
        try:
            labels, value = item["metric"], float(item["value"][1])
            unknown = set(labels) - {_CODE, _GRPC}
        except (TypeError, ValueError, KeyError, IndexError):
            raise self._odd("a series has not the form of an instant vector") from None
        if unknown:
            raise self._odd(f"series with labels that were not asked for: {', '.join(sorted(unknown))[:200]}")
        if not math.isfinite(value) or value < 0:
            raise self._odd(f"{value} is no count of requests")
        return str(labels.get(_CODE, "")), str(labels.get(_GRPC, "")), value

    def _odd(self, problem: str) -> MetricsError:
        return MetricsError(f"{self._endpoint.where}: {problem}")


def expression(query: RequestQuery) -> str:
    """Return the PromQL for a query: one series per response code and gRPC status."""
    window = f"{max(1, round(query.window.total_seconds() * 1000))}ms"
    return " or ".join(
        f"sum by ({_CODE}, {_GRPC}) ({_growth(name + _selector(query.target), window)})"
        for name in (ISTIO_NAME, ENVOY_NAME)
    )


def _growth(series: str, window: str) -> str:
    """Return by how much a counter grew in the window.

    Not `increase` alone: it needs two scrapes inside the window, so that a short window sees nothing; it
    guesses at the edges; and it never sees the first value of a series, which is where the first failures
    of a canary are. So: now minus then, where there was a then. A counter that is lower than then, or that is
    new although its process was scraped already then, has grown by all that it shows. What remains are
    processes that came or went meanwhile: what `increase` makes of them.
    Source: prometheus.io, Querying, "offset modifier", "increase"; `up`: "Automatically generated labels".
    """
    scraped_then = f"(up offset {window} == 1)"
    return (
        f"({series} - {series} offset {window} >= 0)"
        f" or ({series} and on (job, instance) {scraped_then})"
        f" or increase({series}[{window}])"
    )


def _selector(target: Target) -> str:
    matchers = {"reporter": "source", "destination_service": target.host}
    if target.version:
        matchers["destination_version"] = target.version
    return "{" + ",".join(f"{name}={_quoted(value)}" for name, value in matchers.items()) + "}"


def _quoted(value: str) -> str:
    """Write a PromQL string. Source: prometheus.io, Querying, "String literals": the escapes of Go."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
