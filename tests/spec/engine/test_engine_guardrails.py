"""Guardrails over plans refuse what goes forward, tell what they mind, and stop nothing on its way back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import EVENT, GATEWAY
from gitmesh.model.rollout import Phase

Story = Callable[[DaemonWorld, Any], Awaitable[None]]
GATEWAY_BODY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "entry", "namespace": "default"},
    "spec": {
        "selector": {"istio": "ingressgateway"},
        "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["a.example.com"]}],
    },
}
REVIEWS = (a_service("reviews", "v1 100, v2 0"), a_rule("reviews"), a_policy("reviews"))
CANARY = (a_service("reviews", "v1 0, v2 100"), a_rule("reviews"), a_policy("reviews"))


def a_guardrail(expression: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "gitmesh.dev/v1alpha1",
        "kind": "Guardrail",
        "metadata": {"name": "ours", "namespace": "default"},
        "spec": {
            "scope": "plan",
            "rules": [{"expression": expression, "message": "we do not do that"}],
            **spec,
        },
    }


STAYS = a_guardrail("changes.all(c, c.operation != 'delete')", match={"kinds": ["Gateway"]})


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def tell(story: Story, *first: Any) -> None:
    async def whole() -> None:
        world = DaemonWorld()
        repository = world.add_source()
        repository.push(files(*first))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await story(world, repository)

        await in_world(world, act)

    run_virtually(whole)


def message(world: DaemonWorld) -> str:
    return next(c.message for c in world.status().conditions if c.type == "Ready")


def events(world: DaemonWorld, reason: str) -> list[Any]:
    return [e for e in world.cluster.all(EVENT, "default") if e["reason"] == reason]


def test_a_commit_that_breaks_one_changes_nothing_and_says_which():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*CANARY, STAYS))
        await world.until(lambda: world.ready() == ("False", "PlanRefused"))
        assert message(world).startswith("we do not do that; the guardrail ours wants: changes.all(")
        assert world.live() == {"v1": 100}
        assert world.cluster.find(GATEWAY, "default", "entry")
        repository.push(files(*CANARY, STAYS, GATEWAY_BODY))
        await world.until(lambda: world.live() == {"v2": 100})

    tell(story, *REVIEWS, STAYS, GATEWAY_BODY)


def test_to_change_the_guardrail_in_the_same_commit_is_the_way_around():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS))
        await world.until(lambda: world.cluster.find(GATEWAY, "default", "entry") is None)

    tell(story, *REVIEWS, STAYS, GATEWAY_BODY)


def test_a_rollback_is_never_asked():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*CANARY, a_guardrail("true")))
        await world.until(lambda: world.live().get("v2", 0) >= 10)
        # From now on every change is refused, and the canary fails.
        repository.push(files(*CANARY, a_guardrail("changes.all(c, false)")))
        world.metrics.error_percent["reviews", "v2"] = 100.0
        await world.until(lambda: world.live() == {"v1": 100})
        record = world.record()
        assert record is not None
        assert record.phase is Phase.ROLLED_BACK

    tell(story, *REVIEWS)


def test_one_that_is_no_error_is_an_event_told_once_and_the_plan_goes_on():
    async def story(world: DaemonWorld, repository: Any) -> None:
        mild = a_guardrail("changes.all(c, c.operation != 'update')", severity="warning")
        repository.push(files(*CANARY, mild))
        await world.until(lambda: world.live() == {"v2": 100})
        (event,) = events(world, "Guardrail")
        assert event["type"] == "Warning"
        assert event["message"].startswith("we do not do that")
        assert event.get("count", 1) == 1

    tell(story, *REVIEWS)
