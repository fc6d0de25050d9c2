"""What people are told beside the cluster: each thing once, with where it stands; nothing waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.daemon_world import (
    DaemonWorld,
    Repository,
    a_policy,
    a_rule,
    a_service,
    files,
    in_world,
    without_threads,
)
from fakes.notices import Listener
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.notice import Importance, Notice
from gitmesh.model.rollout import Phase

STEPS = "10 60s, 50 60s, 100"
Story = Callable[[DaemonWorld, Repository, Listener], Awaitable[None]]


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def commit(weights: str, **policy: Any) -> dict[str, str]:
    told = {"steps": STEPS, "bake": "0s", **policy}
    return files(a_service("reviews", weights), a_rule("reviews"), a_policy("reviews", **told))


def play(story: Story) -> None:
    """Play a story that begins with a first commit, applied and told."""

    async def begin() -> None:
        world, listener = DaemonWorld(), Listener()
        world.notices = listener
        repository = world.add_source()
        repository.push(commit("v1 100, v2 0"))

        async def act(_: object) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await story(world, repository, listener)

        await in_world(world, act)

    run_virtually(begin)


def of(listener: Listener, event: str) -> Notice:
    (found,) = [notice for notice in listener.notices if notice.event == event]
    return found


def test_an_accepted_commit_is_told_and_so_is_that_it_is_applied():
    async def story(world: DaemonWorld, repository: Repository, listener: Listener) -> None:
        assert listener.events == ["RevisionAccepted", "Applied"]
        revision = world.status().accepted_revision
        assert of(listener, "RevisionAccepted").revision == revision
        assert of(listener, "Applied").importance is Importance.INFO
        commit = revision.partition("@")[2][:7]
        assert listener.states == [(commit, "pending"), (commit, "success")]

    play(story)


def test_a_rollout_tells_its_beginning_each_step_and_its_end():
    async def story(world: DaemonWorld, repository: Repository, listener: Listener) -> None:
        listener.items.clear()
        repository.push(commit("v1 0, v2 100"))
        await world.until(lambda: "RolloutSucceeded" in listener.events, 400)
        await world.until(lambda: world.ready() == ("True", "Applied"))
        told = [n for n in listener.notices if n.rollout]
        assert [(n.event, n.rollout.progress) for n in told if n.rollout] == [
            ("RolloutStarted", 10),
            ("RolloutStep", 50),
            ("RolloutStep", 100),
            ("RolloutSucceeded", 100),
        ]
        assert len({n.rollout.run for n in told if n.rollout}) == 1
        assert len({n.id for n in told}) == len(told)
        assert listener.states[0][1] == "pending"
        assert listener.states[-1][1] == "success"
        assert len(listener.states) == 2

    play(story)


def test_a_rollback_is_told_with_its_reason_and_the_commit_failed():
    async def story(world: DaemonWorld, repository: Repository, listener: Listener) -> None:
        listener.items.clear()
        world.metrics.error_percent["reviews", "v2"] = 50
        repository.push(commit("v1 0, v2 100"))
        await world.until(lambda: (r := world.record()) and r.phase is Phase.ROLLED_BACK, 400)
        await world.until(lambda: world.ready() == ("False", "RolledBack"))
        back = of(listener, "RolledBack")
        assert back.importance is Importance.ERROR
        record = world.record()
        assert record
        assert back.message == record.message
        assert back.rollout
        assert back.rollout.run == of(listener, "RolloutStarted").rollout.run  # type: ignore[union-attr]
        assert [state for _, state in listener.states] == ["pending", "failure"]

    play(story)


def test_a_refused_commit_is_told_with_its_first_findings_and_fails_alone():
    async def story(world: DaemonWorld, repository: Repository, listener: Listener) -> None:
        good = world.status().accepted_revision
        listener.items.clear()
        repository.push({**commit("v1 100, v2 0"), "broken.yaml": "kind: [\n"})
        await world.until(lambda: world.ready() == ("False", "ValidationFailed"))
        refused = of(listener, "RevisionRefused")
        assert refused.importance is Importance.ERROR
        assert refused.findings[0].startswith("broken.yaml:")
        assert refused.revision != good
        (state,) = listener.states
        assert state == (refused.revision.partition("@")[2][:7], "failure")

    play(story)


def test_a_commit_that_is_not_to_be_trusted_fails_and_the_one_that_is_live_does_not():
    async def story(world: DaemonWorld, repository: Repository, listener: Listener) -> None:
        second = repository.push(commit("v1 100, v2 0", bake="1s"))
        await world.until(lambda: (second.id[:7], "success") in listener.states, 200)
        live = world.status().accepted_revision
        listener.items.clear()
        bad = repository.force_push(commit("v1 100, v2 0", bake="2s"), forgets=1)
        await world.until(lambda: world.ready() == ("False", "HistoryRewritten"), 200)
        held = of(listener, "HistoryRewritten")
        assert (held.importance, held.revision) == (Importance.ERROR, f"main@{bad.id}")
        assert listener.states == [(bad.id[:7], "failure")]
        assert world.status().accepted_revision == live

    play(story)


def test_fetches_that_fail_are_told_after_some_and_when_they_work_again():
    async def story(world: DaemonWorld, repository: Repository, listener: Listener) -> None:
        listener.items.clear()
        repository.reachable = False
        await world.until(lambda: "FetchFailed" in listener.events, 600)
        failed = of(listener, "FetchFailed")
        assert "3 times in a row" in failed.message
        await anyio.sleep(600)
        assert listener.events == ["FetchFailed"]
        repository.reachable = True
        await world.until(lambda: "FetchRecovered" in listener.events, 600)
        assert listener.states in ([], [(world.status().accepted_revision.partition("@")[2][:7], "success")])

    play(story)


def test_metrics_that_stay_away_are_told_and_so_is_how_it_went_on():
    async def story(world: DaemonWorld, repository: Repository, listener: Listener) -> None:
        listener.items.clear()
        world.metrics.blind = True
        repository.push(commit("v1 0, v2 100"))
        await world.until(lambda: "RolloutHeld" in listener.events, 400)
        held = next(n for n in listener.notices if n.event == "RolloutHeld")
        assert held.importance is Importance.WARNING
        world.metrics.blind = False
        await world.until(lambda: "RolloutSucceeded" in listener.events, 600)

    play(story)


def test_a_person_who_changes_what_is_live_is_told_of():
    async def story(world: DaemonWorld, repository: Repository, listener: Listener) -> None:
        listener.items.clear()
        world.patch(VIRTUAL_SERVICE, "reviews", {"spec": {"hosts": ["other"]}}, "kubectl-edit")
        await world.until(lambda: "DriftHealed" in listener.events)
        assert "kubectl-edit" in of(listener, "DriftHealed").message

    play(story)


def test_after_a_restart_where_things_stand_is_told_again_under_the_same_names():
    async def begin() -> None:
        world, listener = DaemonWorld(), Listener()
        world.notices = listener
        repository = world.add_source()
        repository.push(commit("v1 100, v2 0"))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            repository.push(commit("v1 0, v2 100"))
            await world.until(lambda: (r := world.record()) and r.progress == 50 and r.effective_at, 400)
            before = [n for n in listener.notices if n.rollout][-1]
            listener.items.clear()
            assert world.life
            world.life.kill()
            world.spawn(group)
            await world.until(lambda: any(n.rollout for n in listener.notices), 60)
            again = next(n for n in listener.notices if n.rollout)
            assert (again.again, again.id) == (True, before.id)
            assert all(n.again for n in listener.notices)
            assert listener.begun == 2

        await in_world(world, act)

    run_virtually(begin)


def test_a_daemon_without_anybody_to_tell_works_as_ever():
    async def begin() -> None:
        world = DaemonWorld()
        repository = world.add_source()
        repository.push(commit("v1 100, v2 0"))
        await in_world(world, lambda _: world.until(lambda: world.ready() == ("True", "Applied")))

    run_virtually(begin)


def test_a_commit_that_waits_for_a_person_is_pending_where_its_repository_is():
    async def story(world: DaemonWorld, repository: Repository, listener: Listener) -> None:
        more = [a_rule(f"other{number}") for number in range(4)]
        repository.push({**commit("v1 100, v2 0"), **files(*more)})
        await world.until(lambda: listener.events.count("Applied") == 2)
        before = world.status().accepted_revision
        repository.push(commit("v1 100, v2 0"))
        await world.until(lambda: "AwaitingApproval" in listener.events)
        status = world.status()
        assert status.held_plan
        assert status.accepted_revision == before != status.held_plan.revision
        assert of(listener, "AwaitingApproval").revision == status.held_plan.revision
        assert listener.states[-1] == (status.held_plan.revision.partition("@")[2][:7], "pending")

    play(story)


def test_a_fight_is_told_and_says_nothing_of_a_commit():
    async def story(world: DaemonWorld, repository: Repository, listener: Listener) -> None:
        states = list(listener.states)
        for _ in range(12):
            patch = {"spec": a_service("reviews", "v1 1, v2 99")["spec"]}
            world.patch(VIRTUAL_SERVICE, "reviews", patch, manager="weights.sh")
            await anyio.sleep(0.5)
        await world.until(lambda: world.ready() == ("False", "Fight"))
        await world.until(lambda: "Fight" in listener.events)
        assert listener.states == states

    play(story)
