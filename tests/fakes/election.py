"""One Lease with resource versions, a clock that moves by hand, and who wants to lead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel

from gitmesh.kube.errors import ClusterError, NotFoundError, StaleWriteError
from gitmesh.kube.lease import LeaderElector
from gitmesh.kube.protocol import Body, Listing


class FakeClock:
    """Time moves only when everybody sleeps: each sleeper wakes at its moment, in order."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.time)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        until = self.time + seconds
        while self.time < until:
            await anyio.lowlevel.checkpoint()

    async def advance(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.time = round(self.time + 0.1, 6)
            for _ in range(12):
                await anyio.lowlevel.checkpoint()


class LeaseServer:
    """One Lease, with resource versions."""

    def __init__(self) -> None:
        self.body: dict[str, Any] | None = None
        self.version = 0
        self.down = False
        self.history: list[str] = []

    def _check(self) -> None:
        if self.down:
            raise ClusterError("refused", retryable=True)

    def _stored(self, body: Body) -> Body:
        self.version += 1
        metadata = {**body["metadata"], "resourceVersion": str(self.version)}
        self.body = {**body, "metadata": metadata}
        holder = body["spec"]["holderIdentity"]
        if not self.history or self.history[-1] != holder:
            self.history.append(holder)
        return self.body

    async def get(self, kind: Any, namespace: str, name: str) -> Body:
        self._check()
        if self.body is None:
            raise NotFoundError("none", retryable=False, status=404)
        return self.body

    async def list(self, kind: Any, *, namespace: str = "") -> Listing:
        self._check()
        return Listing((self.body,) if self.body else (), str(self.version))

    async def create(self, kind: Any, body: Body) -> Body:
        self._check()
        if self.body is not None:
            raise StaleWriteError("exists", retryable=True, status=409)
        return self._stored(body)

    async def replace(self, kind: Any, body: Body) -> Body:
        self._check()
        assert self.body is not None
        if body["metadata"]["resourceVersion"] != self.body["metadata"]["resourceVersion"]:
            raise StaleWriteError("stale", retryable=True, status=409)
        return self._stored(body)


def elector(server: LeaseServer, clock: FakeClock, identity: str) -> LeaderElector:
    return LeaderElector(
        server,  # type: ignore[arg-type]  # it serves one Lease only
        identity=identity,
        clock=clock,
        jitter=lambda: 0.5,
    )


def for_ever(log: list[str], name: str) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        log.append(f"{name} begins")
        try:
            await anyio.sleep_forever()
        finally:
            log.append(f"{name} ends")

    return work
