"""Metrics from Datadog's query API.

Stage: observe (effect). Source: docs.datadoghq.com, API reference, "Query timeseries points".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from gitmesh.model.metrics import (
    LatencyQuery,
    LatencyStats,
    Query,
    RequestQuery,
    RequestStats,
    ValueQuery,
    ValueStats,
)
from gitmesh.model.rollout import Target
from gitmesh.observe.access import Access
from gitmesh.observe.errors import MetricsError
from gitmesh.observe.http import Endpoint
from gitmesh.observe.json_answer import mapping, number

REPORTER = "$reporter"
VALUE_SECONDS = 300  # the newest point of so many seconds is the value of a query


class Now(Protocol):
    """The part of the clock that is needed."""

    def now(self) -> datetime:
        """Return the time."""


class DatadogMetrics:
    """Asks Datadog. It has no counters of its own names for a mesh: two queries say what is counted.

    The keys go in headers, as `DD-API-KEY` and `DD-APPLICATION-KEY`.
    """

    def __init__(
        self,
        url: str,
        *,
        requests: str,
        failed: str,
        timeout: timedelta,
        response_bytes_max: int,
        clock: Now,
        access: Access | None = None,
    ) -> None:
        self._endpoint = Endpoint(
            "Datadog",
            url.rstrip("/"),
            timeout=timeout,
            response_bytes_max=response_bytes_max,
            access=access,
        )
        self._requests = requests
        self._failed = failed
        self._clock = clock

    async def prepare(self, query: Query) -> None:
        """Do nothing: a Datadog has been looking all the time."""

    async def count(self, query: RequestQuery) -> RequestStats:
        """Count the requests to one target: the sum of all points. Raises MetricsError.

        A point is of the time that begins with it. One that begins before the window counts nothing: the
        window before has counted some of it.
        """
        if not self._requests:
            raise MetricsError(
                f"{self._endpoint.where} has no queries for requests: give the provider requests and failed",
                retryable=False,
            )
        if query.copies and not all(REPORTER in text for text in (self._requests, self._failed)):
            raise MetricsError(
                f"{self._endpoint.where} is not asked for copies: write {REPORTER} in requests and failed,"
                f" as in reporter:{REPORTER}",
                retryable=False,
            )
        end = query.since + query.window if query.since else self._clock.now()
        counts = []
        for text in (
            self._failed,
            self._requests,
        ):  # in this order: what fails in between must not exceed all
            asked = of_target(text, query.target, copies=query.copies)
            points = await self._points(asked, end - query.window, end)
            counts.append(sum(value for at, value in points if at >= (end - query.window).timestamp()))
        return RequestStats(counts[1], counts[0], asked)

    async def latency(self, query: LatencyQuery) -> LatencyStats:
        """Refuse: a Datadog answers with quantiles, from which shares cannot be had. Raises MetricsError."""
        raise MetricsError(
            f"{self._endpoint.where} has no buckets of durations; write a metric with a query",
            retryable=False,
        )

    async def value(self, query: ValueQuery) -> ValueStats:
        """Return the newest point of the one series that a query finds. Raises MetricsError."""
        end = self._clock.now()
        points = await self._points(query.text, end - timedelta(seconds=VALUE_SECONDS), end)
        if not points:
            raise MetricsError(f"{self._endpoint.where}: no series, or no point in {VALUE_SECONDS} s")
        return ValueStats(points[-1][1], query.text)

    async def close(self) -> None:
        """Release connections."""
        await self._endpoint.close()

    async def _points(self, text: str, begin: datetime, end: datetime) -> list[tuple[float, float]]:
        """Return the points of the one series, if there is one: (seconds since 1970, value)."""
        asked = {"from": str(int(begin.timestamp())), "to": str(int(end.timestamp())), "query": text}
        status, body = await self._endpoint.request("GET", "/api/v1/query", query=asked)
        where = self._endpoint.where
        answer = mapping(where, status, body)
        if answer.get("status") not in ("ok", None) or answer.get("error"):
            raise MetricsError(f"{where}: {str(answer.get('error'))[:300]}", retryable=False)
        series = answer.get("series")
        if not isinstance(series, list):
            raise MetricsError(f"{where}: the answer has no series")
        if len(series) > 1:
            raise MetricsError(f"{where}: {len(series)} series where one was meant; aggregate them")
        return [point for item in series for point in self._values(item)]

    def _values(self, item: Any) -> list[tuple[float, float]]:
        points = item.get("pointlist") if isinstance(item, Mapping) else None
        if not isinstance(points, list):
            raise MetricsError(f"{self._endpoint.where}: a series has no points")
        values = []
        for point in points:
            if not isinstance(point, list) or len(point) != 2:
                raise MetricsError(f"{self._endpoint.where}: a point is no pair of time and value")
            if point[1] is not None:
                at, value = (number(self._endpoint.where, part, "a point") for part in point)
                values.append((at / 1000, value))
        return values


def of_target(text: str, target: Target, *, copies: bool = False) -> str:
    """Return a query of the configuration for one target: its tag values, without what could end a tag."""
    reporter = "destination" if copies else "source"  # who sends a copy does not count it
    values = {"$host": target.host, "$version": target.version, "$subset": target.subset, REPORTER: reporter}
    for name, value in values.items():
        text = text.replace(name, "".join(c for c in value if c.isalnum() or c in "._-/:"))
    return text
