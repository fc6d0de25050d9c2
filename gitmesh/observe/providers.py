"""All the providers of a daemon as one: each question goes to the provider that it names.

Stage: observe (effect).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from gitmesh.model.config import MetricsConfig
from gitmesh.model.metrics import (
    LatencyQuery,
    LatencyStats,
    Query,
    RequestQuery,
    RequestStats,
    ValueQuery,
    ValueStats,
)
from gitmesh.model.providers import Provider
from gitmesh.observe.access import Access
from gitmesh.observe.datadog import DatadogMetrics
from gitmesh.observe.errors import MetricsError
from gitmesh.observe.prometheus import PrometheusMetrics
from gitmesh.observe.scrape import ScrapeMetrics
from gitmesh.observe.web import WebMetrics

One = PrometheusMetrics | ScrapeMetrics | DatadogMetrics | WebMetrics


class Clock(Protocol):
    """The part of the clock that providers need."""

    def now(self) -> datetime:
        """Return the time."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""


class ProvidedMetrics:
    """Several providers by name; the first one is asked where a question names none."""

    def __init__(self, clock: Clock) -> None:
        """Begin without any; `configure` opens them."""
        self._clock = clock
        self._opened: dict[str, _Opened] = {}

    def configure(self, config: MetricsConfig) -> tuple[One, ...]:
        """Ask these providers from now on; return those to close. Raises MetricsError for an address.

        One that stays as it was is kept: it may know what it has counted so far.
        """
        before, now = self._opened, {}
        for provider in config.providers:
            known = before.get(provider.name)
            asked = (provider, config.timeout, config.response_bytes_max)
            now[provider.name] = (
                known if known and known.asked == asked else _Opened(asked, self._open(*asked))
            )
        self._opened = now
        kept = {id(opened.provider) for opened in now.values()}
        return tuple(old.provider for old in before.values() if id(old.provider) not in kept)

    def _open(self, provider: Provider, timeout: timedelta, response_bytes_max: int) -> One:
        return _open(provider, timeout, response_bytes_max, self._clock)

    @property
    def answers(self) -> bool:
        """Say whether any provider is configured now."""
        return bool(self._opened)

    async def prepare(self, query: Query) -> None:
        """Let the provider look. Raises MetricsError."""
        await self._of(query).prepare(query)

    async def count(self, query: RequestQuery) -> RequestStats:
        """Count requests. Raises MetricsError."""
        return await self._of(query).count(query)

    async def latency(self, query: LatencyQuery) -> LatencyStats:
        """Count requests by how long they took. Raises MetricsError."""
        return await self._of(query).latency(query)

    async def value(self, query: ValueQuery) -> ValueStats:
        """Return one number. Raises MetricsError."""
        return await self._of(query).value(query)

    async def close(self) -> None:
        """Release all connections."""
        for opened in self._opened.values():
            await opened.provider.close()

    def _of(self, query: Query) -> One:
        if not self._opened:
            raise MetricsError(
                "no metrics provider is configured; set --prometheus or --scrape, or name one in the "
                "configuration",
                retryable=False,
            )
        name = query.provider or next(iter(self._opened))
        found = self._opened.get(name)
        if found is None:
            there = ", ".join(self._opened)
            raise MetricsError(
                f"the daemon has no metrics provider {query.provider}; there are: {there}", retryable=False
            )
        return found.provider


@dataclass(frozen=True, slots=True)
class _Opened:
    """A provider that is open, and as what it was opened."""

    asked: tuple[Provider, timedelta, int]
    provider: One


def _open(provider: Provider, timeout: timedelta, response_bytes_max: int, clock: Clock) -> One:
    access, url = Access(provider), provider.url
    match provider.kind:
        case "prometheus":
            return PrometheusMetrics(
                url, timeout=timeout, response_bytes_max=response_bytes_max, access=access
            )
        case "scrape":
            return ScrapeMetrics(
                url, timeout=timeout, response_bytes_max=response_bytes_max, clock=clock, access=access
            )
        case "datadog":
            return DatadogMetrics(
                url,
                requests=provider.requests,
                failed=provider.failed,
                timeout=timeout,
                response_bytes_max=response_bytes_max,
                clock=clock,
                access=access,
            )
        case "web":
            return WebMetrics(
                url, timeout=timeout, response_bytes_max=response_bytes_max, clock=clock, access=access
            )
