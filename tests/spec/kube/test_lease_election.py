"""At most one leads; a leader that cannot renew stops; a leader that stops gives the Lease up."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from fakes.election import FakeClock, LeaseServer, elector, for_ever

from gitmesh.kube.lease import DEFAULT

pytestmark = pytest.mark.anyio
LEASE_SECONDS = DEFAULT.duration.total_seconds()
RENEW_DEADLINE_SECONDS = DEFAULT.renew_deadline.total_seconds()


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


async def test_who_loses_the_lease_is_told_and_who_ends_is_not() -> None:
    server, clock, log = LeaseServer(), FakeClock(), []
    async with anyio.create_task_group() as group:
        leader = elector(server, clock, "a")
        leader.lost = lambda: log.append("a has lost it")
        group.start_soon(leader.run, for_ever(log, "a"))
        await clock.advance(5)
        server.down = True
        await clock.advance(RENEW_DEADLINE_SECONDS + 0.5)
        assert log == ["a begins", "a ends", "a has lost it"]
        server.down = False
        await clock.advance(5)
        group.cancel_scope.cancel()
    assert log[3:] == ["a begins", "a ends"]
