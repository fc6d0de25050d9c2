"""Several leases: each is led by one, evenly spread, and never two layouts of the same work at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from fakes.election import FakeClock

from gitmesh.kube.errors import NotFoundError, StaleWriteError
from gitmesh.kube.lease import LeaderElector
from gitmesh.kube.protocol import Body, Listing
from gitmesh.kube.spread import Spread
from gitmesh.model.config import LeaseConfig

pytestmark = pytest.mark.anyio


class Leases:
    """A server of leases that remembers who held what, and when two layouts were at work at a time."""

    def __init__(self) -> None:
        self.bodies: dict[str, dict[str, Any]] = {}
        self.version = 0

    async def get(self, kind: Any, namespace: str, name: str) -> Body:
        if name not in self.bodies:
            raise NotFoundError("none", retryable=False, status=404)
        return self.bodies[name]

    async def list(self, kind: Any, *, namespace: str = "") -> Listing:
        return Listing(tuple(self.bodies.values()), str(self.version))

    async def create(self, kind: Any, body: Body) -> Body:
        if body["metadata"]["name"] in self.bodies:
            raise StaleWriteError("exists", retryable=True, status=409)
        return self._stored(body)

    async def replace(self, kind: Any, body: Body) -> Body:
        known = self.bodies[body["metadata"]["name"]]["metadata"]["resourceVersion"]
        if body["metadata"]["resourceVersion"] != known:
            raise StaleWriteError("stale", retryable=True, status=409)
        return self._stored(body)

    def _stored(self, body: Body) -> Body:
        self.version += 1
        stored = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        self.bodies[body["metadata"]["name"]] = stored
        return stored


class Process:
    """One replica with an election for each shard of its layout."""

    def __init__(self, world: World, identity: str, count: int) -> None:
        self.world, self.identity, self.count = world, identity, count
        self.working: set[int] = set()
        self.scope = anyio.CancelScope()
        spread = Spread(identity)
        self.electors = [
            LeaderElector(
                world.server,  # type: ignore[arg-type]  # it serves leases only
                identity=identity,
                clock=world.clock,
                lease=LeaseConfig(name=f"gitmesh-{index}-of-{count}"),
                jitter=lambda: 0.5,
                group="gitmesh",
                layout=str(count),
                spread=spread,
            )
            for index in range(count)
        ]

    async def run(self) -> None:
        with self.scope:
            async with anyio.create_task_group() as group:
                for index, elector in enumerate(self.electors):
                    group.start_soon(elector.run, lambda index=index: self._work(index))

    async def _work(self, index: int) -> None:
        self.working.add(index)
        self.world.look()
        try:
            await anyio.sleep_forever()
        finally:
            self.working.discard(index)


class World:
    def __init__(self) -> None:
        self.server, self.clock = Leases(), FakeClock()
        self.processes: list[Process] = []

    def start(self, group: Any, identity: str, count: int) -> Process:
        process = Process(self, identity, count)
        self.processes.append(process)
        group.start_soon(process.run)
        return process

    def look(self) -> None:
        """Check what must hold at every moment: one for each shard, and one layout."""
        at_work = [(p.count, index) for p in self.processes for index in p.working]
        assert len(set(at_work)) == len(at_work), f"two work on one shard: {at_work}"
        assert len({count for count, _ in at_work}) <= 1, f"two layouts at work: {at_work}"

    def led(self) -> dict[str, int]:
        return {p.identity: len(p.working) for p in self.processes}


@pytest.mark.parametrize(("count", "replicas"), [(1, 3), (4, 1), (4, 2), (4, 3), (5, 2), (3, 5)])
async def test_every_shard_is_led_by_one_and_they_are_spread_evenly(count: int, replicas: int):
    world = World()
    async with anyio.create_task_group() as group:
        for number in range(replicas):
            world.start(group, f"replica-{number}", count)
            await world.clock.advance(3)
        await world.clock.advance(60)
        led = world.led()
        assert sum(led.values()) == count
        assert max(led.values()) - min(led.values()) <= 1, led
        before = [set(p.working) for p in world.processes]
        await world.clock.advance(60)
        assert [set(p.working) for p in world.processes] == before, "and then it stays so"
        group.cancel_scope.cancel()


async def test_the_shards_of_a_replica_that_ends_are_led_by_the_others_at_once():
    world = World()
    async with anyio.create_task_group() as group:
        for number in range(3):
            world.start(group, f"replica-{number}", 6)
        await world.clock.advance(60)
        world.processes[0].scope.cancel()
        await world.clock.advance(8)
        assert world.led()["replica-0"] == 0
        assert sum(world.led().values()) == 6
        group.cancel_scope.cancel()


async def test_who_asked_and_died_is_not_given_way_to_again_and_again():
    world = World()
    async with anyio.create_task_group() as group:
        first = world.start(group, "replica-0", 4)
        await world.clock.advance(10)
        name = "gitmesh-0-of-4"
        body = world.server.bodies[name]
        metadata = {**body["metadata"], "annotations": {"gitmesh.dev/wanted-by": "dead"}}
        await world.server.replace(None, {**body, "metadata": metadata})
        await world.clock.advance(12)
        assert first.working == {0, 1, 2, 3}
        assert "gitmesh.dev/wanted-by" not in world.server.bodies[name]["metadata"]["annotations"]
        group.cancel_scope.cancel()


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1), (2, 3), (4, 8)])
async def test_another_number_of_shards_never_works_beside_the_old_one_and_does_in_the_end(
    before: int, after: int
):
    """As in a rolling update: one old replica ends for each new one that begins."""
    world = World()
    async with anyio.create_task_group() as group:
        old = [world.start(group, f"old-{number}", before) for number in range(2)]
        await world.clock.advance(30)
        for number in range(2):
            world.start(group, f"new-{number}", after)
            await world.clock.advance(20)
            world.look()
            old[number].scope.cancel()
        await world.clock.advance(90)
        assert sum(world.led()[f"new-{number}"] for number in range(2)) == after
        group.cancel_scope.cancel()


async def test_two_layouts_that_begin_at_the_same_moment_never_work_together_and_one_does():
    world = World()
    async with anyio.create_task_group() as group:
        world.start(group, "two", 2)
        world.start(group, "three", 3)
        for _ in range(120):
            await world.clock.advance(1)
            world.look()
        at_work: Counter[int] = Counter(p.count for p in world.processes for _ in p.working)
        assert at_work in (Counter({2: 2}), Counter({3: 3}))
        group.cancel_scope.cancel()


async def test_a_layout_whose_processes_died_is_waited_for_until_its_leases_run_out():
    world = World()
    dead: Sequence[str] = ("gitmesh-0-of-2", "gitmesh-1-of-2")
    for name in dead:
        await world.server.create(
            None,
            {
                "metadata": {
                    "name": name,
                    "labels": {"gitmesh.dev/lease-group": "gitmesh"},
                    "annotations": {"gitmesh.dev/layout": "2"},
                },
                "spec": {"holderIdentity": "dead", "leaseDurationSeconds": 15},
            },
        )
    async with anyio.create_task_group() as group:
        process = world.start(group, "new", 3)
        await world.clock.advance(13)
        assert process.working == set()
        await world.clock.advance(30)
        assert process.working == {0, 1, 2}
        group.cancel_scope.cancel()
