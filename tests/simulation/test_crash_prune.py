"""Commits A, B and C that bring and drop objects, and approvals: killed in place of each effect in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_rule, a_service, files, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import TRAFFIC_KINDS, TRAFFIC_SOURCE
from gitmesh.model.source import APPROVE_ANNOTATION, OWNER_ANNOTATION

A = (a_service("reviews", "v1 100"), a_rule("reviews"), a_rule("first"))
B = (a_service("reviews", "v2 100"), a_rule("reviews"), a_service("ratings", "v1 100"), a_rule("ratings"))
C = (a_service("reviews", "v2 100"), a_rule("reviews", ("v2",)), a_rule("third"))
MANY = (*A, *(a_rule(f"other{number}") for number in range(5)))
EFFECTS_MAX = 1_000


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def owned(world: DaemonWorld) -> list[str]:
    """What carries the mark of a source, as `DestinationRule reviews`."""
    return sorted(
        f"{body['kind']} {body['metadata']['name']}"
        for kind in TRAFFIC_KINDS
        for body in world.cluster.all(kind)
        if OWNER_ANNOTATION in (body["metadata"].get("annotations") or {})
    )


def names(bodies: tuple[Any, ...]) -> list[str]:
    return sorted(f"{body['kind']} {body['metadata']['name']}" for body in bodies)


def inventory(world: DaemonWorld) -> list[str]:
    parts = [path.split("/") for path in world.status().inventory]
    return sorted(f"{part[1]} {part[3]}" for part in parts)


def every_death(play: Any) -> Iterator[int]:
    """Let a daemon die in place of its first effect, its second, and so on, until it survives."""
    for number in range(EFFECTS_MAX):
        yield number
        if not run_virtually(lambda number=number: play(number)):  # type: ignore[misc]
            return
    raise AssertionError("it never ends")


@pytest.mark.timeout(300)
def test_g13_a_daemon_that_is_killed_between_three_commits_leaves_no_orphan():
    """While it is down C arrives. Nobody looks at B again, and what B brought has to go all the same."""

    async def play(dies_at: int) -> bool:
        world = DaemonWorld(settle="100ms")
        repository = world.add_source(limits={"deletePercentMax": 100})
        repository.push(files(*A))
        async with anyio.create_task_group() as group:
            life = world.spawn(group)
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await anyio.sleep(0.5)
            repository.push(files(*B))
            life.effects_left = dies_at
            with anyio.move_on_after(15):
                await life.ended.wait()
            died, life.effects_left = life.dead, None
            repository.push(files(*C))
            if died:
                world.spawn(group)
            await anyio.sleep(30)
            assert not world.crashes, world.crashes[0]
            assert owned(world) == inventory(world) == names(C), f"killed in place of effect {dies_at}"
            assert world.live() == {"v2": 100}
            assert world.ready() == ("True", "Applied")
            group.cancel_scope.cancel()
        return died

    deaths = len(list(every_death(play)))
    assert deaths > 20, "so few effects cannot be all of a commit"


@pytest.mark.timeout(300)
def test_an_approval_is_used_exactly_once_wherever_the_daemon_is_killed():
    async def play(dies_at: int) -> bool:
        world = DaemonWorld(settle="100ms")
        repository = world.add_source()
        repository.push(files(*MANY))
        async with anyio.create_task_group() as group:
            life = world.spawn(group)
            await world.until(lambda: world.ready() == ("True", "Applied"))
            repository.push(files(*A))
            await world.until(lambda: world.ready() == ("False", "AwaitingApproval"))
            await anyio.sleep(0.5)
            life.effects_left = dies_at
            approve(world)
            with anyio.move_on_after(15):
                await life.ended.wait()
            died, life.effects_left = life.dead, None
            if died:
                world.spawn(group)
            await anyio.sleep(30)
            assert owned(world) == inventory(world) == names(A), f"killed in place of effect {dies_at}"
            assert world.ready() == ("True", "Applied")
            # It is used up: the same plan again needs another one.
            repository.push(files(*MANY))
            await world.until(lambda: owned(world) == names(MANY))
            repository.push(files(*A))
            await world.until(lambda: world.ready() == ("False", "AwaitingApproval"))
            await anyio.sleep(30)
            assert owned(world) == names(MANY)
            assert not world.crashes, world.crashes[0]
            group.cancel_scope.cancel()
        return died

    deaths = len(list(every_death(play)))
    assert deaths > 10


def approve(world: DaemonWorld) -> None:
    plan = world.status().held_plan
    assert plan
    annotations = {APPROVE_ANNOTATION: plan.hash}
    world.patch(TRAFFIC_SOURCE, "mesh", {"metadata": {"annotations": annotations}}, manager="kubectl")
