"""A record of a rollout that somebody has spoilt: it is put right, or nothing moves; no canary grows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.daemon_world import (
    DaemonWorld,
    Repository,
    a_policy,
    a_rule,
    a_service,
    files,
    in_world,
    without_threads,
)
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import TRAFFIC_ROLLOUT
from gitmesh.model.rollout import Phase

Story = Callable[[DaemonWorld, Repository, Any], Awaitable[None]]
BEFORE = (a_service("reviews", "v1 100, v2 0"), a_rule("reviews"), a_policy(steps="10 1h, 100"))
AFTER = (a_service("reviews", "v1 0, v2 100"), *BEFORE[1:])
SPOILT: tuple[dict[str, Any], ...] = (
    {"policySpec": {"steps": [{"progress": 50}, {"progress": 20}, {"progress": 100}]}},
    {"stable": None},
    {"phase": "Nowhere"},
    {"step": "second"},
    {"source": ""},
    {"quarantined": [7]},
)


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def tell(story: Story) -> None:
    async def whole() -> None:
        world = DaemonWorld()
        repository = world.add_source()
        repository.push(files(*BEFORE))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            repository.push(files(*AFTER))
            await world.until(lambda: world.live() == {"v1": 90, "v2": 10} and world.record().effective_at)
            await story(world, repository, group)

        await in_world(world, act)

    run_virtually(whole)


async def spoil(world: DaemonWorld, **parts: Any) -> None:
    """Write into the status, as somebody who may; None takes a part away."""
    body = dict(await world.cluster.get(TRAFFIC_ROLLOUT, "default", "reviews"))
    status = {k: v for k, v in {**body["status"], **parts}.items() if v is not None}
    world.cluster.store({**body, "status": status})


@pytest.mark.parametrize("parts", SPOILT, ids=lambda parts: next(iter(parts)))
def test_a_record_that_somebody_spoils_is_written_anew_and_its_rollout_goes_on(parts: dict[str, Any]):
    async def story(world: DaemonWorld, repository: Repository, group: Any) -> None:
        before = world.record()
        assert before is not None
        await spoil(world, **parts)
        await anyio.sleep(30)
        assert world.record() is not None
        assert (world.record().stable, world.record().effective_at) == (before.stable, before.effective_at)
        assert world.live() == {"v1": 90, "v2": 10}
        world.metrics.error_percent["reviews", "v2"] = 50.0
        await world.until(lambda: world.record().phase is Phase.ROLLED_BACK)
        await world.until(lambda: world.live() == {"v1": 100})

    tell(story)


@pytest.mark.parametrize("parts", SPOILT, ids=lambda parts: next(iter(parts)))
def test_what_was_spoilt_while_nobody_looked_keeps_the_canary_where_it_is_and_the_rest_goes_on(
    parts: dict[str, Any],
):
    async def story(world: DaemonWorld, repository: Repository, group: Any) -> None:
        assert world.life
        world.life.kill()
        await spoil(world, **parts)
        good = dict(await world.cluster.get(TRAFFIC_ROLLOUT, "default", "reviews"))["status"]
        world.spawn(group)
        repository.push(files(*AFTER, a_service("ratings", "v1 100"), a_rule("ratings")))
        await world.until(lambda: world.live("ratings") == {"v1": 100})
        await world.until(lambda: world.ready() == ("False", "PlanRefused"))
        await anyio.sleep(3600 * 3)
        assert world.live() == {"v1": 90, "v2": 10}
        found = await world.cluster.get(TRAFFIC_ROLLOUT, "default", "reviews")
        assert found["status"] == good, "it is for a person to say what is true"
        (condition,) = [c for c in world.status().conditions if c.type == "Ready"]
        assert "VirtualService default/reviews" in condition.message
        assert "delete the TrafficRollout to begin anew" in condition.message

    tell(story)


def test_a_record_of_a_newer_edition_is_read_as_far_as_it_is_known():
    async def story(world: DaemonWorld, repository: Repository, group: Any) -> None:
        before = world.record()
        assert before is not None
        assert world.life
        world.life.kill()
        await spoil(world, newField={"x": 1}, stable={**before.stable.as_json(), "newPart": 2})
        world.spawn(group)
        await anyio.sleep(30)
        assert world.ready()[1] == "Progressing"
        world.metrics.error_percent["reviews", "v2"] = 50.0
        await world.until(lambda: world.live() == {"v1": 100})
        assert world.record().quarantined == (before.canary_hash,)

    tell(story)
