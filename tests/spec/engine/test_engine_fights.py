"""A fight with another controller is noticed, told once, backed off from, and over when it is quiet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import EVENT, VIRTUAL_SERVICE
from gitmesh.model.rollout import Phase

Story = Callable[[DaemonWorld, Any], Awaitable[None]]
REVIEWS = (a_service("reviews", "v1 100, v2 0"), a_rule("reviews"))
RATINGS = (a_service("ratings", "v1 100"), a_rule("ratings"))
THEIRS = a_service("reviews", "v1 30, v2 70")


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def tell(story: Story, *first: Any) -> None:
    async def whole() -> None:
        world = DaemonWorld()
        repository = world.add_source(conflicts="force")  # else a controller that owns a field is not fought
        repository.push(files(*(first or (*REVIEWS, *RATINGS))))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await story(world, repository)

        await in_world(world, act)

    run_virtually(whole)


class Opponent:
    """Somebody who undoes whatever GitMesh writes, a moment later."""

    def __init__(self, world: DaemonWorld, body: dict[str, Any] = THEIRS) -> None:
        self.world, self.body, self.stopped = world, body, False

    async def run(self) -> None:
        while not self.stopped:
            if self.world.live() != {"v1": 30, "v2": 70}:
                patch = {"spec": self.body["spec"]}
                self.world.patch(VIRTUAL_SERVICE, "reviews", patch, manager="weights.sh")
            await anyio.sleep(0.2)


def events(world: DaemonWorld, reason: str) -> list[Any]:
    return [e for e in world.cluster.all(EVENT, "default") if e["reason"] == reason]


def applies(world: DaemonWorld, name: str = "reviews") -> int:
    return len([r for r in world.writes() if (r.verb, r.name, r.dry_run) == ("apply", name, False)])


def fights(world: DaemonWorld) -> float:
    assert world.life
    assert world.life.daemon
    return world.life.daemon._ports.meters.fights._value.get()


def test_g6_two_writers_are_a_fight_with_one_event_and_no_hot_loop():
    async def story(world: DaemonWorld, _: Any) -> None:
        async with anyio.create_task_group() as group:
            opponent = Opponent(world)
            group.start_soon(opponent.run)
            await world.until(lambda: world.ready() == ("False", "Fight"))
            message = world.status().conditions[0].message
            assert "VirtualService default/reviews" in message
            assert "weights.sh changes it again and again" in message
            before = applies(world)
            await anyio.sleep(3600)
            assert applies(world) - before < 20, "in an hour"
            assert world.ready() == ("False", "Fight")
            assert fights(world) == 1
            assert sum(e["count"] for e in events(world, "Fight")) == 2, "on the object, and on the source"
            opponent.stopped = True

    tell(story)


def test_other_objects_are_healed_at_once_meanwhile():
    async def story(world: DaemonWorld, _: Any) -> None:
        async with anyio.create_task_group() as group:
            opponent = Opponent(world)
            group.start_soon(opponent.run)
            await world.until(lambda: world.ready() == ("False", "Fight"))
            world.cluster.put(a_service("ratings", "v2 100"))
            assert await world.until(lambda: world.live("ratings") == {"v1": 100}) < 1
            opponent.stopped = True

    tell(story)


def test_a_fight_ends_by_itself_when_it_is_quiet_and_the_next_drift_is_healed_at_once():
    async def story(world: DaemonWorld, _: Any) -> None:
        async with anyio.create_task_group() as group:
            opponent = Opponent(world)
            group.start_soon(opponent.run)
            await world.until(lambda: world.ready() == ("False", "Fight"))
            opponent.stopped = True
        await world.until(lambda: world.live() == {"v1": 100}, seconds=11)
        await world.until(lambda: world.ready() == ("True", "Applied"), seconds=50)
        assert events(world, "FightOver")
        assert fights(world) == 0
        world.cluster.put(THEIRS)
        assert await world.until(lambda: world.live() == {"v1": 100}) < 1
        await anyio.sleep(5)
        writes = len(world.writes())
        await anyio.sleep(1200)
        assert len(world.writes()) == writes

    tell(story)


def test_a_new_commit_to_the_object_is_written_at_once_all_the_same():
    async def story(world: DaemonWorld, repository: Any) -> None:
        async with anyio.create_task_group() as group:
            opponent = Opponent(world)
            group.start_soon(opponent.run)
            await world.until(lambda: world.ready() == ("False", "Fight"))
            await anyio.sleep(200)
            before = applies(world)
            repository.push(files(a_service("reviews", "v1 60, v2 40"), a_rule("reviews"), *RATINGS))
            await world.until(lambda: applies(world) > before, seconds=11)
            opponent.stopped = True

    tell(story)


def test_a_rollback_of_the_object_is_written_at_once_all_the_same():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(a_service("reviews", "v1 0, v2 100"), a_rule("reviews"), policy))
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10})
        async with anyio.create_task_group() as group:
            opponent = Opponent(world)
            group.start_soon(opponent.run)
            await world.until(lambda: len(events(world, "Fight")) == 1, seconds=90)
            await world.until(lambda: world.live() == {"v1": 30, "v2": 70})
            opponent.stopped = True
        world.metrics.error_percent["reviews", "v2"] = 50
        assert await world.until(lambda: world.live() == {"v1": 100}) < 4
        record = world.record()
        assert record
        assert record.phase is Phase.ROLLED_BACK

    policy = a_policy("reviews", steps="10 1000s, 100", analysis=True)
    tell(story, *REVIEWS, policy)


def test_a_fight_is_noticed_also_while_the_source_is_not_complete():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.cluster.put(a_service("details", "v1 100"))
        await anyio.sleep(1)
        repository.push(files(*REVIEWS, a_service("details", "v1 50, v2 50"), a_rule("details")))
        await world.until(lambda: world.ready() == ("False", "PlanRefused"))
        async with anyio.create_task_group() as group:
            opponent = Opponent(world)
            group.start_soon(opponent.run)
            await world.until(lambda: fights(world) == 1, seconds=90)
            before = applies(world)
            await anyio.sleep(600)
            assert applies(world) - before < 8
            opponent.stopped = True

    tell(story)
