"""Request statistics read from Envoy's own exposition, without a Prometheus.

Stage: observe (effect).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

import anyio

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
from gitmesh.observe.exposition import MalformedError, Sample, labels, samples
from gitmesh.observe.growth import Growth, SeriesKey, Totals
from gitmesh.observe.http import Endpoint
from gitmesh.observe.requests import BUCKET_NAMES, ISTIO_BUCKET, ISTIO_NAME, NAMES, is_failure

SERIES_MAX = 50_000
ANCHOR_SECONDS_MAX = 120.0  # so long after an anchor it is asked for the first time, or not exactly

Destination = tuple[str, str]  # destination_service, destination_version
Key = tuple[Destination, float]  # and what is counted: ALL, FAILED, or how many milliseconds it took at most
ALL, FAILED = -1.0, -2.0


class Clock(Protocol):
    """The part of the clock that scraping needs."""

    def now(self) -> datetime:
        """Return the time."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""


class ScrapeMetrics:
    """Scrapes one endpoint when it is asked, and answers from the difference to an older scrape.

    Questions at one moment share one scrape. Histograms are read once somebody has asked for them.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: timedelta,
        response_bytes_max: int,
        clock: Clock,
        access: Access | None = None,
    ) -> None:
        self._endpoint = Endpoint(
            "the metrics endpoint",
            url,
            timeout=timeout,
            response_bytes_max=response_bytes_max,
            access=access,
        )
        self._clock = clock
        self.requests: Growth[Key] = Growth()
        self._latency: Growth[Key] | None = None
        self._series: dict[str, tuple[Key, ...]] = {}  # by the text of the labels, so that each is read once
        self._longest = 0.0  # seconds; the longest window that was asked for
        self._turn = anyio.Lock()
        self._finished = 0
        self._failure: MetricsError | None = None

    async def prepare(self, query: Query) -> None:
        """Take the scrape that the next answers are compared with. Raises MetricsError."""
        if not isinstance(query, ValueQuery):
            self._expect(query)
            await self._scrape_together()

    async def count(self, query: RequestQuery) -> RequestStats:
        """Count the requests to one target. Raises MetricsError."""
        self._expect(query)
        await self._scrape_together()
        base = self._base(self.requests, query)
        host, version = query.target.host, query.target.version
        newest = self.requests.newest
        return RequestStats(
            requests=_sum(newest, base, host, version, ALL),
            failed=_sum(newest, base, host, version, FAILED),
            query=self._words(ISTIO_NAME, query, newest.at - base.at),
        )

    async def latency(self, query: LatencyQuery) -> LatencyStats:
        """Count the requests to one target by how long they took. Raises MetricsError."""
        self._expect(query)
        await self._scrape_together()
        assert self._latency is not None
        base, newest = self._base(self._latency, query), self._latency.newest
        host, version = query.target.host, query.target.version
        bounds = sorted({bound for (service, _), bound in newest.counts if service == host})
        buckets = tuple((bound, _sum(newest, base, host, version, bound)) for bound in bounds)
        return LatencyStats(buckets, self._words(ISTIO_BUCKET, query, newest.at - base.at))

    async def value(self, query: ValueQuery) -> ValueStats:
        """Refuse: nothing here evaluates a query. Raises MetricsError."""
        raise MetricsError(
            f"{self._endpoint.where} answers no queries; give --prometheus or another provider",
            retryable=False,
        )

    async def close(self) -> None:
        """Release connections."""
        await self._endpoint.close()

    def _expect(self, query: RequestQuery | LatencyQuery) -> None:
        seconds = query.window.total_seconds()
        if query.since is not None:
            seconds = min(seconds, ANCHOR_SECONDS_MAX)
        self._longest = max(self._longest, seconds)
        if isinstance(query, LatencyQuery) and self._latency is None:
            self._latency = Growth()

    def _base(self, growth: Growth[Key], query: RequestQuery | LatencyQuery) -> Totals[Key]:
        if query.since is None:
            return growth.window(query.window.total_seconds())
        ago = (self._clock.now() - query.since).total_seconds()
        return growth.anchored(query.since, self._clock.monotonic() - ago)

    def _words(self, name: str, query: RequestQuery | LatencyQuery, seconds: float) -> str:
        host, version = query.target.host, query.target.version
        return (
            f'growth of {name}{{destination_service="{host}",destination_version="{version}"}}'
            f" in {seconds:.1f} s, {self._endpoint.where}"
        )

    async def _scrape_together(self) -> None:
        """Scrape, or share the outcome of the scrape that is under way."""
        finished = self._finished
        async with self._turn:
            # One that was under way when the first question for histograms came did not read them.
            blank = self._latency is not None and not self._latency.history
            if self._finished == finished or blank:
                try:
                    await self._scrape()
                    self._failure = None
                except MetricsError as error:
                    self._failure = error
                self._finished += 1
            if self._failure is not None:
                raise self._failure

    async def _scrape(self) -> None:
        body = await self._endpoint.get()
        names = NAMES | BUCKET_NAMES if self._latency is not None else NAMES
        try:
            found = list(samples(body, names))
            if len(found) > SERIES_MAX:
                raise MalformedError(f"more than {SERIES_MAX} series")
            counts = _preferred((s for s in found if s.name in NAMES), ISTIO_NAME)
            buckets = _preferred((s for s in found if s.name in BUCKET_NAMES), ISTIO_BUCKET)
            self._series = {raw: self._series.get(raw) or _keys(raw) for _, raw in (*counts, *buckets)}
        except MalformedError as error:
            raise MetricsError(f"{self._endpoint.where}: {error}") from error
        at = self._clock.monotonic()
        for growth, values in ((self.requests, counts), (self._latency, buckets)):
            if growth is not None:
                growth.take(at, values, {series: self._series[series[1]] for series in values})
                growth.prune(self._longest)


def _preferred(found: Iterable[Sample], istio_name: str) -> dict[SeriesKey, float]:
    """Return the value of each series; of one name only, should the counter be there under both."""
    values: dict[SeriesKey, float] = {}
    for sample in found:
        key = (sample.name, sample.raw_labels)
        if key in values:
            raise MalformedError("several series where one was meant")
        values[key] = sample.value
    if any(name == istio_name for name, _ in values):
        return {key: value for key, value in values.items() if key[0] == istio_name}
    return values


def _keys(raw_labels: str) -> tuple[Key, ...]:
    """Return what a series counts for; nothing when the destination's side counts it again."""
    known = labels(raw_labels)
    if known.get("reporter", "source") != "source":
        return ()
    destination = (known.get("destination_service", ""), known.get("destination_version", ""))
    if "le" in known:
        return ((destination, _bound(known["le"])),)
    if is_failure(known.get("response_code", ""), known.get("grpc_response_status", "")):
        return (destination, ALL), (destination, FAILED)
    return ((destination, ALL),)


def _bound(text: str) -> float:
    try:
        bound = float(text)
    except ValueError:
        raise MalformedError(f"le is no number: {text[:40]!r}") from None
    if math.isnan(bound) or bound < 0:
        raise MalformedError(f"le is no duration: {text[:40]!r}")
    return bound


def _sum(newest: Totals[Key], base: Totals[Key], host: str, version: str, what: float) -> float:
    if version:
        return newest.since(base, ((host, version), what))
    destinations = {of for of, counted in newest.counts if of[0] == host and counted == what}
    return sum(newest.since(base, (of, what)) for of in destinations)
