"""A source that depends on others goes forward after them; its rollbacks and its healing wait for nobody."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.engine.dependencies import in_order
from gitmesh.model.kinds import TRAFFIC_SOURCE
from gitmesh.model.resource import Resource
from gitmesh.model.rollout import Phase
from gitmesh.model.source import SYNC_ANNOTATION

Story = Callable[[DaemonWorld, Any, Any], Awaitable[None]]
REVIEWS = (a_service("reviews", "v1 100, v2 0"), a_rule("reviews"))
RATINGS = (a_service("ratings", "v1 100"), a_rule("ratings"))
DEPENDS = {"dependsOn": [{"name": "base"}]}


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def tell(story: Story, *first: Any) -> None:
    """`app` depends on `base`. Both are applied when the story begins."""

    async def whole() -> None:
        world = DaemonWorld()
        app, base = world.add_source("app", **DEPENDS), world.add_source("base")
        app.push(files(*(first or REVIEWS)))
        base.push(files(*RATINGS))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready("app") == ("True", "Applied"))
            await story(world, app, base)

        await in_world(world, act)

    run_virtually(whole)


def message(world: DaemonWorld, name: str = "app") -> str:
    return next(c.message for c in world.status(name).conditions if c.type == "Ready")


def sync(world: DaemonWorld, name: str) -> None:
    world.patch(TRAFFIC_SOURCE, name, {"metadata": {"annotations": {SYNC_ANNOTATION: "now"}}}, "kubectl")


def a_source(name: str, *on: str) -> Resource:
    spec = {"url": f"https://git.example.com/{name}.git", "dependsOn": [{"name": one} for one in on]}
    key = TRAFFIC_SOURCE.key("default", name)
    return Resource(key, TRAFFIC_SOURCE.api_version, {"metadata": {}, "spec": spec})


def test_g35_a_dependant_is_not_applied_while_what_it_depends_on_fails_and_is_as_soon_as_it_is_ready():
    async def story(world: DaemonWorld, app: Any, base: Any) -> None:
        base.push({"bad.yaml": "a: ["})
        await world.until(lambda: world.ready("base") == ("False", "ValidationFailed"))
        app.push(files(a_service("reviews", "v1 50, v2 50"), a_rule("reviews")))
        await world.until(lambda: world.ready("app") == ("False", "DependencyNotReady"))
        assert "TrafficSource default/base is not ready: ValidationFailed" in message(world)
        await anyio.sleep(60)
        assert world.live() == {"v1": 100}
        base.push(files(*RATINGS))
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, seconds=11)
        await world.until(lambda: world.ready("app") == ("True", "Applied"), seconds=10)

    tell(story)


@pytest.mark.parametrize("interval", ["1s", "10m"])
def test_what_it_depends_on_is_looked_at_in_git_before_a_new_revision_goes_forward(interval: str):
    """Both are changed at once, and the dependant is fetched first: what the other one said last is old."""

    async def story(world: DaemonWorld, app: Any, base: Any) -> None:
        world.patch(TRAFFIC_SOURCE, "base", {"spec": {"interval": "10m"}})
        world.patch(TRAFFIC_SOURCE, "app", {"spec": {"interval": interval}})
        await anyio.sleep(30)
        base.push({"bad.yaml": "a: ["})
        app.push(files(a_service("reviews", "v1 50, v2 50"), a_rule("reviews")))
        sync(world, "app")
        await world.until(lambda: world.ready("app") == ("False", "DependencyNotReady"), seconds=5)
        await anyio.sleep(5)
        assert world.ready("base") == ("False", "ValidationFailed")
        assert world.ready("app") == ("False", "DependencyNotReady")
        assert world.live() == {"v1": 100}
        base.push(files(*RATINGS))
        sync(world, "base")
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, seconds=11)

    tell(story)


def test_a_dependency_without_news_is_looked_at_once_and_holds_nothing_up():
    async def story(world: DaemonWorld, app: Any, base: Any) -> None:
        world.patch(TRAFFIC_SOURCE, "base", {"spec": {"interval": "10m"}})
        await anyio.sleep(30)
        looks = len(base.fetched)
        app.push(files(a_service("reviews", "v1 50, v2 50"), a_rule("reviews")))
        sync(world, "app")
        assert await world.until(lambda: world.live() == {"v1": 50, "v2": 50}) < 2
        await anyio.sleep(60)
        assert len(base.fetched) == looks + 1

    tell(story)


def test_a_dependency_that_cannot_be_fetched_is_asked_for_no_more_often_for_that():
    async def story(world: DaemonWorld, app: Any, base: Any) -> None:
        world.patch(TRAFFIC_SOURCE, "base", {"spec": {"interval": "10m"}})
        await anyio.sleep(30)
        base.reachable = False
        app.push(files(a_service("reviews", "v1 50, v2 50"), a_rule("reviews")))
        await world.until(lambda: world.ready("app") == ("False", "DependencyNotReady"), seconds=100)
        tries = base.tries
        await anyio.sleep(600)
        assert base.tries - tries < 10
        assert world.live() == {"v1": 100}
        base.reachable = True
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, seconds=700)

    tell(story)


def test_what_is_ready_stays_ready_when_there_is_nothing_to_wait_for():
    async def story(world: DaemonWorld, app: Any, base: Any) -> None:
        base.push({"bad.yaml": "a: ["})
        await world.until(lambda: world.ready("base") == ("False", "ValidationFailed"))
        await anyio.sleep(30)
        assert world.ready("app") == ("True", "Applied")

    tell(story)


def test_healing_and_rollbacks_wait_for_nobody_and_steps_do():
    async def story(world: DaemonWorld, app: Any, base: Any) -> None:
        app.push(files(a_service("reviews", "v1 0, v2 100"), a_rule("reviews"), policy))
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10})
        base.push({"bad.yaml": "a: ["})
        await world.until(lambda: world.ready("app") == ("False", "DependencyNotReady"))
        world.cluster.put(a_service("reviews", "v1 1, v2 99"))
        assert await world.until(lambda: world.live() == {"v1": 90, "v2": 10}) < 1
        await anyio.sleep(60)
        assert world.live() == {"v1": 90, "v2": 10}, "no step"
        world.metrics.error_percent["reviews", "v2"] = 50
        await world.until(lambda: world.live() == {"v1": 100}, seconds=5)
        record = world.record()
        assert record
        assert record.phase is Phase.ROLLED_BACK

    policy = a_policy("reviews", steps="10 20s, 100")
    tell(story, *REVIEWS, policy)


def test_at_first_a_dependant_is_applied_after_what_it_depends_on():
    async def whole() -> None:
        world = DaemonWorld()
        app, base = world.add_source("app", **DEPENDS), world.add_source("base")
        base.reachable = False
        app.push(files(*REVIEWS))
        base.push(files(*RATINGS))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready("app") == ("False", "DependencyNotReady"))
            await anyio.sleep(30)
            assert world.live() == {}
            base.reachable = True
            await world.until(lambda: world.ready("app") == ("True", "Applied"))

        await in_world(world, act)

    run_virtually(whole)


def test_a_dependency_that_does_not_exist_is_named():
    async def story(world: DaemonWorld, app: Any, base: Any) -> None:
        world.cluster.take(TRAFFIC_SOURCE, "default", "base")
        app.push(files(a_service("reviews", "v1 50, v2 50"), a_rule("reviews")))
        await world.until(lambda: world.ready("app") == ("False", "DependencyNotReady"))
        assert "TrafficSource default/base does not exist" in message(world)

    tell(story)


def test_a_cycle_is_named_and_stalled_and_ends_when_it_is_cut():
    async def story(world: DaemonWorld, app: Any, base: Any) -> None:
        world.patch(TRAFFIC_SOURCE, "base", {"spec": {"dependsOn": [{"name": "app"}]}})
        await world.until(lambda: world.ready("app") == ("False", "DependencyCycle"))
        await world.until(lambda: world.ready("base") == ("False", "DependencyCycle"))
        assert message(world).startswith("default/app -> default/base -> default/app: ")
        assert {"Ready", "Stalled"} == {c.type for c in world.status("app").conditions} - {"InEffect"}
        world.patch(TRAFFIC_SOURCE, "base", {"spec": {"dependsOn": []}})
        await world.until(lambda: world.ready("app") == ("True", "Applied"))

    tell(story)


def test_waiting_costs_no_request():
    async def story(world: DaemonWorld, app: Any, base: Any) -> None:
        base.push({"bad.yaml": "a: ["})
        app.push(files(a_service("reviews", "v1 50, v2 50"), a_rule("reviews")))
        await world.until(lambda: world.ready("app") == ("False", "DependencyNotReady"), seconds=30)
        await anyio.sleep(5)
        writes = len(world.writes())
        await anyio.sleep(1200)
        assert len(world.writes()) == writes

    tell(story)


@pytest.mark.parametrize("names", list(itertools.permutations("abcd"))[::5])
def test_passes_go_over_a_source_after_those_that_it_depends_on(names: tuple[str, ...]):
    first, second, third, fourth = names
    resources = [
        a_source(first),
        a_source(second, first),
        a_source(third, second, first),
        a_source(fourth, third),
    ]
    sources = {resource.key: resource for resource in resources}
    assert [key.name for key in in_order(sources)] == list(names)


def test_a_cycle_and_a_long_chain_are_ordered_too():
    ring = [a_source("a", "b"), a_source("b", "c"), a_source("c", "a"), a_source("d", "d", "nobody")]
    assert sorted(key.name for key in in_order({r.key: r for r in ring})) == ["a", "b", "c", "d"]
    chain = [a_source(f"{number:05}", f"{number + 1:05}") for number in range(3000)]
    assert in_order({r.key: r for r in chain})[0].name == "02999"
