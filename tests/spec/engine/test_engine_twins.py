"""A DestinationRule on its way, with a daemon: twins come before routes name them, and go after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.istio.walks.rules import is_twin
from gitmesh.kube.protocol import Body
from gitmesh.model.kinds import DESTINATION_RULE, VIRTUAL_SERVICE
from gitmesh.model.resource import resource_from_body
from gitmesh.model.rollout import Phase
from gitmesh.plan.references import missing_subsets

ROLLOUT = "reviews.destinationrule"
WIDE, TIGHT = ({"connectionPool": {"tcp": {"maxConnections": count}}} for count in (100, 1))


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def rule(policy: dict[str, Any], *more: str) -> dict[str, Any]:
    body = a_rule(subsets=("v1", "v2", *more))
    body["spec"]["subsets"][0]["trafficPolicy"] = policy
    return body


def policy_for_rules(**options: Any) -> dict[str, Any]:
    body = a_policy(**options)
    body["spec"]["select"]["kinds"] = ["DestinationRule"]
    return body


class Watched:
    """The world, and whether every write left each route with its subsets."""

    def __init__(self) -> None:
        self.world = DaemonWorld()
        self.source = self.world.add_source()
        self.missing: list[str] = []
        self.world.cluster.written = self._written

    def _written(self, request: Any, noted: Any, before: Body | None, after: Body | None) -> None:
        bodies = [
            b for kind in (VIRTUAL_SERVICE, DESTINATION_RULE) for b in self.world.cluster.all(kind, "default")
        ]
        self.missing += [f"{request}: {m}" for m in missing_subsets(map(resource_from_body, bodies)).items()]

    def push(self, policy: dict[str, Any], *more: dict[str, Any], **options: Any) -> None:
        self.source.push(files(a_service(weights="v1 100"), rule(policy), policy_for_rules(**options), *more))

    def live_rule(self) -> dict[str, Any]:
        found = self.world.cluster.find(DESTINATION_RULE, "default", "reviews")
        return dict(found["spec"]) if found else {}

    def shares(self) -> dict[str, int]:
        """The weights by subset; all twins as `twin`."""
        weights = self.world.live()
        return {"twin" if is_twin(name) else name: weight for name, weight in weights.items()}

    def is_clean(self, policy: dict[str, Any]) -> bool:
        services = self.world.cluster.find(VIRTUAL_SERVICE, "default", "reviews")
        return (
            self.live_rule() == rule(policy)["spec"]
            and services is not None
            and services["spec"] == a_service(weights="v1 100")["spec"]
        )

    def phase(self) -> Phase | None:
        record = self.world.record(ROLLOUT)
        return record.phase if record else None


Work = Callable[[Watched, Any], Awaitable[None]]


def walk(work: Work, **source: Any) -> None:
    """Let a daemon bring the wide policy to rest, and then do some work."""

    async def whole() -> None:
        watched = Watched()
        watched.world.add_source(**source)

        async def act(group: anyio.abc.TaskGroup) -> None:
            watched.push(WIDE)
            await watched.world.until(lambda: watched.is_clean(WIDE) and watched.phase() is Phase.SUCCEEDED)
            await work(watched, group)

        await in_world(watched.world, act)
        assert not watched.missing

    run_virtually(whole)


def test_a_new_policy_is_walked_to_the_end_and_leaves_nothing():
    async def work(watched: Watched, _: Any) -> None:
        seen: list[dict[str, int]] = []
        watched.push(TIGHT)

        def done() -> bool:
            if (shares := watched.shares()) not in seen:
                seen.append(shares)
            return watched.phase() is Phase.SUCCEEDED and watched.is_clean(TIGHT)

        await watched.world.until(done)
        assert seen == [{"v1": 100}, {"twin": 10, "v1": 90}, {"twin": 50, "v1": 50}]

    walk(work)


def test_a_policy_that_fails_goes_back_and_leaves_nothing():
    async def work(watched: Watched, _: Any) -> None:
        watched.push(TIGHT)
        await watched.world.until(lambda: watched.shares().get("twin"))
        assert watched.live_rule()["subsets"][0]["trafficPolicy"] == WIDE
        watched.world.metrics.error_percent["reviews", "v1"] = 50
        await watched.world.until(lambda: watched.phase() is Phase.ROLLED_BACK)
        await watched.world.until(lambda: watched.is_clean(WIDE))

    walk(work)


def test_it_goes_back_while_git_is_not_followed():
    async def work(watched: Watched, _: Any) -> None:
        watched.push(TIGHT)
        await watched.world.until(lambda: watched.shares().get("twin"))
        watched.world.add_source(suspend=True)
        await anyio.sleep(0.5)
        watched.world.metrics.error_percent["reviews", "v1"] = 50
        await watched.world.until(lambda: watched.phase() is Phase.ROLLED_BACK)
        await watched.world.until(
            lambda: watched.shares() == {"v1": 100} and watched.live_rule() == rule(WIDE)["spec"]
        )

    walk(work)


def test_other_content_on_the_way_has_another_twin_and_the_first_one_goes():
    async def work(watched: Watched, _: Any) -> None:
        watched.push(TIGHT)
        await watched.world.until(lambda: watched.shares().get("twin"))
        (first,) = [name for name in watched.world.live() if is_twin(name)]
        other = {"connectionPool": {"tcp": {"maxConnections": 7}}}
        watched.push(other)

        def replaced() -> bool:
            names = [name for name in watched.world.live() if is_twin(name)]
            return bool(names) and names != [first]

        await watched.world.until(replaced)
        await watched.world.until(lambda: watched.phase() is Phase.SUCCEEDED and watched.is_clean(other))

    walk(work)


def test_routes_and_rule_are_walked_at_the_same_time():
    async def work(watched: Watched, _: Any) -> None:
        both = a_policy(policy="routes")
        routes = a_service(weights="v1 0, v2 100")
        watched.source.push(files(routes, rule(TIGHT), policy_for_rules(), both))
        await watched.world.until(lambda: len(watched.world.live()) == 3)
        assert sum(watched.world.live().values()) == 100
        await watched.world.until(lambda: watched.live_rule() == rule(TIGHT)["spec"])
        await watched.world.until(
            lambda: (
                watched.world.cluster.find(VIRTUAL_SERVICE, "default", "reviews")["spec"] == routes["spec"]
            )  # type: ignore[index]
        )

    walk(work)


def test_shares_are_no_drift_so_they_move_also_where_nothing_is_healed():
    async def work(watched: Watched, _: Any) -> None:
        watched.push(TIGHT)
        await watched.world.until(lambda: watched.phase() is Phase.SUCCEEDED and watched.is_clean(TIGHT))

    walk(work, heal=False)


def test_a_restart_in_the_middle_changes_nothing():
    async def work(watched: Watched, group: anyio.abc.TaskGroup) -> None:
        watched.push(TIGHT)
        await watched.world.until(lambda: watched.shares().get("twin") == 50)
        assert watched.world.life is not None
        watched.world.life.kill()
        watched.world.spawn(group)
        await watched.world.until(lambda: watched.phase() is Phase.SUCCEEDED and watched.is_clean(TIGHT))

    walk(work)
