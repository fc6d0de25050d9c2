"""At most one leads; a leader that cannot renew stops; a leader that stops gives the Lease up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from gitmesh.kube.errors import ClusterError, NotFoundError, StaleWriteError
from gitmesh.kube.lease import DEFAULT, LeaderElector
from gitmesh.kube.protocol import Body

pytestmark = pytest.mark.anyio
LEASE_SECONDS = DEFAULT.duration.total_seconds()
RENEW_DEADLINE_SECONDS = DEFAULT.renew_deadline.total_seconds()


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


async def test_one_leads_and_the_other_takes_over_at_once_when_it_stops() -> None:
    server, clock, log = LeaseServer(), FakeClock(), []
    async with anyio.create_task_group() as outer:
        first = anyio.CancelScope()

        async def run_first() -> None:
            with first:
                await elector(server, clock, "a").run(for_ever(log, "a"))

        outer.start_soon(run_first)
        await clock.advance(1)
        outer.start_soon(elector(server, clock, "b").run, for_ever(log, "b"))
        await clock.advance(60)
        assert log == ["a begins"]
        first.cancel()
        await clock.advance(3)
        assert log == ["a begins", "a ends", "b begins"]
        assert server.history == ["a", "", "b"]
        assert server.body is not None
        assert server.body["spec"]["leaseTransitions"] == 1
        outer.cancel_scope.cancel()


async def test_a_leader_that_cannot_renew_stops_before_another_may_start() -> None:
    server, clock, log = LeaseServer(), FakeClock(), []
    async with anyio.create_task_group() as group:
        leader = elector(server, clock, "a")
        group.start_soon(leader.run, for_ever(log, "a"))
        await clock.advance(5)
        assert leader.is_leader
        server.down = True
        await clock.advance(RENEW_DEADLINE_SECONDS + 0.5)
        assert log == ["a begins", "a ends"]
        assert not leader.is_leader
        server.down = False
        await clock.advance(5)
        assert log == ["a begins", "a ends", "a begins"], "its own Lease is taken again"
        group.cancel_scope.cancel()


async def test_a_holder_that_died_is_followed_after_its_lease_has_run_out_by_our_clock() -> None:
    server, clock, log = LeaseServer(), FakeClock(), []
    await server.create(
        None,
        {
            "metadata": {"name": "gitmesh"},
            "spec": {
                "holderIdentity": "dead",
                "leaseDurationSeconds": 15,
                "renewTime": "1999-01-01T00:00:00Z",
            },
        },
    )
    async with anyio.create_task_group() as group:
        group.start_soon(elector(server, clock, "b").run, for_ever(log, "b"))
        await clock.advance(LEASE_SECONDS - 1)
        assert log == [], "an old renewTime may be another machine's clock"
        await clock.advance(4)
        assert log == ["b begins"]
        group.cancel_scope.cancel()


async def test_a_leader_stops_when_somebody_else_wrote_the_lease() -> None:
    server, clock, log = LeaseServer(), FakeClock(), []
    async with anyio.create_task_group() as group:
        group.start_soon(elector(server, clock, "a").run, for_ever(log, "a"))
        await clock.advance(1)
        assert server.body is not None
        spec = {**server.body["spec"], "holderIdentity": "thief"}
        await server.replace(None, {**server.body, "spec": spec})
        await clock.advance(3)
        assert log == ["a begins", "a ends"]
        assert server.history[-1] == "thief", "it does not give up what is not its own"
        group.cancel_scope.cancel()


async def test_work_that_is_done_or_fails_gives_the_lease_up() -> None:
    server, clock = LeaseServer(), FakeClock()

    async def done() -> None: ...

    async def fails() -> None:
        raise ValueError("broken")

    await elector(server, clock, "a").run(done)
    assert server.history == ["a", ""]
    with pytest.raises(ValueError, match="broken"):
        await elector(server, clock, "a").run(fails)
    assert server.history == ["a", "", "a", ""]
