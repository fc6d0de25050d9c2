"""When nothing changes, nothing is asked of the API server: not by passes, polls or resyncs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.cluster import Request
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.rollout import Phase

HOURS = 2
REVIEWS = (a_service("reviews", "v1 100, v2 0"), a_rule("reviews"), a_policy("reviews"))
RATINGS = (a_service("ratings", "v1 100"), a_rule("ratings"))
MANY = tuple(a_rule(f"other{number}") for number in range(6))
Plot = Callable[[DaemonWorld, Any], Awaitable[None]]


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def idle_after(plot: Plot, **spec: Any) -> list[Request]:
    """Bring about a state, let it rest for hours, and return what was asked meanwhile, other than watches."""
    asked: list[Request] = []

    async def whole() -> None:
        world = DaemonWorld()
        repository = world.add_source(**spec)
        repository.push(files(*REVIEWS, *RATINGS, *MANY))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await plot(world, repository)
            await anyio.sleep(90)
            before = len(world.cluster.requests)
            passes, fetches = _passes(world), len(repository.fetched)
            await anyio.sleep(HOURS * 3600)
            asked.extend(r for r in world.cluster.requests[before:] if r.verb != "watch")
            assert _passes(world) - passes >= 6 * HOURS, "it has looked at everything each ten minutes"
            assert len(repository.fetched) - fetches >= 300 * HOURS, "and at Git each ten seconds"

        await in_world(world, act)

    run_virtually(whole)
    return asked


def _passes(world: DaemonWorld) -> int:
    assert world.life
    assert world.life.daemon
    return world.life.daemon.passes


async def nothing(world: DaemonWorld, repository: Any) -> None:
    return None


async def a_rollout_that_succeeded(world: DaemonWorld, repository: Any) -> None:
    repository.push(files(a_service("reviews", "v1 0, v2 100"), *REVIEWS[1:], *RATINGS, *MANY))
    await world.until(lambda: (r := world.record()) and r.phase is Phase.SUCCEEDED)


async def a_rollout_that_was_rolled_back(world: DaemonWorld, repository: Any) -> None:
    world.metrics.error_percent["reviews", "v2"] = 50
    repository.push(files(a_service("reviews", "v1 0, v2 100"), *REVIEWS[1:], *RATINGS, *MANY))
    await world.until(lambda: (r := world.record()) and r.phase is Phase.ROLLED_BACK)


async def a_broken_commit(world: DaemonWorld, repository: Any) -> None:
    repository.push({"bad.yaml": "a: ["})
    await world.until(lambda: world.ready() == ("False", "ValidationFailed"))


async def an_empty_source(world: DaemonWorld, repository: Any) -> None:
    repository.push({"README.md": "nothing"})
    await world.until(lambda: world.ready() == ("False", "PlanRefused"))


async def a_held_plan(world: DaemonWorld, repository: Any) -> None:
    repository.push(files(*REVIEWS, *RATINGS))
    await world.until(lambda: world.ready() == ("False", "AwaitingApproval"))


async def a_drift_that_is_reported(world: DaemonWorld, repository: Any) -> None:
    world.cluster.put(a_service("ratings", "v2 100"))
    await world.until(lambda: world.ready() == ("False", "Drifted"))


async def an_object_that_is_left_alone(world: DaemonWorld, repository: Any) -> None:
    marks = {"metadata": {"annotations": {"gitmesh.dev/reconcile": "disabled"}}}
    world.patch(VIRTUAL_SERVICE, "ratings", marks, manager="kubectl")
    world.cluster.put(a_service("ratings", "v2 100"))
    await world.until(lambda: len(world.status().skipped) == 1)


async def an_object_of_somebody_else(world: DaemonWorld, repository: Any) -> None:
    world.cluster.put(a_service("details", "v1 100"))
    await anyio.sleep(1)
    repository.push(files(*REVIEWS, *RATINGS, *MANY, a_service("details", "v1 50, v2 50"), a_rule("details")))
    await world.until(lambda: world.ready() == ("False", "PlanRefused"))


STATES: dict[Plot, dict[str, Any]] = {
    nothing: {},
    a_rollout_that_succeeded: {},
    a_rollout_that_was_rolled_back: {},
    a_broken_commit: {},
    an_empty_source: {},
    a_held_plan: {},
    a_drift_that_is_reported: {"heal": False},
    an_object_that_is_left_alone: {},
    an_object_of_somebody_else: {},
}


@pytest.mark.parametrize("plot", STATES, ids=lambda plot: plot.__name__)
def test_g2_hours_of_passes_and_polls_without_news_are_not_one_request(plot: Plot):
    assert idle_after(plot, **STATES[plot]) == []
