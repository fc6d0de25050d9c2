"""A cluster need not serve every kind of traffic object: some have no WorkloadEntry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fakes.cluster import _kinds
from fakes.daemon_world import DaemonWorld, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import DESTINATION_RULE, WORKLOAD_ENTRY

REVIEWS = (a_service("reviews", "v1 100"), a_rule("reviews"))
ENTRY = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm}
spec: {address: 10.0.0.1, labels: {app: reviews}}
"""


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def tell(story: Callable[[DaemonWorld, Any], Awaitable[None]], *, served: bool) -> None:
    async def whole() -> None:
        world = DaemonWorld()
        if not served:
            world.cluster.api.registry.remove(WORKLOAD_ENTRY.group, WORKLOAD_ENTRY.plural)
        repository = world.add_source()
        repository.push(files(*REVIEWS))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await story(world, repository)

        await in_world(world, act)

    run_virtually(whole)


def test_a_workload_entry_is_applied_like_any_other_object():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS) | {"vm.yaml": ENTRY})
        await world.until(lambda: world.cluster.find(WORKLOAD_ENTRY, "default", "vm") is not None)
        repository.push(files(*REVIEWS))
        await world.until(lambda: world.cluster.find(WORKLOAD_ENTRY, "default", "vm") is None)

    tell(story, served=True)


def test_where_the_kind_is_not_served_everything_else_goes_on():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS, a_rule("ratings")))
        await world.until(lambda: world.cluster.find(DESTINATION_RULE, "default", "ratings") is not None)

    tell(story, served=False)


def test_an_object_of_a_kind_that_is_not_served_is_refused_and_nothing_of_its_commit_is_applied():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS, a_rule("ratings")) | {"vm.yaml": ENTRY})
        await world.until(lambda: world.ready()[0] == "False")
        assert world.cluster.find(DESTINATION_RULE, "default", "ratings") is None
        (ready,) = [c for c in world.status().conditions if c.type == "Ready"]
        assert "WorkloadEntry default/vm" in ready.message

    tell(story, served=False)


def test_g19_an_object_waits_for_its_definition_and_appears_once_that_is_installed():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS) | {"vm.yaml": ENTRY})
        await world.until(lambda: world.ready() == ("False", "PlanRefused"))
        (refused,) = world.status().refusals
        assert refused.resource == "WorkloadEntry default/vm"
        assert "install the CRDs of this kind" in refused.hint
        assert world.live() == {"v1": 100}, "the last good revision stays"
        world.cluster.api.registry.add(next(kind for kind in _kinds() if kind.kind == WORKLOAD_ENTRY.kind))
        await world.until(lambda: world.ready() == ("True", "Applied"), seconds=130)
        assert world.cluster.find(WORKLOAD_ENTRY, "default", "vm") is not None

    tell(story, served=False)
