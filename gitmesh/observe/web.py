"""Metrics from any web endpoint that answers in JSON: a small service between GitMesh and whatever there is.

Stage: observe (effect). One POST for each question, for example
`{"ask": "requests", "host": "...", "namespace": "...", "subset": "v2", "version": "v2", "from": 1700000000.0,
"to": 1700000060.0}`. `requests` is answered with `{"requests": 120, "failed": 3}`, `latency` with
`{"buckets": [[100, 90], [500, 118], [null, 120]]}` (milliseconds, how many took at most so long; null: all),
and `value`, which has a `query` instead of the target, with `{"value": 0.5}`.
"""

from __future__ import annotations

import math
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
from gitmesh.observe.access import Access
from gitmesh.observe.errors import MetricsError
from gitmesh.observe.http import Endpoint
from gitmesh.observe.json_answer import mapping, number

BUCKETS_MAX = 1_000


class Now(Protocol):
    """The part of the clock that is needed."""

    def now(self) -> datetime:
        """Return the time."""


class WebMetrics:
    """Asks one web endpoint."""

    def __init__(
        self,
        url: str,
        *,
        timeout: timedelta,
        response_bytes_max: int,
        clock: Now,
        access: Access | None = None,
    ) -> None:
        self._endpoint = Endpoint(
            "the metrics service", url, timeout=timeout, response_bytes_max=response_bytes_max, access=access
        )
        self._clock = clock

    async def prepare(self, query: Query) -> None:
        """Do nothing: each question says which time it is about."""

    async def count(self, query: RequestQuery) -> RequestStats:
        """Count the requests to one target. Raises MetricsError."""
        answer = await self._ask("requests", self._about(query))
        counts = [number(self._endpoint.where, answer.get(name), name) for name in ("requests", "failed")]
        return RequestStats(counts[0], counts[1], self._words("requests", query))

    async def latency(self, query: LatencyQuery) -> LatencyStats:
        """Count the requests to one target by how long they took. Raises MetricsError."""
        answer = await self._ask("latency", self._about(query))
        buckets = answer.get("buckets")
        if not isinstance(buckets, list) or len(buckets) > BUCKETS_MAX:
            raise MetricsError(f"{self._endpoint.where}: buckets is no list, or too long a one")
        found = sorted(self._bucket(bucket) for bucket in buckets)
        if len({bound for bound, _ in found}) < len(found) or (found and not math.isinf(found[-1][0])):
            raise MetricsError(
                f"{self._endpoint.where}: buckets need different bounds, and null for the last"
            )
        return LatencyStats(tuple(found), self._words("latency", query))

    async def value(self, query: ValueQuery) -> ValueStats:
        """Return the number that a query is for. Raises MetricsError."""
        answer = await self._ask("value", {"query": query.text})
        return ValueStats(number(self._endpoint.where, answer.get("value"), "value"), query.text)

    async def close(self) -> None:
        """Release connections."""
        await self._endpoint.close()

    def _about(self, query: RequestQuery | LatencyQuery) -> dict[str, Any]:
        end = query.since + query.window if query.since else self._clock.now()
        target = query.target
        return {
            "host": target.host,
            "namespace": [*target.host.split("."), ""][1],
            "subset": target.subset,
            "version": target.version,
            "from": round((end - query.window).timestamp(), 3),
            "to": round(end.timestamp(), 3),
            **({"copies": True} if query.copies else {}),
        }

    def _words(self, ask: str, query: RequestQuery | LatencyQuery) -> str:
        seconds = query.window.total_seconds()
        return (
            f"{ask} of {query.target.host} {query.target.version} in {seconds:.1f} s, {self._endpoint.where}"
        )

    async def _ask(self, ask: str, about: dict[str, Any]) -> Any:
        status, body = await self._endpoint.request("POST", json={"ask": ask, **about})
        return mapping(self._endpoint.where, status, body)

    def _bucket(self, bucket: Any) -> tuple[float, float]:
        if not isinstance(bucket, list) or len(bucket) != 2:
            raise MetricsError(f"{self._endpoint.where}: a bucket is no pair of bound and count")
        bound = math.inf if bucket[0] is None else number(self._endpoint.where, bucket[0], "a bound")
        return bound, number(self._endpoint.where, bucket[1], "a count")
