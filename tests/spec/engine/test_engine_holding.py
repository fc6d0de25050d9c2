"""A revision that would do too much at once waits for a person; everything else goes on meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import DESTINATION_RULE, EVENT, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.rollout import Phase
from gitmesh.model.source import APPROVE_ANNOTATION

Story = Callable[[DaemonWorld, Any], Awaitable[None]]
REVIEWS = (a_service("reviews", "v1 100, v2 0"), a_rule("reviews"))
REST = tuple(a_rule(f"other{number}") for number in range(4))
ALL = (*REVIEWS, *REST)


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def tell(story: Story, *first: Any, spec: dict[str, Any] | None = None) -> None:
    async def whole() -> None:
        world = DaemonWorld()
        repository = world.add_source(**(spec or {}))
        repository.push(files(*(first or ALL)))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await story(world, repository)

        await in_world(world, act)

    run_virtually(whole)


async def held(world: DaemonWorld) -> str:
    """Wait for a plan to be held; return its hash."""
    await world.until(lambda: world.ready() == ("False", "AwaitingApproval"))
    plan = world.status().held_plan
    assert plan
    return plan.hash


def approve(world: DaemonWorld, text: str, **others: str) -> None:
    annotations = {APPROVE_ANNOTATION: text, **others}
    patch = {"metadata": {"annotations": annotations}}
    world.patch(TRAFFIC_SOURCE, "mesh", patch, manager="kubectl-annotate")


def asks(world: DaemonWorld) -> bool:
    body = world.cluster.find(TRAFFIC_SOURCE, "default", "mesh")
    assert body
    return APPROVE_ANNOTATION in (body["metadata"].get("annotations") or {})


def rules(world: DaemonWorld) -> int:
    return len(world.cluster.all(DESTINATION_RULE))


def events(world: DaemonWorld, reason: str) -> list[Any]:
    return [e for e in world.cluster.all(EVENT, "default") if e["reason"] == reason]


def test_a_plan_that_deletes_too_much_changes_nothing_and_says_what_it_would_do_and_how_to_approve_it():
    async def story(world: DaemonWorld, repository: Any) -> None:
        good = world.status().last_applied_revision
        repository.push(files(*REVIEWS))
        plan = await held(world)
        status = world.status()
        found = {c.type: c.status for c in status.conditions if c.type != "InEffect"}
        assert found == {"Ready": "False", "Stalled": "True"}
        message = status.conditions[0].message
        assert "4 of 6 objects would be deleted at once, limit 50 %" in message
        assert f"gitmesh approve {plan}" in message
        assert "main@0000001 stays" in message
        assert status.held_plan
        assert (status.held_plan.deletes, status.held_plan.changes, status.held_plan.owned) == (4, 0, 6)
        assert status.held_plan.objects[0] == "delete DestinationRule default/other3"
        assert (status.last_applied_revision, status.accepted_revision) == (good, good)
        writes = len(world.writes())
        await anyio.sleep(700)
        assert len(world.writes()) == writes, "it waits without a word"
        assert rules(world) == 5
        assert [e["count"] for e in events(world, "AwaitingApproval")] == [1]

    tell(story)


def test_while_a_plan_is_held_the_revision_before_is_healed_and_its_rollouts_go_on_and_back():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(a_service("reviews", "v1 0, v2 100"), a_rule("reviews"), *REST, policy))
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10})
        repository.push(files(a_service("reviews", "v1 100, v2 0"), a_rule("reviews"), policy))
        await held(world)
        world.cluster.take(DESTINATION_RULE, "default", "reviews")
        assert await world.until(lambda: rules(world) == 5) < 1
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, seconds=40)
        world.metrics.error_percent["reviews", "v2"] = 50
        await world.until(lambda: world.live() == {"v1": 100})
        record = world.record()
        assert record
        assert record.phase is Phase.ROLLED_BACK
        assert world.ready() == ("False", "AwaitingApproval")

    policy = a_policy("reviews", steps="10 15s, 50 60s, 100")
    tell(story, *ALL, policy)


def test_an_approval_lets_exactly_that_plan_through_and_says_by_whom_and_why():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS))
        plan = await held(world)
        approve(world, f"{plan} we move out")
        assert await world.until(lambda: rules(world) == 1) < 2
        await world.until(lambda: world.ready() == ("True", "Applied"))
        status = world.status()
        assert status.held_plan is None
        assert status.approval
        assert (status.approval.plan, status.approval.by) == (plan, "kubectl-annotate")
        assert (status.approval.why, status.approval.open) == ("we move out", False)
        assert len(status.inventory) == 2
        assert not asks(world)
        assert "kubectl-annotate (we move out)" in events(world, "PlanApproved")[0]["message"]

    tell(story)


def test_an_approval_is_for_once():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS))
        plan = await held(world)
        approve(world, plan)
        await world.until(lambda: rules(world) == 1)
        repository.push(files(*ALL))
        await world.until(lambda: rules(world) == 5)
        repository.push(files(*REVIEWS))
        again = await held(world)
        await anyio.sleep(60)
        assert rules(world) == 5
        approve(world, again)
        await world.until(lambda: rules(world) == 1)

    tell(story)


def test_g27_an_approval_is_void_after_another_commit():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS))
        first = await held(world)
        repository.push(files(a_service("reviews", "v1 50, v2 50"), a_rule("reviews")))
        await world.until(lambda: (p := world.status().held_plan) is not None and p.hash != first)
        approve(world, first)
        await world.until(lambda: not asks(world))
        await anyio.sleep(60)
        assert (rules(world), world.live()) == (5, {"v1": 100})
        assert first in events(world, "ApprovalVoid")[0]["message"]
        second = world.status().held_plan
        assert second
        approve(world, second.hash)
        await world.until(lambda: (rules(world), world.live()) == (1, {"v1": 50, "v2": 50}))

    tell(story)


def test_the_commit_that_takes_it_back_ends_the_wait_and_an_approval_of_before_lets_nothing_through():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS))
        first = await held(world)
        repository.push(files(*ALL))
        await world.until(lambda: world.ready() == ("True", "Applied"))
        assert world.status().held_plan is None
        approve(world, first)
        repository.push(files(*ALL, a_rule("other9")))
        await world.until(lambda: rules(world) == 6)
        await world.until(lambda: not asks(world))
        assert events(world, "ApprovalVoid")

    tell(story)


def test_who_approved_can_be_named():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS))
        approve(world, await held(world), **{"gitmesh.dev/approved-by": "ada"})
        await world.until(lambda: rules(world) == 1)
        approval = world.status().approval
        assert approval
        assert approval.by == "ada"

    tell(story)


@pytest.mark.parametrize("loses_mirror", [False, True])
def test_after_a_restart_the_same_plan_is_held_with_the_same_hash_since_the_same_moment(loses_mirror: bool):
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS))
        await held(world)
        before = world.status().held_plan
        assert world.life
        world.life.kill()
        if loses_mirror:
            world.mirrors.clear()
        async with anyio.create_task_group() as group:
            world.spawn(group)
            await anyio.sleep(30)
            assert world.ready() == ("False", "AwaitingApproval")
            assert world.status().held_plan == before
            world.cluster.put(a_service("reviews", "v1 1, v2 99"))
            await world.until(lambda: world.live() == {"v1": 100})
            assert rules(world) == 5
            group.cancel_scope.cancel()

    tell(story)


def test_drift_while_a_plan_is_held_makes_no_other_plan_of_it():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS))
        plan = await held(world)
        seen: set[str] = set()
        world.cluster.written = lambda r, *_: (
            seen.add(p.hash) if r.kind == "TrafficSource" and (p := world.status().held_plan) else None
        )
        for _ in range(3):
            world.cluster.put(a_service("reviews", "v1 1, v2 99"))
            await world.until(lambda: world.live() == {"v1": 100})
            await anyio.sleep(30)
        assert seen <= {plan}
        world.cluster.put(a_service("reviews", "v1 1, v2 99"))
        approve(world, plan)
        await world.until(lambda: rules(world) == 1)

    tell(story)


def test_an_approved_plan_that_was_cut_short_is_not_asked_about_again():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS))
        plan = await held(world)
        world.cluster.refuses = lambda r: (r.verb, r.name, r.dry_run) == ("delete", "other2", False)
        approve(world, plan)
        await world.until(lambda: rules(world) == 2)
        await world.until(lambda: world.ready() == ("False", "PruneFailed"))
        assert world.life
        world.life.kill()
        async with anyio.create_task_group() as group:
            world.spawn(group)
            await anyio.sleep(5)
            world.cluster.refuses = lambda r: False
            await world.until(lambda: rules(world) == 1)
            await world.until(lambda: world.ready() == ("True", "Applied"))
            group.cancel_scope.cancel()

    tell(story)


def test_a_raised_limit_lets_it_through_too():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS))
        await held(world)
        body = world.cluster.find(TRAFFIC_SOURCE, "default", "mesh")
        assert body
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {**body["spec"], "limits": {"deletePercentMax": 100}}})
        await world.until(lambda: rules(world) == 1)
        assert world.status().held_plan is None

    tell(story)


def test_pruning_that_is_switched_on_is_held_too_when_it_would_delete_too_much():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(*REVIEWS))
        await world.until(lambda: world.ready() == ("True", "Applied"))
        await anyio.sleep(15)
        assert rules(world) == 5
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"prune": True}})
        plan = await held(world)
        world.cluster.put(a_service("reviews", "v1 1, v2 99"))
        assert await world.until(lambda: world.live() == {"v1": 100}) < 1
        assert rules(world) == 5
        approve(world, plan)
        await world.until(lambda: rules(world) == 1)
        await world.until(lambda: world.ready() == ("True", "Applied"))

    tell(story, spec={"prune": False})


def test_g8_an_empty_source_deletes_nothing_and_what_was_there_is_still_healed():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push({"README.md": "moved"})
        await world.until(lambda: world.ready() == ("False", "PlanRefused"))
        assert "no traffic configuration" in world.status().conditions[0].message
        world.cluster.put(a_service("reviews", "v1 1, v2 99"))
        assert await world.until(lambda: world.live() == {"v1": 100}) < 1
        assert rules(world) == 5

    tell(story)


def test_a_suspended_source_holds_nothing_and_asks_when_it_is_resumed():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"suspend": True}})
        await world.until(lambda: world.ready() == ("Unknown", "Suspended"))
        repository.push(files(*REVIEWS))
        await anyio.sleep(30)
        assert world.ready() == ("Unknown", "Suspended")
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"suspend": False}})
        await held(world)
        assert world.cluster.find(VIRTUAL_SERVICE, "default", "reviews")

    tell(story)
