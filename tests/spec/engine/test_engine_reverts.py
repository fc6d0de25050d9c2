"""After a rollback Git is made to say again what is live, and no rollback waits for that."""

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
from fakes.virtual_time import run_virtually

from gitmesh.decide.requests import asking
from gitmesh.fetch.errors import FetchError, MovedError
from gitmesh.model.intent import RolloutIntent, Verb, patch_of
from gitmesh.model.kinds import EVENT, TRAFFIC_ROLLOUT, TRAFFIC_SOURCE
from gitmesh.model.revert import Revert, RevertState
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.model.source import ACCEPT_REWRITE_ANNOTATION

Story = Callable[[DaemonWorld, Repository], Awaitable[None]]
ROUTES = "virtualservice-reviews.yaml"


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def commit(
    reviews: str, ratings: str = "v1 100, v2 0", *, revert: str = "push", group: str = ""
) -> dict[str, str]:
    policy = a_policy("reviews", "ratings", steps="10 600s, 100", failures=1)
    policy["spec"]["rollback"] = {"revert": revert}
    policy["spec"]["group"] = group
    return files(
        a_service("reviews", reviews),
        a_rule("reviews"),
        a_service("ratings", ratings),
        a_rule("ratings"),
        policy,
    )


def play(story: Story, *, push: str = "allowed", both: bool = False, **policy: Any) -> None:
    """Play a story that begins with a rollout of reviews (or of both) at 10 %, seen live."""

    async def begin() -> None:
        world = DaemonWorld()
        repository = world.add_source(push=push, author="Robo <robo@example.com>")
        repository.push(commit("v1 100, v2 0", **policy))

        async def act(_: object) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            ratings = "v1 0, v2 100" if both else "v1 100, v2 0"
            repository.push(commit("v1 0, v2 100", ratings, **policy))
            for name in ("reviews", *(("ratings",) if both else ())):
                await world.until(lambda name=name: world.live(name) == {"v1": 90, "v2": 10})
            await anyio.sleep(1)
            await story(world, repository)

        await in_world(world, act)

    run_virtually(begin)


def record(world: DaemonWorld, name: str = "reviews") -> RolloutRecord:
    found = world.record(name)
    assert found
    return found


def revert_of(world: DaemonWorld) -> Revert:
    found = record(world).revert
    assert found
    return found


async def fail(world: DaemonWorld) -> None:
    """Let the canary of reviews fail, and see it go back in time."""
    world.metrics.error_percent["reviews", "v2"] = 100
    assert await world.until(lambda: world.live() == {"v1": 100}, 30) <= 2.0


def events(world: DaemonWorld, reason: str) -> list[str]:
    return [e["message"] for e in world.cluster.all(EVENT, "default") if e["reason"] == reason]


def test_git_says_again_what_is_live():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        before = repository.commits[-1].files
        await fail(world)
        await world.until(lambda: world.ready() == ("True", "Applied"), 10)
        (proposal,) = repository.proposals
        assert set(proposal.files) == {ROUTES}, "nothing else is touched"
        assert repository.commits[-1].files == {**before, ROUTES: repository.commits[0].files[ROUTES]}
        assert proposal.author == "Robo <robo@example.com>"
        assert proposal.message.startswith("Put VirtualService default/reviews back to what is live\n")
        assert "100 % errors" in proposal.message
        now, revert = record(world), revert_of(world)
        assert now.phase is Phase.SUCCEEDED
        assert now.quarantined == (revert.content,), "it stays in quarantine"
        assert (revert.state, revert.branch) == (RevertState.DONE, "main")
        assert revert.commit == repository.commits[-1].id
        assert events(world, "Reverted") == [f"reverted in Git: main@{revert.commit[:7]}"]
        assert f"reverted in Git: main@{revert.commit[:7]}" in [e.message for e in now.history]

    play(story)


def test_our_own_commit_starts_nothing_and_a_second_push_of_the_same_is_not_fought():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        await fail(world)
        await world.until(lambda: world.ready() == ("True", "Applied"), 10)
        await anyio.sleep(120)
        assert len(repository.commits) == 3
        repository.push(commit("v1 0, v2 100"))
        await world.until(lambda: record(world).phase is Phase.ROLLED_BACK, 20)
        await anyio.sleep(120)
        assert len(repository.commits) == 4, "somebody wants it in Git: that is theirs to say"
        assert world.live() == {"v1": 100}

    play(story)


