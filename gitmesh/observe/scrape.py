"""Request statistics read from Envoy's own exposition, without a Prometheus.

Stage: observe (effect).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import anyio

from gitmesh.istio.walks.rules import is_twin, original
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
from gitmesh.observe.requests import (
    BUCKET_NAMES,
    CLUSTER_BUCKET,
    CLUSTER_NAME,
    ISTIO_BUCKET,
    ISTIO_NAME,
    NAMES,
    is_failure,
)

SERIES_MAX = 50_000
ANCHOR_SECONDS_MAX = 120.0  # so long after an anchor it is asked for the first time, or not exactly

Destination = tuple[str, str]  # destination_service, destination_version; of a cluster host and subset
Key = tuple[Destination, float]  # and what is counted: ALL, FAILED, or how many milliseconds it took at most
ALL, FAILED = -1.0, -2.0
Asked = tuple[bool, bool]  # for durations, with copies
# What is read for each kind of question; the first name goes before the others.
READ: Mapping[Asked, Sequence[str]] = {
    (False, False): (ISTIO_NAME, *sorted(NAMES - {ISTIO_NAME})),
    (True, False): (ISTIO_BUCKET, *sorted(BUCKET_NAMES - {ISTIO_BUCKET})),
    (False, True): (CLUSTER_NAME,),
    (True, True): (CLUSTER_BUCKET,),
}


class Clock(Protocol):
    """The part of the clock that scraping needs."""

    def now(self) -> datetime:
        """Return the time."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""


class ScrapeMetrics:
    """Scrapes one endpoint when it is asked, and answers from the difference to an older scrape.

    Questions at one moment share one scrape. Histograms, and what clusters count, are read once somebody has
    asked for them.
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
        self._growths: dict[Asked, Growth[Key]] = {(False, False): self.requests}
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
        newest, base = self._totals(query)
        return RequestStats(
            requests=_sum(newest, base, query, ALL),
            failed=_sum(newest, base, query, FAILED),
            query=self._words(query, newest.at - base.at),
        )

    async def latency(self, query: LatencyQuery) -> LatencyStats:
        """Count the requests to one target by how long they took. Raises MetricsError."""
        self._expect(query)
        await self._scrape_together()
        newest, base = self._totals(query)
        bounds = sorted({bound for (service, _), bound in newest.counts if service == query.target.host})
        buckets = tuple((bound, _sum(newest, base, query, bound)) for bound in bounds)
        return LatencyStats(buckets, self._words(query, newest.at - base.at))

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
        self._growths.setdefault(_asked(query), Growth())

    def _totals(self, query: RequestQuery | LatencyQuery) -> tuple[Totals[Key], Totals[Key]]:
        """Return what is counted now, and what to subtract."""
        growth = self._growths[_asked(query)]
        if query.since is None:
            return growth.newest, growth.window(query.window.total_seconds())
        ago = (self._clock.now() - query.since).total_seconds()
        return growth.newest, growth.anchored(query.since, self._clock.monotonic() - ago)

    def _words(self, query: RequestQuery | LatencyQuery, seconds: float) -> str:
        target = query.target
        labels = f'destination_service="{target.host}",destination_version="{target.version}"'
        if query.copies:
            labels = f'cluster_name="outbound|*|{target.subset}|{target.host}"'
        name = READ[_asked(query)][0]
        return f"growth of {name}{{{labels}}} in {seconds:.1f} s, {self._endpoint.where}"

    async def _scrape_together(self) -> None:
        """Scrape, or share the outcome of the scrape that is under way."""
        finished = self._finished
        async with self._turn:
            # One that was under way when the first question of a kind came did not read what it needs.
            blank = any(not growth.history for asked, growth in self._growths.items() if any(asked))
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
        asked = list(self._growths)
        try:
            found = list(samples(body, {name for kind in asked for name in READ[kind]}))
            if len(found) > SERIES_MAX:
                raise MalformedError(f"more than {SERIES_MAX} series")
            values = {
                kind: _preferred((s for s in found if s.name in READ[kind]), READ[kind][0]) for kind in asked
            }
            series = [raw for of_kind in values.values() for _, raw in of_kind]
            self._series = {raw: self._series.get(raw) or _keys(raw) for raw in series}
        except MalformedError as error:
            raise MetricsError(f"{self._endpoint.where}: {error}") from error
        at = self._clock.monotonic()
        for kind, of_kind in values.items():
            growth = self._growths[kind]
            growth.take(at, of_kind, {key: self._series[key[1]] for key in of_kind})
            growth.prune(self._longest)


def _asked(query: RequestQuery | LatencyQuery) -> Asked:
    return isinstance(query, LatencyQuery), query.copies


def _preferred(found: Iterable[Sample], preferred: str) -> dict[SeriesKey, float]:
    """Return the value of each series; of one name only, should the counter be there under both."""
    values: dict[SeriesKey, float] = {}
    for sample in found:
        key = (sample.name, sample.raw_labels)
        if key in values:
            raise MalformedError("several series where one was meant")
        values[key] = sample.value
    if any(name == preferred for name, _ in values):
        return {key: value for key, value in values.items() if key[0] == preferred}
    return values


def _keys(raw_labels: str) -> tuple[Key, ...]:
    """Return what a series counts for; nothing when the destination's side counts it again."""
    known = labels(raw_labels)
    if known.get("reporter", "source") != "source":
        return ()
    destination = (known.get("destination_service", ""), known.get("destination_version", ""))
    if "cluster_name" in known:
        destination = _of_cluster(known["cluster_name"])
    if "le" in known:
        return ((destination, _bound(known["le"])),)
    code = known.get("response_code", known.get("envoy_response_code", ""))
    if is_failure(code, known.get("grpc_response_status", "")):
        return (destination, ALL), (destination, FAILED)
    return ((destination, ALL),)


def _of_cluster(name: str) -> Destination:
    """Return host and subset of a cluster, of a twin the subset that it stands for.

    Source: istio.io, `istioctl proxy-config clusters`: outbound|<port>|<subset>|<host>. What the playground
    adds to the host begins with @.
    """
    parts = name.partition(";")[0].partition("@")[0].split("|")
    if len(parts) != 4 or parts[0] != "outbound":
        return "", ""
    return parts[3], original(parts[2], ()) if is_twin(parts[2]) else parts[2]


def _bound(text: str) -> float:
    try:
        bound = float(text)
    except ValueError:
        raise MalformedError(f"le is no number: {text[:40]!r}") from None
    if math.isnan(bound) or bound < 0:
        raise MalformedError(f"le is no duration: {text[:40]!r}")
    return bound


def _sum(newest: Totals[Key], base: Totals[Key], query: RequestQuery | LatencyQuery, what: float) -> float:
    host = query.target.host
    if version := query.target.subset if query.copies else query.target.version:
        return newest.since(base, ((host, version), what))
    destinations = {of for of, counted in newest.counts if of[0] == host and counted == what}
    return sum(newest.since(base, (of, what)) for of in destinations)
