"""Who writes the same fields is named, on the source and on the object, and is not fought."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import EVENT, VIRTUAL_SERVICE
from gitmesh.model.rollout import Phase

Story = Callable[[DaemonWorld, Any], Awaitable[None]]
REVIEWS = (a_service("reviews", "v1 100, v2 0"), a_rule("reviews"))
MOVED = (a_service("reviews", "v1 50, v2 50"), a_rule("reviews"))
CAREFUL = (*REVIEWS, a_policy("reviews"))
CANARY = (a_service("reviews", "v1 0, v2 100"), a_rule("reviews"), a_policy("reviews"))


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def tell(story: Story, *first: Any, **spec: Any) -> None:
    async def whole() -> None:
        world = DaemonWorld()
        repository = world.add_source(**spec)
        repository.push(files(*(first or REVIEWS)))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await story(world, repository)

        await in_world(world, act)

    run_virtually(whole)


def writes_of(world: DaemonWorld) -> int:
    return len([r for r in world.cluster.requests if r.writes and r.kind == VIRTUAL_SERVICE.kind])


def events(world: DaemonWorld, reason: str) -> list[Any]:
    return [e for e in world.cluster.all(EVENT, "default") if e["reason"] == reason]


def test_argo_rollouts_3854_a_controller_that_owns_the_routes_is_named_and_not_overwritten():
    async def story(world: DaemonWorld, repository: Any) -> None:
        await anyio.sleep(5)
        world.cluster.edit(
            VIRTUAL_SERVICE,
            "default",
            "reviews",
            {"spec": a_service("reviews", "v1 60, v2 40")["spec"]},
            manager="rollouts-controller",
        )
        await world.until(lambda: world.ready() == ("False", "Conflict"))
        before = writes_of(world)
        repository.push(files(*MOVED))
        await anyio.sleep(300)
        assert world.ready() == ("False", "Conflict")
        assert (world.live(), writes_of(world)) == ({"v1": 60, "v2": 40}, before)
        (refused,) = world.status().refusals
        assert (refused.resource, refused.cause) == ("VirtualService default/reviews", "Conflict")
        assert "rollouts-controller (Update, since " in refused.reason
        assert ": spec.http" in refused.reason
        told = events(world, "Conflict")
        assert [e["involvedObject"]["kind"] for e in told] == ["TrafficSource", "VirtualService"]
        assert [e["count"] for e in told] == [1, 1]

    tell(story)


def test_a_conflict_ends_when_policy_says_force():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.cluster.put(a_service("reviews", "v1 60, v2 40"), manager="argocd-controller")
        await world.until(lambda: world.ready() == ("False", "Conflict"))
        forced = a_service("reviews", "v1 50, v2 50")
        forced["metadata"]["annotations"] = {"gitmesh.dev/conflicts": "force"}
        repository.push(files(forced, a_rule("reviews")))
        await world.until(lambda: world.ready() == ("True", "Applied"))
        assert world.live() == {"v1": 50, "v2": 50}
        assert not world.status().refusals

    tell(story)


def test_one_conflict_does_not_hold_up_other_objects():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.cluster.put(a_service("reviews", "v1 60, v2 40"), manager="flagger")
        repository.push(files(*MOVED, a_service("ratings", "v1 100"), a_rule("ratings")))
        await world.until(lambda: world.live("ratings") == {"v1": 100})
        assert world.live() == {"v1": 60, "v2": 40}

    tell(story)


def test_no_conflict_holds_up_a_rollback():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*CANARY))
        await world.until(lambda: world.live().get("v2", 0) > 0)
        world.cluster.put(a_service("reviews", "v1 0, v2 100"), manager="flagger")
        world.ask("reviews", rollBack=world.record().canary_hash)  # type: ignore[union-attr]
        await world.until(lambda: world.live() == {"v1": 100})
        record = world.record()
        assert record is not None
        assert record.phase is Phase.ROLLED_BACK

    tell(story, *CAREFUL)


def test_g3_a_field_that_was_added_by_hand_goes_once_and_for_all():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.cluster.edit(
            VIRTUAL_SERVICE, "default", "reviews", {"spec": {"exportTo": ["."]}}, manager="kubectl-edit"
        )
        await world.until(lambda: not _spec(world).get("exportTo"))
        before = writes_of(world)
        await anyio.sleep(600)
        assert writes_of(world) == before
        (told,) = events(world, "DriftHealed")
        assert "spec.exportTo (changed by kubectl-edit)" in told["message"]

    tell(story)


def _spec(world: DaemonWorld) -> Any:
    found = world.cluster.find(VIRTUAL_SERVICE, "default", "reviews")
    assert found is not None
    return found["spec"]


def test_g10_everything_that_is_refused_is_listed():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.cluster.refuses = lambda request: request.dry_run and request.name.startswith("bad")
        names = [f"bad{n:02}" for n in range(12)] + [f"good{n}" for n in range(8)]
        repository.push(files(*REVIEWS, *(a_rule(name) for name in names)))
        await world.until(lambda: world.ready() == ("False", "PlanRefused"))
        refused = world.status().refusals
        assert [r.resource for r in refused] == [f"DestinationRule default/bad{n:02}" for n in range(12)]
        assert all("denied the request" in r.reason for r in refused)
        ready = next(c for c in world.status().conditions if c.type == "Ready")
        assert "(and 11 more)" in ready.message
        assert not [r for r in world.cluster.requests if r.writes and "good" in r.name], "none is applied"

    tell(story)


def test_g22_of_two_sources_with_one_object_the_first_keeps_it_and_the_other_says_so():
    async def story(world: DaemonWorld, repository: Any) -> None:
        other = world.add_source("other", adopt=True, conflicts="force")
        other.push(files(*MOVED))
        await world.until(lambda: world.ready("other") == ("False", "PlanRefused"))
        assert [r.resource for r in world.status("other").refusals] == [
            "DestinationRule default/reviews",
            "VirtualService default/reviews",
        ]
        assert "it belongs to TrafficSource default/mesh" in world.status("other").refusals[0].reason
        before = writes_of(world)
        await anyio.sleep(300)
        assert (world.live(), writes_of(world)) == ({"v1": 100}, before)
        assert world.ready() == ("True", "Applied")
        assert not world.status("other").inventory

    tell(story)
