"""A daemon with rights in one namespace alone asks for nothing outside of it, and works."""

from __future__ import annotations

import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.engine.accept import known_of
from gitmesh.model.config import Config
from gitmesh.model.rollout import Phase


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def commit(weights: str) -> dict[str, str]:
    policy = a_policy("reviews", steps="10 60s, 100", bake="0s")
    return files(a_service("reviews", weights), a_rule("reviews"), policy)


def test_every_request_of_a_whole_rollout_is_in_the_namespace():
    async def begin() -> None:
        world = DaemonWorld(namespace="default", namespace_only=True)
        repository = world.add_source()
        repository.push(commit("v1 100, v2 0"))

        async def act(_: object) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            repository.push(commit("v1 0, v2 100"))
            await world.until(lambda: (r := world.record()) and r.phase is Phase.PROGRESSING, 300)
            world.metrics.error_percent["reviews", "v2"] = 50
            await world.until(lambda: (r := world.record()) and r.phase is Phase.ROLLED_BACK, 300)
            await world.until(lambda: world.live().get("v1") == 100)

        await in_world(world, act)
        assert {"list", "watch", "apply"} <= {request.verb for request in world.cluster.requests}
        assert [str(r) for r in world.cluster.requests if r.namespace != "default"] == []

    run_virtually(begin)


def test_who_sees_one_namespace_does_not_know_which_services_there_are():
    async def begin() -> None:
        for only in (False, True):
            world = DaemonWorld(namespace="default", namespace_only=only)
            world.add_source().push(commit("v1 100, v2 0"))

            async def act(_: object, world: DaemonWorld = world, only: bool = only) -> None:
                await world.until(lambda: world.ready() == ("True", "Applied"))
                assert world.life
                assert world.life.live
                assert (known_of(world.life.live.snapshot()).services is None) is only

            await in_world(world, act)

    run_virtually(begin)


def test_one_namespace_has_to_be_named():
    with pytest.raises(ValueError, match="namespaceOnly needs a namespace"):
        Config.model_validate({"dataDir": "/data", "namespaceOnly": True})