def test_content_that_was_retried_and_failed_again_is_reverted_again():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        await fail(world)
        await world.until(lambda: world.ready() == ("True", "Applied"), 10)
        repository.push(commit("v1 0, v2 100"))
        await world.until(lambda: record(world).phase is Phase.ROLLED_BACK, 20)
        world.metrics.error_percent.clear()
        body = world.cluster.find(TRAFFIC_ROLLOUT, "default", "reviews")
        assert body
        intent = RolloutIntent.model_validate(body["spec"])
        asked = asking(intent, Verb.RETRY, record(world), by="", why="", now=world.clock.now())
        assert isinstance(asked, RolloutIntent)
        world.patch(TRAFFIC_ROLLOUT, "reviews", {"spec": patch_of(intent, asked)})
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10}, 20)
        await anyio.sleep(1)
        await fail(world)
        await world.until(lambda: len(repository.commits) == 5, 20)

    play(story)


def test_a_branch_is_pushed_for_a_pull_request_and_git_stays_ahead_until_it_is_merged():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        await fail(world)
        await world.until(lambda: repository.branches, 10)
        ((name, pushed),) = repository.branches.items()
        content = record(world).canary_hash
        assert name == f"gitmesh/revert-reviews-{content}"
        assert pushed.files[ROUTES] == repository.commits[0].files[ROUTES]
        await anyio.sleep(60)
        assert len(repository.commits) == 2
        assert world.ready() == ("False", "RolledBack")
        assert revert_of(world).message == f"a revert waits to be merged: {name}@{'b' * 7}"
        repository.push(pushed.files)
        await world.until(lambda: world.ready() == ("True", "Applied"), 20)

    play(story, revert="branch")


def test_nothing_is_pushed_that_the_source_does_not_allow():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        await fail(world)
        await world.until(lambda: record(world).revert, 10)
        assert revert_of(world).state is RevertState.REFUSED
        assert "spec.push: allowed" in revert_of(world).message
        await anyio.sleep(300)
        assert repository.proposals == []
        assert len(events(world, "RevertRefused")) == 1
        url = next(iter(world.repositories))
        spec = {"url": url, "interval": "10s", "push": "allowed"}
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": spec}, "kubectl")
        await world.until(lambda: world.ready() == ("True", "Applied"), 30)
        assert len(repository.proposals) == 1

    play(story, push="denied")


def test_a_policy_that_wants_none_gets_none():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        await fail(world)
        await anyio.sleep(60)
        assert (repository.proposals, record(world).revert) == ([], None)

    play(story, revert="none")


def test_a_group_is_reverted_by_one_commit():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        await fail(world)
        await world.until(lambda: world.ready() == ("True", "Applied"), 20)
        (proposal,) = repository.proposals
        assert set(proposal.files) == {ROUTES, "virtualservice-ratings.yaml"}
        assert proposal.message.startswith("Put 2 objects back to what is live\n")
        assert world.live("ratings") == {"v1": 100}

    play(story, both=True, group="shop")


def test_what_others_push_meanwhile_stays():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        pushed: list[object] = []

        def race() -> FetchError | None:
            if len(pushed) < 2:
                pushed.append(repository.push(repository.commits[-1].files | {f"n{len(pushed)}.txt": "x"}))
            return None

        repository.refuses_pushes = race
        await fail(world)
        await world.until(lambda: world.ready() == ("True", "Applied"), 20)
        assert {"n0.txt", "n1.txt"} <= set(repository.commits[-1].files)
        assert repository.commits[-1].files[ROUTES] == repository.commits[0].files[ROUTES]

    play(story)


def test_what_git_says_otherwise_by_now_is_not_reverted():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        def overtake() -> FetchError | None:
            repository.refuses_pushes = lambda: None
            repository.push(commit("v1 20, v2 80"))
            return MovedError("moved")

        repository.refuses_pushes = overtake
        await fail(world)
        world.metrics.error_percent.clear()
        await world.until(lambda: world.live() == {"v1": 92, "v2": 8}, 20)
        assert repository.proposals == []

    play(story)


