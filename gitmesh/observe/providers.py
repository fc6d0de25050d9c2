"""All the providers of a daemon as one: each question goes to the provider that it names.

Stage: observe (effect).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

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

    def __init__(self, providers: Mapping[str, One]) -> None:
        self._providers = providers

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
        for provider in self._providers.values():
            await provider.close()

    def _of(self, query: Query) -> One:
        if not query.provider:
            return next(iter(self._providers.values()))
        found = self._providers.get(query.provider)
        if found is None:
            there = ", ".join(self._providers)
            raise MetricsError(
                f"the daemon has no metrics provider {query.provider}; there are: {there}", retryable=False
            )
        return found


def open_providers(
    providers: Sequence[Provider], *, timeout: timedelta, response_bytes_max: int, clock: Clock
) -> ProvidedMetrics | None:
    """Return what asks these providers; None when there are none. Raises MetricsError for an address."""
    found = {p.name: _open(p, timeout, response_bytes_max, clock) for p in providers}
    return ProvidedMetrics(found) if found else None


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
