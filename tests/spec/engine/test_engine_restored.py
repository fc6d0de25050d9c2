"""A revision that is restored in the middle of a pass is for the next one: no rollout is passed over."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from fakes.cluster import Delay, Request
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.rollout import Phase


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def commit(weights: str) -> dict[str, str]:
    bodies = [part for name in ("reviews", "ratings") for part in (a_service(name, weights), a_rule(name))]
    return files(*bodies, a_policy("reviews", "ratings", steps="10 600s, 100"))


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.5, 2.0])
def test_what_has_not_begun_does_not_go_live_at_once_because_git_is_read_while_a_record_is_written(
    seconds: float,
):
    """The daemon is started again on another disk, while the record of reviews cannot be written."""

    def is_record(request: Request) -> bool:
        return request.writes and request.kind == "TrafficRollout"

    async def story() -> None:
        world = DaemonWorld()
        repository = world.add_source()
        repository.push(commit("v1 100, v2 0"))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            world.cluster.refuses = lambda request: is_record(request) and request.name == "reviews"
            repository.push(commit("v1 0, v2 100"))
            await world.until(lambda: (r := world.record("ratings")) and r.phase is Phase.PROGRESSING)
            await anyio.sleep(1)
            assert world.life
            world.life.kill()
            world.mirrors.clear()
            world.cluster.faults = lambda request: Delay(seconds) if is_record(request) else None
            world.spawn(group)
            for _ in range(200):
                await anyio.sleep(0.05)
                assert world.live("reviews") == {"v1": 100}, world.tail()
            world.cluster.refuses = lambda request: False
            await world.until(lambda: world.live("reviews") == {"v1": 90, "v2": 10}, seconds=90)

        await in_world(world, act)

    run_virtually(story)
