"""A source whose label moves from one daemon to another is never worked on by two of them."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.cluster import Request
from fakes.daemon_world import (
    LIFE,
    DaemonWorld,
    Life,
    Repository,
    a_rule,
    a_service,
    files,
    without_threads,
)
from fakes.virtual_time import run_virtually

from gitmesh.engine.shards import SHARD_LABEL, Shard
from gitmesh.model.kinds import LEASE, TRAFFIC_SOURCE

OURS, THEIRS = Shard(), Shard("payments")
LEASE_SECONDS = 15  # of a Lease by default
TRAFFIC = {"VirtualService", "DestinationRule"}


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


class Sharded:
    """Two daemons of different labels, one source, and who wrote while another one was its worker."""

    def __init__(self, seed: int = 0) -> None:
        self.world = DaemonWorld(seed, settle="3s")
        self.repository: Repository = self.world.add_source(interval="1s")
        self.pushes = 0
        self.writers: list[int] = []
        self.intruders: list[str] = []
        self.daemons: dict[str, Life] = {}
        self.world.cluster.asked = self._asked

    def _asked(self, request: Request) -> None:
        """Look at each write that is asked for, also at those that will be refused."""
        life = LIFE.get()
        if life is None or not request.writes or request.kind not in TRAFFIC:
            return
        self.writers.append(life.number)
        if self.worker != f"default/{life.lease}":
            self.intruders.append(f"{life.lease} wrote {request} while it was {self.worker or 'nobody'}'s")

    @property
    def worker(self) -> str:
        return self.world.status().worker

    def push(self) -> None:
        """Push routes to a subset that is new: its rule goes first, and the routes a while later."""
        self.pushes += 1
        service = a_service("reviews", f"v1 50, {self.newest} 50")
        self.repository.push(files(service, a_rule("reviews", ("v1", self.newest))))

    @property
    def newest(self) -> str:
        return f"new-{self.pushes}"

    async def is_live(self, seconds: float = 60) -> None:
        await self.world.until(lambda: self.world.live() == {"v1": 50, self.newest: 50}, seconds)

    def give_to(self, shard: Shard) -> None:
        """Label the source, as a person."""
        label = {"metadata": {"labels": {SHARD_LABEL: shard.label or None}}}
        self.world.patch(TRAFFIC_SOURCE, "mesh", label, manager="kubectl")

    def spawn(self, group: Any, shard: Shard) -> Life:
        life = self.daemons[shard.label] = self.world.spawn(group, shard=shard)
        return life


def tell(story: Callable[[Sharded, Any], Awaitable[None]], seed: int = 0) -> None:
    async def whole() -> None:
        sharded = Sharded(seed)
        async with anyio.create_task_group() as group:
            for shard in (OURS, THEIRS):
                sharded.spawn(group, shard)
            sharded.push()
            await sharded.is_live()
            await story(sharded, group)
            assert sharded.intruders == []
            assert sharded.world.crashes == []
            group.cancel_scope.cancel()

    run_virtually(whole)


@pytest.mark.parametrize("seed", range(15))
def test_a_source_whose_label_moves_again_and_again_has_one_worker_at_each_moment(seed: int):
    async def story(sharded: Sharded, group: Any) -> None:
        chance = random.Random(seed)
        for _ in range(25):
            sharded.push()
            await anyio.sleep(chance.choice((0.0, 0.05, 0.3, 2.0, 11.0)))
            sharded.give_to(chance.choice((OURS, THEIRS)))
            await anyio.sleep(chance.choice((0.0, 0.02, 0.5, 12.0)))
        sharded.give_to(THEIRS)
        sharded.push()
        await sharded.is_live()
        assert sharded.worker == "default/gitmesh-payments"
        assert len(set(sharded.writers)) == 2, "both of them have worked on it"

    tell(story, seed)


def test_a_source_at_rest_is_handed_over_within_a_second():
    async def story(sharded: Sharded, group: Any) -> None:
        await sharded.world.until(lambda: sharded.world.ready() == ("True", "Applied"))
        sharded.give_to(THEIRS)
        took = await sharded.world.until(lambda: sharded.worker == "default/gitmesh-payments")
        assert took < 1

    tell(story)


def test_a_source_of_a_daemon_that_died_is_taken_over_when_its_lease_has_run_out_and_no_sooner():
    async def story(sharded: Sharded, group: Any) -> None:
        sharded.daemons[OURS.label].kill()
        sharded.give_to(THEIRS)
        sharded.push()
        took = await sharded.world.until(lambda: sharded.worker == "default/gitmesh-payments")
        assert LEASE_SECONDS - 1 < took < LEASE_SECONDS + 5
        await sharded.is_live()

    tell(story)


def test_a_daemon_that_cannot_let_go_keeps_the_source_as_long_as_it_lives():
    async def story(sharded: Sharded, group: Any) -> None:
        ours = sharded.daemons[OURS.label]
        sharded.world.cluster.refuses = lambda request: (
            LIFE.get() is ours and request.kind == TRAFFIC_SOURCE.kind and request.writes
        )
        sharded.give_to(THEIRS)
        sharded.push()
        await anyio.sleep(10 * LEASE_SECONDS)
        assert sharded.worker == "default/gitmesh"
        sharded.world.cluster.refuses = lambda request: False
        await sharded.is_live(120)
        assert sharded.worker == "default/gitmesh-payments"

    tell(story)


def test_who_may_not_read_the_lease_waits_as_long_as_it_could_last():
    async def story(sharded: Sharded, group: Any) -> None:
        ours, theirs = sharded.daemons[OURS.label], sharded.daemons[THEIRS.label]
        ours.kill()

        sharded.world.cluster.refuses = lambda request: (
            LIFE.get() is theirs
            and (request.verb, request.kind, request.name) == ("get", LEASE.kind, "gitmesh")
        )
        sharded.give_to(THEIRS)
        took = await sharded.world.until(lambda: sharded.worker == "default/gitmesh-payments")
        assert LEASE_SECONDS <= took < LEASE_SECONDS + 5

    tell(story)


def test_a_daemon_without_leader_election_works_on_what_it_follows():
    async def whole() -> None:
        sharded = Sharded()
        async with anyio.create_task_group() as group:
            sharded.world.spawn(group)
            sharded.push()
            await sharded.is_live()
            assert sharded.worker == ""
            group.cancel_scope.cancel()

    run_virtually(whole)
