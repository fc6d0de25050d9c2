"""Ready means in effect: measured where there are requests, and said where there are none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.effect import EffectState
from gitmesh.model.kinds import EVENT
from gitmesh.model.source import Condition

Story = Callable[[DaemonWorld, Any], Awaitable[None]]
REVIEWS = (a_service("reviews", "v1 100, v2 0"), a_rule("reviews"))
MOVED = (a_service("reviews", "v1 75, v2 25"), a_rule("reviews"))


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def tell(story: Story, *first: Any, answers: bool = True) -> None:
    async def whole() -> None:
        world = DaemonWorld()
        world.metrics.answers = answers
        repository = world.add_source()
        repository.push(files(*(first or REVIEWS)))

        async def act(group: Any) -> None:
            await world.until(lambda: world.status().last_applied_revision)
            await story(world, repository)

        await in_world(world, act)

    run_virtually(whole)


def flows(world: DaemonWorld, **per_second: float) -> None:
    """Let requests flow so, whatever the weights say."""
    world.metrics._rate = lambda flow: per_second.get(flow[1], 0.0)  # type: ignore[method-assign]


def in_effect(world: DaemonWorld) -> Condition | None:
    return next((c for c in world.status().conditions if c.type == "InEffect"), None)


def asked(world: DaemonWorld) -> list[str]:
    found: list[str] = []
    world.metrics.answered = lambda service, version, _: found.append(version)
    return found


def test_ready_waits_until_the_shares_are_measured_and_then_nothing_is_asked_any_more():
    async def story(world: DaemonWorld, repository: Any) -> None:
        assert world.ready() == ("Unknown", "Verifying")
        await world.until(lambda: world.ready() == ("True", "Applied"), seconds=10)
        condition = in_effect(world)
        assert condition is not None
        assert (condition.status, condition.reason) == ("True", "Measured")
        assert "v1 took 100 % (100 % expected), v2 took 0 % (0 % expected)" in condition.message
        questions, writes = asked(world), len(world.writes())
        await anyio.sleep(3600)
        assert (questions, len(world.writes())) == ([], writes)

    tell(story)


def test_argo_rollouts_4741_routes_that_are_stored_and_have_no_effect_are_not_ready():
    async def story(world: DaemonWorld, repository: Any) -> None:
        await world.until(lambda: world.ready() == ("True", "Applied"))
        flows(world, v1=100)
        repository.push(files(*MOVED))
        await world.until(lambda: world.ready() == ("False", "NotInEffect"))
        ready = world.status().conditions[0]
        assert "VirtualService default/reviews" in ready.message
        assert "v1 took 100 % (75 % expected), v2 took 0 % (25 % expected)" in ready.message
        told = [e for e in world.cluster.all(EVENT, "default") if e["reason"] == "NotInEffect"]
        assert [e["count"] for e in told] == [1]
        writes = len(world.writes())
        await anyio.sleep(600)
        assert len(world.writes()) == writes, "what is measured again and again is not written each time"
        flows(world, v1=75, v2=25)
        await world.until(lambda: world.ready() == ("True", "Applied"), seconds=120)

    tell(story)


def test_a_first_look_at_proxies_that_are_late_is_no_contradiction():
    async def story(world: DaemonWorld, repository: Any) -> None:
        await world.until(lambda: world.ready() == ("True", "Applied"))
        flows(world, v1=100)
        repository.push(files(*MOVED))
        await world.until(lambda: world.live() == {"v1": 75, "v2": 25})
        await anyio.sleep(2)
        flows(world, v1=75, v2=25)
        await world.until(lambda: world.ready() == ("True", "Applied"), seconds=30)
        assert not [e for e in world.cluster.all(EVENT, "default") if e["reason"] == "NotInEffect"]

    tell(story)


def test_without_requests_it_is_ready_and_says_that_it_was_not_measured():
    async def story(world: DaemonWorld, repository: Any) -> None:
        flows(world)
        await world.until(lambda: world.ready() == ("True", "Applied"), seconds=10)
        condition = in_effect(world)
        assert condition is not None
        assert (condition.status, condition.reason) == ("Unknown", "NotMeasured")
        assert condition.message == "VirtualService default/reviews: no requests"
        flows(world, v1=100)
        await world.until(lambda: (in_effect(world) or condition).reason == "Measured", seconds=600)

    tell(story)


def test_while_no_provider_is_configured_it_is_ready_at_once_and_measured_when_there_is_one():
    async def story(world: DaemonWorld, repository: Any) -> None:
        assert world.ready() == ("True", "Applied")
        assert in_effect(world) is None
        world.metrics.answers = True
        repository.push(files(*MOVED))
        await world.until(lambda: world.ready() == ("Unknown", "Verifying"))
        await world.until(lambda: world.ready() == ("True", "Applied"))
        assert in_effect(world) is not None
        repository.push(files(*REVIEWS))
        await world.until(lambda: world.ready() == ("Unknown", "Verifying"))
        world.metrics.answers = False
        await world.until(lambda: world.ready() == ("True", "Applied"), seconds=5)

    tell(story, answers=False)


def test_too_few_requests_hold_ready_for_half_a_minute_and_no_longer():
    async def story(world: DaemonWorld, repository: Any) -> None:
        flows(world, v1=0.1)
        passed = await world.until(lambda: world.ready() == ("True", "Applied"), seconds=60)
        assert 20 < passed < 45
        assert "too few requests" in str(in_effect(world))

    tell(story)


def test_a_metrics_server_that_is_down_or_hangs_does_not_keep_it_from_being_ready():
    async def story(world: DaemonWorld, repository: Any) -> None:
        await world.until(lambda: world.ready() == ("True", "Applied"))
        world.metrics.blind = True
        repository.push(files(*MOVED))
        await world.until(lambda: "the metrics server is down" in str(in_effect(world)))
        await world.until(lambda: world.ready() == ("True", "Applied"))
        world.metrics.blind = False
        world.metrics.hanging.add("reviews")
        repository.push(files(a_service("reviews", "v1 50, v2 50"), a_rule("reviews")))
        await world.until(lambda: "gave no answer" in str(in_effect(world)))
        await world.until(lambda: world.ready() == ("True", "Applied"))

    tell(story)


@pytest.mark.parametrize("count", [float("inf"), float("nan"), -5.0, 1e300])
def test_a_count_that_can_be_none_confirms_and_contradicts_nothing(count: float):
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.metrics.twist = lambda stats: replace(stats, requests=count)
        await world.until(lambda: world.ready() == ("True", "Applied"), seconds=60)
        condition = in_effect(world)
        assert condition is not None
        assert condition.reason != "Measured"
        assert "is no count of requests" in condition.message
        world.metrics.twist = lambda stats: stats
        await world.until(lambda: (c := in_effect(world)) and c.reason == "Measured", seconds=600)

    tell(story)


def test_what_rules_only_some_requests_is_said_and_does_not_keep_it_from_being_ready():
    async def story(world: DaemonWorld, repository: Any) -> None:
        flows(world, v1=50, v2=50)
        await world.until(lambda: world.ready() == ("True", "Applied"), seconds=30)
        await world.until(lambda: "but exportTo limits who sees it" in str(in_effect(world)))
        assert world.ready() == ("True", "Applied")

    limited = a_service("reviews", "v1 100, v2 0")
    limited["spec"]["exportTo"] = ["."]
    tell(story, limited, a_rule("reviews"))


def test_a_restart_goes_on_with_what_was_not_in_effect():
    async def story(world: DaemonWorld, repository: Any) -> None:
        flows(world, v2=100)
        await world.until(lambda: world.ready() == ("False", "NotInEffect"))
        assert [e.state for e in world.status().effects] == [EffectState.CONTRADICTED]
        assert world.life
        world.life.kill()
        async with anyio.create_task_group() as group:
            world.spawn(group)
            await anyio.sleep(60)
            assert world.ready() == ("False", "NotInEffect")
            flows(world, v1=100)
            await world.until(lambda: world.ready() == ("True", "Applied"), seconds=120)
            group.cancel_scope.cancel()

    tell(story)


def test_what_the_mesh_reports_counts_without_any_request():
    async def story(world: DaemonWorld, repository: Any) -> None:
        await world.until(lambda: world.ready() == ("True", "Applied"))
        said = {"type": "Programmed", "status": "False", "message": "Envoy refuses this object"}
        world.cluster.put_status({**REVIEWS[0], "status": {"conditions": [said]}}, manager="istiod")
        await world.until(lambda: world.ready() == ("False", "NotInEffect"))
        assert "Programmed is False: Envoy refuses this object" in world.status().conditions[0].message
        world.cluster.put_status({**REVIEWS[0], "status": {"conditions": []}}, manager="istiod")
        await world.until(lambda: world.ready() == ("True", "Applied"))

    tell(story)
