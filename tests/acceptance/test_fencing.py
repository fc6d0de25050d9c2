"""A leader that was frozen for longer than its Lease changes nothing any more."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest
from fakes.real_loop import RULES, routes, until
from fakes.replicas import Replica, Replicas, replicas
from fakes.witness_proxy import Harm, Seen

from gitmesh.model.kinds import TRAFFIC_KINDS, TRAFFIC_SOURCE

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.timeout(240)]
FILES = {"rules.yaml": RULES, "routes.yaml": routes(100, 0)}
ROUTES = "/virtualservices/reviews"


async def versions(world: Replicas) -> dict[str, str]:
    """Return the resourceVersion of all that a daemon writes: equal means that nothing was written."""
    return {
        f"{kind.kind}/{body['metadata']['name']}": body["metadata"]["resourceVersion"]
        for kind in (*TRAFFIC_KINDS, TRAFFIC_SOURCE)
        for body in (await world.client.list(kind)).items
    }


async def test_a_leader_that_was_frozen_writes_nothing_after_the_new_one(tmp_path: Path):
    async with replicas(tmp_path, 2) as world:
        await world.follow()
        await world.wait_applied(world.repository.publish(FILES, "begin"))
        old = await world.leader()
        old.freeze()
        new = await world.leader(other_than=old.identity)
        await world.wait_applied(world.repository.publish({"routes.yaml": routes(70, 30)}, "move"))
        await _thawed_it_changes_nothing(world, old, new)


@pytest.mark.parametrize("path", [ROUTES, "/trafficsources/mesh/status"], ids=["routes", "status"])
async def test_a_write_that_was_on_its_way_is_refused_by_the_server(tmp_path: Path, path: str):
    async with replicas(tmp_path, 2) as world:
        await world.follow()
        await world.wait_applied(world.repository.publish(FILES, "begin"))
        old = await world.leader()

        def hold(seen: Seen) -> Harm:
            ours = seen.agent == old.identity and seen.path.endswith(path) and "dryRun" not in seen.query
            return "hold" if ours and seen.method != "GET" else ""

        world.proxy.harms = hold
        world.repository.publish({"routes.yaml": routes(50, 50)}, "in the middle of it")
        await until("a write on its way", lambda: _is_held(world))
        old.freeze()
        new = await world.leader(other_than=old.identity)
        await world.wait_applied(world.repository.publish({"routes.yaml": routes(70, 30)}, "move"))
        before = await versions(world)
        (late, *_) = world.proxy.held()
        world.proxy.free()

        async def is_answered() -> bool:
            return bool(late.status)

        await until("the late write to be answered", is_answered)
        assert late.status == 409
        assert await versions(world) == before
        await _thawed_it_changes_nothing(world, old, new)


async def _is_held(world: Replicas) -> bool:
    return bool(world.proxy.held())


async def _thawed_it_changes_nothing(world: Replicas, old: Replica, new: Replica) -> None:
    before, moment = await versions(world), time.monotonic()
    assert await world.weights() == (70, 30)
    old.thaw()

    async def knows_it() -> bool:
        return '"no longer leading"' in old.log

    await until("the old leader to know", knows_it)
    await anyio.sleep(1)  # what it might still do, it would do at once
    assert await versions(world) == before
    assert [seen for seen in world.proxy.writes([old.identity]) if seen.answered > moment] == []
    assert await world.holder() == new.identity
    await world.wait_applied(world.repository.publish({"routes.yaml": routes(0, 100)}, "go on"))
    assert [
        seen.agent for seen in world.proxy.writes() if seen.answered > moment and ROUTES in seen.path
    ] == [new.identity]


async def test_a_leader_that_is_asked_to_end_gives_the_lease_up_and_another_leads_at_once(tmp_path: Path):
    """Well before the Lease would run out, which is set to an hour here."""
    hour = "lease: {namespace: default, duration: 1h, renewDeadline: 30m, retryPeriod: 300ms}\nsettle: 0s\n"
    async with replicas(tmp_path, 2, config=hour) as world:
        await world.follow()
        await world.wait_applied(world.repository.publish(FILES, "begin"))
        old = await world.leader()
        await old.stop()
        await world.leader(other_than=old.identity)
        await world.wait_applied(world.repository.publish({"routes.yaml": routes(70, 30)}, "move"))


async def test_a_leader_without_network_stops_before_another_begins(tmp_path: Path):
    async with replicas(tmp_path, 2) as world:
        await world.follow()
        await world.wait_applied(world.repository.publish(FILES, "begin"))
        old = await world.leader()
        world.proxy.cut.add(old.identity)
        new = await world.leader(other_than=old.identity)
        assert '"no longer leading"' in old.log, "it gave up by its own clock"
        await world.wait_applied(world.repository.publish({"routes.yaml": routes(70, 30)}, "move"))
        moment = time.monotonic()
        world.proxy.cut.clear()
        await anyio.sleep(2)
        assert [seen for seen in world.proxy.writes([old.identity]) if seen.answered > moment] == []
        assert await world.holder() == new.identity
