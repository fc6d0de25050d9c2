"""The guard: what goes wrong with one answer, one rollout or the clock keeps it from nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import VirtualClock, run_virtually

from gitmesh.decide import verdict
from gitmesh.engine import guard
from gitmesh.engine.clock import watch_steps
from gitmesh.model.metrics import RequestStats
from gitmesh.model.rollout import Outcome, Phase

LIMIT_SECONDS = 1.0 + 1.0  # one interval of the guard, and one second
QUERY = {"name": "queue", "query": "queue", "max": 10}
ERRORS = {"name": "error-rate", "max": 5, "minRequests": 20}
Story = Callable[[DaemonWorld], Awaitable[None]]


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def commit(weights: str, mode: str, *metrics: dict[str, Any]) -> dict[str, str]:
    policy = a_policy("reviews", "ratings", steps="10 600s, 100", failures=1, mode=mode)
    if metrics:
        policy["spec"]["analysis"]["metrics"] = list(metrics)
    bodies = [part for name in ("reviews", "ratings") for part in (a_service(name, weights), a_rule(name))]
    return files(*bodies, policy)


def play(story: Story, *metrics: dict[str, Any], mode: str = "sequential") -> None:
    """Play a story that begins with two rollouts at 10 %, seen live."""

    async def whole() -> None:
        world = DaemonWorld()
        repository = world.add_source()
        repository.push(commit("v1 100, v2 0", mode, *metrics))

        async def act(_: object) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            repository.push(commit("v1 0, v2 100", mode, *metrics))
            for name in ("reviews", "ratings"):
                await world.until(
                    lambda name=name: (r := world.record(name)) and r.progress == 10 and r.effective_at
                )
            await story(world)

        await in_world(world, act)

    run_virtually(whole)


async def time_to_stable(world: DaemonWorld, name: str = "reviews") -> float:
    world.metrics.error_percent[name, "v2"] = 100
    return await world.until(lambda: world.live(name) == {"v1": 100}, seconds=30)


@pytest.mark.parametrize("mode", ["sequential", "threshold"])
def test_a_query_that_gives_no_answer_holds_up_no_failure(mode: str):
    async def story(world: DaemonWorld) -> None:
        world.metrics.slow_values = 4.0
        await anyio.sleep(10)
        assert world.record().verdict.outcome is Outcome.BLIND  # type: ignore[union-attr]
        began = world.clock.monotonic()
        await time_to_stable(world)
        last_check = began + 4.0  # one that was under way goes on until the slow answer
        assert world.clock.monotonic() - last_check <= LIMIT_SECONDS, world.tail()

    play(story, ERRORS, QUERY, mode=mode)


def test_a_check_that_meets_a_bug_is_blind_and_ends_nothing_else(monkeypatch: pytest.MonkeyPatch):
    real = verdict.judge

    def judge(record: Any, *rest: Any) -> Any:
        if "reviews" in record.targets[0].host:
            raise OverflowError("cannot convert float infinity to integer")
        return real(record, *rest)

    async def story(world: DaemonWorld) -> None:
        monkeypatch.setattr(guard, "judge", judge)
        await anyio.sleep(5)
        record = world.record()
        assert record
        assert record.verdict
        assert record.verdict.outcome is Outcome.BLIND
        assert "OverflowError" in record.verdict.summary
        assert record.phase is Phase.PROGRESSING
        assert any("check failed unexpectedly" in crash for crash in world.crashes)
        world.crashes.clear()
        monkeypatch.setattr(guard, "judge", real)
        for name in ("ratings", "reviews"):
            assert await time_to_stable(world, name) <= LIMIT_SECONDS

    play(story)


@pytest.mark.parametrize("count", [1e305, float("inf"), float("nan"), -1.0])
def test_a_count_that_can_be_none_is_blind_and_ends_nothing(count: float):
    async def story(world: DaemonWorld) -> None:
        world.metrics.twist = lambda stats: RequestStats(count, count, "lies")
        await anyio.sleep(5)
        assert world.record().verdict.outcome is Outcome.BLIND  # type: ignore[union-attr]
        world.metrics.twist = lambda stats: stats
        assert await time_to_stable(world) <= LIMIT_SECONDS

    play(story)


@pytest.mark.parametrize("mode", ["sequential", "threshold"])
@pytest.mark.parametrize("seconds", [-86_400, -5, -0.7, 86_400])
@pytest.mark.parametrize("wait", [1.5, 30])
def test_a_clock_that_is_set_does_not_silence_the_guard(mode: str, seconds: float, wait: float):
    async def story(world: DaemonWorld) -> None:
        await anyio.sleep(wait)
        (world.clock.set_forward if seconds > 0 else world.clock.set_back)(abs(seconds))
        await anyio.sleep(0.3)
        assert await time_to_stable(world) <= LIMIT_SECONDS, world.tail()

    play(story, mode=mode)


def test_a_clock_that_is_set_back_does_not_silence_git():
    async def story(world: DaemonWorld) -> None:
        (repository,) = world.repositories.values()
        world.clock.set_back(86_400)
        repository.push(commit("v1 60, v2 40", "sequential"))
        await world.until(lambda: world.live() == {"v1": 96, "v2": 4}, seconds=12)

    play(story)


def test_steps_of_the_clock_are_told_from_time_that_passes():
    async def story() -> None:
        clock, told = VirtualClock(), []
        async with anyio.create_task_group() as group:
            group.start_soon(watch_steps, clock, told.append)
            await anyio.sleep(100)
            assert told == []
            clock.set_back(3600)
            await anyio.sleep(1)
            assert len(told) == 1
            clock.set_forward(0.5)
            await anyio.sleep(100)
            assert len(told) == 2
            group.cancel_scope.cancel()

    run_virtually(story)
