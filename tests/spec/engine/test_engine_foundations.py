"""Namespaces that Git holds come before the routes in them, where the source asks for that, and never go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import NAMESPACE, VIRTUAL_SERVICE

Story = Callable[[DaemonWorld, Any], Awaitable[None]]
SHOP = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "shop", "labels": {"istio-injection": "enabled"}},
}


def in_shop(*bodies: Any) -> list[Any]:
    return [{**body, "metadata": {**body["metadata"], "namespace": "shop"}} for body in bodies]


REVIEWS = (a_service("reviews", "v1 100"), a_rule("reviews"))
ALL = (SHOP, *in_shop(a_service("reviews", "v1 100"), a_rule("reviews")))


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def tell(story: Story, **spec: Any) -> None:
    async def whole() -> None:
        world = DaemonWorld()
        repository = world.add_source(**spec)

        async def act(group: Any) -> None:
            await story(world, repository)

        await in_world(world, act)

    run_virtually(whole)


def written(world: DaemonWorld) -> list[str]:
    traffic = ("Namespace", "VirtualService", "DestinationRule")
    return [r.kind for r in world.cluster.requests if r.writes and r.verb == "apply" and r.kind in traffic]


def test_g20_a_missing_namespace_is_a_clear_error_and_nothing_is_applied():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*ALL))
        await world.until(lambda: world.ready() == ("False", "PlanRefused"))
        assert [r.resource for r in world.status().refusals] == [
            "DestinationRule shop/reviews",
            "VirtualService shop/reviews",
        ]
        for refused in world.status().refusals:
            assert 'namespaces "shop" not found' in refused.reason
            assert "create the namespace" in refused.hint
        assert not written(world)
        world.cluster.put(SHOP)
        await world.until(lambda: world.cluster.find(VIRTUAL_SERVICE, "shop", "reviews"), seconds=70)

    tell(story)


def test_a_namespace_in_git_comes_first_when_the_source_asks_for_that():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*ALL))
        await world.until(lambda: world.ready() == ("True", "Applied"))
        assert written(world) == ["Namespace", "DestinationRule", "VirtualService"]
        namespace = world.cluster.find(NAMESPACE, "", "shop")
        assert namespace is not None
        assert namespace["metadata"]["labels"]["istio-injection"] == "enabled"
        assert not [path for path in world.status().inventory if "Namespace" in path]
        await anyio.sleep(30)
        reads = len([r for r in world.cluster.requests if r.kind == "Namespace" and r.verb != "watch"])
        await anyio.sleep(300)
        assert (
            len([r for r in world.cluster.requests if r.kind == "Namespace" and r.verb != "watch"]) == reads
        )

    tell(story, foundations=["Namespace"])


def test_a_namespace_that_git_drops_stays_with_everything_in_it():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*ALL))
        await world.until(lambda: world.ready() == ("True", "Applied"))
        repository.push(files(*ALL[1:]))
        await anyio.sleep(60)
        assert world.ready() == ("True", "Applied")
        assert world.status().last_applied_revision == world.status().fetched_revision
        assert world.cluster.find(NAMESPACE, "", "shop")
        assert world.cluster.find(VIRTUAL_SERVICE, "shop", "reviews")

    tell(story, foundations=["Namespace"])


def _disable(world: DaemonWorld) -> None:
    labels = {"metadata": {"labels": {"istio-injection": "disabled"}}}
    world.cluster.edit(NAMESPACE, "", "shop", labels, manager="kubectl-edit")


def test_a_change_of_it_by_hand_is_put_right_within_a_second():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*ALL))
        await world.until(lambda: world.ready() == ("True", "Applied"))
        for pause in (0, 30, 1_000):
            await anyio.sleep(pause)
            _disable(world)
            assert await world.until(lambda: _injection(world) == "enabled", seconds=5) < 1

    tell(story, foundations=["Namespace"])


def test_one_that_is_deleted_by_hand_comes_back():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(SHOP, *REVIEWS))
        await world.until(lambda: world.ready() == ("True", "Applied"))
        await world.cluster.delete(NAMESPACE, "", "shop")
        await world.until(lambda: world.cluster.find(NAMESPACE, "", "shop"), seconds=5)

    tell(story, foundations=["Namespace"])


def test_one_that_is_changed_again_and_again_is_put_right_at_growing_intervals():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*ALL))
        await world.until(lambda: world.ready() == ("True", "Applied"))
        before = len(written(world))
        for _ in range(600):
            await anyio.sleep(1)
            if _injection(world) == "enabled":
                _disable(world)
        assert len(written(world)) - before < 15
        await world.until(lambda: _injection(world) == "enabled", seconds=400)

    tell(story, foundations=["Namespace"])


def test_where_it_may_not_be_watched_it_is_put_right_when_everything_is_looked_at_again():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.cluster.refuses = lambda request: (request.verb, request.kind) == ("watch", "Namespace")
        repository.push(files(*ALL))
        await world.until(lambda: world.ready() == ("True", "Applied"))
        await anyio.sleep(60)
        asked = len([r for r in world.cluster.requests if r.verb == "watch" and r.kind == "Namespace"])
        _disable(world)
        await anyio.sleep(300)
        assert _injection(world) == "disabled"
        assert (
            len([r for r in world.cluster.requests if r.verb == "watch" and r.kind == "Namespace"]) == asked
        )
        await world.until(lambda: _injection(world) == "enabled", seconds=1300)

    tell(story, foundations=["Namespace"])


def test_one_that_git_drops_is_watched_no_more():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(SHOP, *REVIEWS))
        await world.until(lambda: world.ready() == ("True", "Applied"))
        repository.push(files(*REVIEWS))
        await anyio.sleep(30)
        _disable(world)
        await anyio.sleep(1_300)
        assert _injection(world) == "disabled"

    tell(story, foundations=["Namespace"])


def _injection(world: DaemonWorld) -> str:
    found = world.cluster.find(NAMESPACE, "", "shop")
    assert found is not None
    return str(found["metadata"]["labels"]["istio-injection"])


def test_one_that_is_refused_keeps_everything_back():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.cluster.refuses = lambda request: request.kind == "Namespace" and request.verb == "apply"
        repository.push(files(*ALL))
        await world.until(lambda: world.ready() == ("False", "PlanRefused"))
        assert [r.resource for r in world.status().refusals] == ["Namespace shop"]
        assert not written(world)

    tell(story, foundations=["Namespace"])


def test_one_that_never_becomes_active_keeps_everything_back_and_says_so():
    async def story(world: DaemonWorld, repository: Any) -> None:
        plain = world.cluster.get

        async def get(kind: Any, namespace: str, name: str) -> Any:
            body = await plain(kind, namespace, name)
            return {**body, "status": {"phase": "Terminating"}} if kind is NAMESPACE else body

        world.cluster.get = get  # type: ignore[method-assign]
        repository.push(files(*ALL))
        await world.until(lambda: written(world) == ["Namespace"])
        await anyio.sleep(55)
        assert written(world) == ["Namespace"]
        await world.until(lambda: world.ready() == ("False", "ApplyFailed"), seconds=35)
        assert "Namespace shop: not established within 60 s" in world.status().conditions[0].message

    tell(story, foundations=["Namespace"])
