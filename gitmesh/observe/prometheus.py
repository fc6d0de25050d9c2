"""Request statistics from a Prometheus HTTP API.

Stage: observe (effect). One query for requests and failures together, so that both are of one moment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from gitmesh.model.metrics import (
    LatencyQuery,
    LatencyStats,
    Query,
    RequestQuery,
    RequestStats,
    ValueQuery,
    ValueStats,
)
from gitmesh.observe.access import Access
from gitmesh.observe.errors import MetricsError
from gitmesh.observe.http import Endpoint
from gitmesh.observe.requests import ENVOY_BUCKET, ENVOY_NAME, ISTIO_BUCKET, ISTIO_NAME, is_failure

_CODE, _GRPC, _BOUND = "response_code", "grpc_response_status", "le"
SERIES_MAX = 10_000


class PrometheusMetrics:
    """Asks one Prometheus, or anything that speaks its query API: Thanos, Mimir, VictoriaMetrics."""

    def __init__(
        self,
        url: str,
        *,
        timeout: timedelta,
        response_bytes_max: int,
        access: Access | None = None,
    ) -> None:
        self._endpoint = Endpoint(
            "Prometheus",
            url.rstrip("/"),
            timeout=timeout,
            response_bytes_max=response_bytes_max,
            access=access,
        )

    async def prepare(self, query: Query) -> None:
        """Do nothing: a Prometheus has been looking all the time."""

    async def count(self, query: RequestQuery) -> RequestStats:
        """Count the requests to one target. No series at all means none. Raises MetricsError."""
        text = expression(query)
        requests, failed = self._counts(await self._ask(text, _moment(query)))
        return RequestStats(requests, failed, text)

    async def latency(self, query: LatencyQuery) -> LatencyStats:
        """Count the requests to one target by how long they took. Raises MetricsError."""
        text = expression(query)
        buckets: dict[float, float] = {}
        for item in await self._ask(text, _moment(query)):
            (bound,), count = self._series(item, (_BOUND,))
            try:
                limit = float(bound)
            except ValueError:
                raise self._odd(f"le is no number: {bound[:40]!r}") from None
            if limit in buckets or math.isnan(limit):
                raise self._odd("several series where one was meant")
            buckets[limit] = count
        if buckets and math.inf not in buckets:
            raise self._odd("the histogram has no bucket for all requests")
        return LatencyStats(tuple(sorted(buckets.items())), text)

    async def value(self, query: ValueQuery) -> ValueStats:
        """Return the number that a query is for: a scalar, or exactly one series. Raises MetricsError."""
        result = await self._ask(query.text, {})
        if not result:
            raise self._odd("no series; the query found nothing")
        if len(result) > 1:
            raise self._odd(f"{len(result)} series where one was meant; aggregate them, for example with sum")
        try:
            value = float(result[0]["value"][1])
        except (TypeError, ValueError, KeyError, IndexError):
            raise self._odd("a series has not the form of an instant vector") from None
        if not math.isfinite(value):
            raise self._odd(f"{value} is no number")
        return ValueStats(value, query.text)

    async def _ask(self, text: str, at: Mapping[str, str]) -> list[Any]:
        # POST: a query may be longer than a URL. Source: prometheus.io, HTTP API, "Instant queries".
        status, body = await self._endpoint.request("POST", "/api/v1/query", {"query": text, **at})
        return self._result(status, body)

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
        warned = answer.get("warnings") or ()
        if not isinstance(warned, list | tuple):
            raise self._odd("its warnings are no list")
        warnings = [str(w) for w in warned if not str(w).startswith("PromQL info")]
        if warnings:
            raise self._odd(f"the answer may be partial: {'; '.join(warnings)[:300]}")
        # Source: docs.victoriametrics.com, cluster version, "Cluster availability": its word for the same.
        if answer.get("isPartial"):
            raise self._odd("the answer is partial: part of its storage is away")
        data = answer.get("data")
        result = data.get("result") if isinstance(data, Mapping) else None
        kind = data.get("resultType") if isinstance(data, Mapping) else None
        if kind == "scalar":
            return [{"metric": {}, "value": result}]
        if kind != "vector" or not isinstance(result, list):
            raise self._odd("the answer is no vector")
        if len(result) > SERIES_MAX:
            raise self._odd(f"{len(result)} series, where a few were meant")
        return result

    def _counts(self, result: list[Any]) -> tuple[float, float]:
        seen: set[tuple[str, ...]] = set()
        requests = failed = 0.0
        for item in result:
            codes, value = self._series(item, (_CODE, _GRPC))
            if codes in seen:
                raise self._odd("several series where one was meant")
            seen.add(codes)
            requests += value
            failed += value if is_failure(*codes) else 0.0
        return requests, failed

    def _series(self, item: Any, names: tuple[str, ...]) -> tuple[tuple[str, ...], float]:
        """Return the labels that were asked for, and the count."""
        try:
            labels, value = item["metric"], float(item["value"][1])
            known = [str(labels.get(name, "")) for name in names]
            unknown = set(labels) - set(names)
        except (AttributeError, TypeError, ValueError, KeyError, IndexError):
            raise self._odd("a series has not the form of an instant vector") from None
        if unknown:
            raise self._odd(f"series with labels that were not asked for: {', '.join(sorted(unknown))[:200]}")
        if not math.isfinite(value) or value < 0:
            raise self._odd(f"{value} is no count of requests")
        return tuple(known), value

    def _odd(self, problem: str) -> MetricsError:
        return MetricsError(f"{self._endpoint.where}: {problem}")


def expression(query: RequestQuery | LatencyQuery) -> str:
    """Return the PromQL for a query: one series per response code and gRPC status, or per bucket."""
    window = f"{max(1, round(query.window.total_seconds() * 1000))}ms"
    then = f"offset {window}" if query.since is None else f"@ {query.since.timestamp():.3f}"
    if isinstance(query, LatencyQuery):
        names, by = (ISTIO_BUCKET, ENVOY_BUCKET), _BOUND
    else:
        names, by = (ISTIO_NAME, ENVOY_NAME), f"{_CODE}, {_GRPC}"
    return " or ".join(f"sum by ({by}) ({_growth(name + _selector(query), window, then)})" for name in names)


def _moment(query: RequestQuery | LatencyQuery) -> Mapping[str, str]:
    """Return when to evaluate: what is counted from one moment on must not be counted up to it as well."""
    if query.since is None:
        return {}
    return {"time": f"{(query.since + query.window).timestamp():.3f}"}


def _growth(series: str, window: str, then: str) -> str:
    """Return by how much a counter grew in the window.

    Not `increase` alone: it needs two scrapes inside the window, so that a short window sees nothing; it
    guesses at the edges; and it never sees the first value of a series, which is where the first failures
    of a canary are. So: now minus then, where there was a then. A counter that is lower than then, or that is
    new although its process was scraped already then, has grown by all that it shows. What remains are
    processes that came or went meanwhile: what `increase` makes of them.
    Source: prometheus.io, Querying, "offset modifier", "@ modifier", "increase"; `up`: "Automatically
    generated labels".
    """
    scraped_then = f"(up {then} == 1)"
    return (
        f"({series} - {series} {then} >= 0)"
        f" or ({series} and on (job, instance) {scraped_then})"
        f" or increase({series}[{window}])"
    )


def _selector(query: RequestQuery | LatencyQuery) -> str:
    # Who sends a copy does not count it; who gets it does.
    # Source: Envoy, router: copies pass no HTTP filters of the client; istio.io, Istio Standard Metrics.
    target = query.target
    matchers = {
        "reporter": "destination" if query.copies else "source",
        "destination_service": target.host,
    }
    if target.version:
        matchers["destination_version"] = target.version
    return "{" + ",".join(f"{name}={_quoted(value)}" for name, value in matchers.items()) + "}"


def _quoted(value: str) -> str:
    """Write a PromQL string. Source: prometheus.io, Querying, "String literals": the escapes of Go."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
