"""Objects that people want left alone, and drift that is only reported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import DESTINATION_RULE, EVENT, VIRTUAL_SERVICE
from gitmesh.model.rollout import Phase

Story = Callable[[DaemonWorld, Any], Awaitable[None]]
REVIEWS = (a_service("reviews", "v1 100, v2 0"), a_rule("reviews"))
RATINGS = (a_service("ratings", "v1 100"), a_rule("ratings"))
ALONE = {"gitmesh.dev/reconcile": "disabled"}


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def tell(story: Story, *first: Any, spec: dict[str, Any] | None = None) -> None:
    async def whole() -> None:
        world = DaemonWorld()
        repository = world.add_source(**(spec or {}))
        repository.push(files(*(first or (*REVIEWS, *RATINGS))))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await story(world, repository)

        await in_world(world, act)

    run_virtually(whole)


def mark(world: DaemonWorld, name: str = "reviews", **annotations: str | None) -> None:
    marks = {f"gitmesh.dev/{key}": value for key, value in annotations.items()}
    world.patch(VIRTUAL_SERVICE, name, {"metadata": {"annotations": marks}}, manager="kubectl")


def skipped(world: DaemonWorld) -> dict[str, str]:
    return {s.resource: s.why for s in world.status().skipped}


def message(world: DaemonWorld) -> str:
    return next(c.message for c in world.status().conditions if c.type == "Ready")


def test_what_a_person_takes_over_is_theirs_until_the_mark_goes_and_the_rest_is_healed():
    async def story(world: DaemonWorld, repository: Any) -> None:
        mark(world, reconcile="disabled")
        world.cluster.put(a_service("reviews", "v1 5, v2 95"))
        world.cluster.put(a_service("ratings", "v2 100"))
        await world.until(lambda: world.live("ratings") == {"v1": 100})
        repository.push(files(a_service("reviews", "v1 50, v2 50"), a_rule("reviews"), *RATINGS))
        await anyio.sleep(60)
        assert world.live() == {"v1": 5, "v2": 95}
        assert skipped(world) == {"VirtualService default/reviews": "ReconcileDisabled"}
        assert world.ready() == ("True", "Applied")
        assert "left alone: VirtualService default/reviews" in message(world)
        repository.push(files(*RATINGS))
        await anyio.sleep(60)
        assert world.live() == {"v1": 5, "v2": 95}, "nor is it pruned"
        repository.push(files(*REVIEWS, *RATINGS))
        await anyio.sleep(30)
        mark(world, reconcile=None)
        assert await world.until(lambda: world.live() == {"v1": 100}) < 1
        await world.until(lambda: not skipped(world))

    tell(story)


def test_a_rollout_of_what_a_person_takes_over_holds_and_still_goes_back_when_it_fails():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(a_service("reviews", "v1 0, v2 100"), a_rule("reviews"), policy))
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10})
        mark(world, reconcile="disabled")
        await anyio.sleep(60)
        assert world.live() == {"v1": 90, "v2": 10}
        record = world.record()
        assert record
        assert "gitmesh.dev/reconcile is disabled: held" in record.message
        world.metrics.error_percent["reviews", "v2"] = 50
        await world.until(lambda: world.live() == {"v1": 100})
        record = world.record()
        assert record
        assert record.phase is Phase.ROLLED_BACK

    policy = a_policy("reviews", steps="10 15s, 50 60s, 100")
    tell(story, *REVIEWS, policy)


def test_a_rollout_does_not_begin_on_what_git_wants_left_alone():
    async def story(world: DaemonWorld, repository: Any) -> None:
        new = a_service("reviews", "v1 0, v2 100")
        new["metadata"]["annotations"] = ALONE
        repository.push(files(new, a_rule("reviews"), policy))
        await anyio.sleep(60)
        assert world.live() == {"v1": 100}
        new["metadata"]["annotations"] = {}
        repository.push(files(new, a_rule("reviews"), policy))
        await world.until(lambda: world.live() == {"v2": 100})

    policy = a_policy("reviews")
    tell(story, *REVIEWS, policy)


def test_g4_with_heal_off_drift_is_reported_with_its_fields_and_not_reverted():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.cluster.put(a_service("reviews", "v1 40, v2 60"), manager="kubectl-edit")
        await world.until(lambda: world.ready() == ("False", "Drifted"))
        (found,) = world.status().skipped
        assert (found.resource, found.why) == ("VirtualService default/reviews", "HealDisabled")
        assert found.fields == ("spec.http[0].route[0].weight", "spec.http[0].route[1].weight")
        assert "VirtualService default/reviews: live was changed" in message(world)
        writes = len(world.writes())
        await anyio.sleep(700)
        assert (world.live(), len(world.writes())) == ({"v1": 40, "v2": 60}, writes)
        assert len([e for e in world.cluster.all(EVENT, "default") if e["reason"] == "Drifted"]) == 1
        repository.push(files(*REVIEWS, a_service("ratings", "v2 100"), a_rule("ratings")))
        await world.until(lambda: world.live("ratings") == {"v2": 100})
        assert world.live() == {"v1": 40, "v2": 60}, "a commit to another object leaves it"
        repository.push(files(a_service("reviews", "v1 80, v2 20"), a_rule("reviews"), *RATINGS))
        await world.until(lambda: world.live() == {"v1": 80, "v2": 20})
        await world.until(lambda: world.ready() == ("True", "Applied"))

    tell(story, spec={"heal": False})


def test_with_heal_off_a_commit_that_takes_back_one_that_was_live_in_part_only_is_no_drift():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.cluster.put(a_service("details", "v1 100"))
        theirs = (a_service("details", "v1 50, v2 50"), a_rule("details"))
        await anyio.sleep(1)
        repository.push(files(a_service("reviews", "v1 80, v2 20"), a_rule("reviews"), *RATINGS, *theirs))
        await world.until(lambda: world.live() == {"v1": 80, "v2": 20})
        assert world.ready()[0] == "False", "the object of somebody else is refused"
        repository.push(files(*REVIEWS, *RATINGS))
        await world.until(lambda: world.live() == {"v1": 100})

    tell(story, spec={"heal": False})


def test_with_heal_off_what_somebody_deletes_is_reported_too():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.cluster.take(DESTINATION_RULE, "default", "ratings")
        await world.until(lambda: world.ready() == ("False", "Drifted"))
        assert "was deleted" in message(world)

    tell(story, spec={"heal": False})


def test_g7_what_is_kept_from_pruning_stays_and_says_so():
    async def story(world: DaemonWorld, repository: Any) -> None:
        mark(world, "ratings", prune="disabled")
        repository.push(files(*REVIEWS, a_rule("ratings")))
        await world.until(lambda: skipped(world) == {"VirtualService default/ratings": "PruneDisabled"})
        assert world.live("ratings") == {"v1": 100}
        assert world.ready() == ("True", "Applied")

    tell(story)
