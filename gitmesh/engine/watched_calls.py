"""Requests to the API server: counted, timed and traced.

Stage: engine (shell).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gitmesh.engine.clock import Clock
from gitmesh.engine.meters import Meters
from gitmesh.engine.ports import Tracer
from gitmesh.kube.errors import ClusterError
from gitmesh.kube.transport import Call


class WatchedCalls:
    """What a client does around each of its requests."""

    def __init__(self, meters: Meters, tracer: Tracer, clock: Clock) -> None:
        self._meters = meters
        self._tracer = tracer
        self._clock = clock

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """Count, time and trace one request."""
        began, outcome = self._clock.monotonic(), "cancelled"
        try:
            with self._tracer.span(f"api {call.verb}", {"request": call.doing}):
                yield
            outcome = "success"
        except ClusterError as error:
            outcome = "refused" if not error.retryable or 400 <= (error.status or 0) < 500 else "failure"
            raise
        finally:
            self._meters.api_requests.labels(call.verb, outcome).inc()
            self._meters.api_seconds.labels(call.verb).observe(self._clock.monotonic() - began)
