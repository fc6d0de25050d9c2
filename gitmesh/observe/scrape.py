"""Request statistics read from Envoy's own exposition, without a Prometheus.

Stage: observe (effect).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import anyio

from gitmesh.model.metrics import RequestQuery, RequestStats
from gitmesh.observe.errors import MetricsError
from gitmesh.observe.exposition import MalformedError, Sample, labels, samples
from gitmesh.observe.http import Endpoint
from gitmesh.observe.requests import ISTIO_NAME, NAMES, is_failure

SAMPLES_MAX = 1_024
SERIES_MAX = 50_000
STRETCH = 2.0  # a difference may span up to so many windows, never more

Destination = tuple[str, str]  # destination_service, destination_version
SeriesKey = tuple[str, str]  # name, labels as text


class Clock(Protocol):
    """The part of the clock that scraping needs."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""


@dataclass(frozen=True, slots=True)
class Series:
    """What the labels of one series say."""

    destination: Destination
    failure: bool
    counts: bool  # False: reported by the destination's side, so counted twice


@dataclass(frozen=True, slots=True)
class Totals:
    """All that was counted since the first scrape, at one moment."""

    at: float
    requests: Mapping[Destination, float] = field(default_factory=dict)
    failed: Mapping[Destination, float] = field(default_factory=dict)


class ScrapeMetrics:
    """Scrapes one endpoint when it is asked, and answers from the difference to an older scrape.

    A counter that became smaller, or that is new, began at zero: its process did. What an endpoint had
    counted before the first scrape belongs to no window. Questions at one moment share one scrape.
    """

    def __init__(self, url: str, *, timeout: timedelta, response_bytes_max: int, clock: Clock) -> None:
        self._endpoint = Endpoint(
            "the metrics endpoint", url, timeout=timeout, response_bytes_max=response_bytes_max
        )
        self._clock = clock
        self._history: list[Totals] = []
        self._values: dict[SeriesKey, float] = {}  # of the last scrape
        self._series: dict[str, Series] = {}  # by the text of the labels, so that each is read once
        self._longest = 0.0  # seconds; the longest window that was asked for
        self._turn = anyio.Lock()
        self._finished = 0
        self._failure: MetricsError | None = None

    async def prepare(self, query: RequestQuery) -> None:
        """Take the scrape that the next answers are compared with. Raises MetricsError."""
        self._longest = max(self._longest, query.window.total_seconds())
        await self._scrape_together()

    async def count(self, query: RequestQuery) -> RequestStats:
        """Count the requests to one target. Raises MetricsError."""
        window = query.window.total_seconds()
        self._longest = max(self._longest, window)
        await self._scrape_together()
        newest = self._history[-1]
        base = _base(self._history, window)
        host, version = query.target.host, query.target.version
        return RequestStats(
            requests=_sum(newest.requests, host, version) - _sum(base.requests, host, version),
            failed=_sum(newest.failed, host, version) - _sum(base.failed, host, version),
            query=f'growth of {ISTIO_NAME}{{destination_service="{host}",destination_version="{version}"}}'
            f" in {newest.at - base.at:.1f} s, {self._endpoint.where}",
        )

    async def close(self) -> None:
        """Release connections."""
        await self._endpoint.close()

    async def _scrape_together(self) -> None:
        """Scrape, or share the outcome of the scrape that is under way."""
        finished = self._finished
        async with self._turn:
            if self._finished == finished:
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
        try:
            found = _preferred(samples(body, NAMES))
            if len(found) > SERIES_MAX:
                raise MalformedError(f"more than {SERIES_MAX} series")
            series = {raw: self._series.get(raw) or _series(raw) for _, raw in found}
        except MalformedError as error:
            raise MetricsError(f"{self._endpoint.where}: {error}") from error
        self._history.append(self._totals(found, series))
        self._values, self._series = found, series
        self._prune()

    def _totals(self, found: Mapping[SeriesKey, float], series: Mapping[str, Series]) -> Totals:
        at = self._clock.monotonic()
        if not self._history:
            return Totals(at)
        requests = defaultdict(float, self._history[-1].requests)
        failed = defaultdict(float, self._history[-1].failed)
        for key, value in found.items():
            one = series[key[1]]
            if not one.counts:
                continue
            before = self._values.get(key, 0.0)
            growth = value - before if value >= before else value
            requests[one.destination] += growth
            if one.failure:
                failed[one.destination] += growth
        return Totals(at, dict(requests), dict(failed))

    def _prune(self) -> None:
        keep_from = self._history[-1].at - STRETCH * self._longest
        self._history = [totals for totals in self._history if totals.at >= keep_from]
        if len(self._history) > SAMPLES_MAX:
            # The older half needs only half the resolution.
            del self._history[1 : SAMPLES_MAX // 2 : 2]


def _base(history: Sequence[Totals], window: float) -> Totals:
    """Return what to subtract: the newest that is a window old, else the oldest younger one.

    One that is far older is none: in the time between, nobody asked, and what happened then is not asked now.
    """
    newest = history[-1].at
    recent = [totals for totals in history if totals.at >= newest - STRETCH * window]
    old_enough = [totals for totals in recent if totals.at <= newest - window]
    return old_enough[-1] if old_enough else recent[0]


def _preferred(found: Iterable[Sample]) -> dict[SeriesKey, float]:
    """Return the value of each series; of one name only, should the counter be there under both."""
    values: dict[SeriesKey, float] = {}
    for sample in found:
        key = (sample.name, sample.raw_labels)
        if key in values:
            raise MalformedError("several series where one was meant")
        values[key] = sample.value
    if any(name == ISTIO_NAME for name, _ in values):
        return {key: value for key, value in values.items() if key[0] == ISTIO_NAME}
    return values


def _series(raw_labels: str) -> Series:
    known = labels(raw_labels)
    return Series(
        destination=(known.get("destination_service", ""), known.get("destination_version", "")),
        failure=is_failure(known.get("response_code", ""), known.get("grpc_response_status", "")),
        counts=known.get("reporter", "source") == "source",
    )


def _sum(counts: Mapping[Destination, float], host: str, version: str) -> float:
    if version:
        return counts.get((host, version), 0.0)
    return sum(count for (service, _), count in counts.items() if service == host)