TROUBLES: dict[str, Callable[[Repository], object]] = {
    "the remote is away": lambda r: setattr(r, "reachable", False),
    "the remote hangs": lambda r: setattr(r, "hangs", True),
    "others win every race": lambda r: setattr(r, "refuses_pushes", lambda: MovedError("moved")),
    "a bug": lambda r: setattr(r, "refuses_pushes", lambda: 1 / 0),
}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda name: name.replace(" ", "-"))
def test_a_push_that_does_not_work_holds_nothing_up_is_told_and_tried_again(trouble: str):
    async def story(world: DaemonWorld, repository: Repository) -> None:
        TROUBLES[trouble](repository)
        await fail(world)
        await world.until(lambda: record(world).revert, 90)
        assert revert_of(world).state is RevertState.PENDING
        assert events(world, "RevertPending")
        assert world.live() == {"v1": 100}
        if trouble == "a bug":
            world.crashes.clear()
        repository.reachable, repository.hangs, repository.refuses_pushes = True, False, lambda: None
        await world.until(lambda: world.ready() == ("True", "Applied"), 200)
        assert revert_of(world).state is RevertState.DONE
        assert len(repository.proposals) == 1

    play(story)


def test_a_server_that_refuses_is_not_asked_again():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        asked: list[int] = []

        def refuse() -> FetchError:
            asked.append(1)
            return FetchError("protected branch", retryable=False)

        repository.refuses_pushes = refuse
        await fail(world)
        await world.until(lambda: record(world).revert, 10)
        await anyio.sleep(600)
        assert revert_of(world).state is RevertState.FAILED
        assert revert_of(world).message == "revert it by hand: protected branch"
        assert len(asked) == 1
        assert world.ready() == ("False", "RolledBack")

    play(story)


def test_a_revert_that_would_break_the_rest_is_left_to_people():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        repository.push(commit("v2 100") | files(a_rule("reviews", ["v2"])))
        await anyio.sleep(12)
        assert world.live() == {"v1": 90, "v2": 10}
        await fail(world)
        await world.until(lambda: record(world).revert, 10)
        assert revert_of(world).state is RevertState.FAILED
        assert "without the rest of its commit it would be wrong" in revert_of(world).message
        assert repository.proposals == []

    play(story)


def test_a_restart_makes_no_second_revert():
    """The daemon dies after every effect of the revert in turn."""

    async def story(effects: int) -> None:
        world = DaemonWorld()
        repository = world.add_source(push="allowed")
        repository.push(commit("v1 100, v2 0"))

        async def act(group: anyio.abc.TaskGroup) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            repository.push(commit("v1 0, v2 100"))
            await world.until(lambda: world.live() == {"v1": 90, "v2": 10})
            await anyio.sleep(1)
            world.metrics.error_percent["reviews", "v2"] = 100
            await world.until(lambda: world.live() == {"v1": 100})
            assert world.life
            world.life.effects_left = effects
            await anyio.sleep(5)
            if not world.life.dead:
                world.life.kill()
            world.spawn(group)
            await world.until(lambda: world.ready() == ("True", "Applied"), 30)
            assert len(repository.proposals) == 1

        await in_world(world, act)

    for effects in range(0, 24, 2):
        run_virtually(lambda effects=effects: story(effects))


def test_nothing_is_pushed_onto_a_history_that_was_rewritten_and_that_nobody_has_accepted():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        commit_id = repository.force_push(commit("v1 0, v2 100"), forgets=1).id
        await fail(world)
        await world.until(lambda: world.ready() == ("False", "HistoryRewritten"), 15)
        await anyio.sleep(180)
        assert repository.proposals == []
        accepted = {"metadata": {"annotations": {ACCEPT_REWRITE_ANNOTATION: commit_id}}}
        world.patch(TRAFFIC_SOURCE, "mesh", accepted)
        await world.until(lambda: repository.proposals, 180)
        assert world.live() == {"v1": 100}

    play(story)
