"""What the engine promises of a revision that nobody trusted signed: it changes nothing and stops nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.cluster import Fault, Request
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

from gitmesh.model.kinds import CONFIG_MAP, EVENT, SECRET, TRAFFIC_SOURCE
from gitmesh.model.revert import RevertState
from gitmesh.model.rollout import Phase
from gitmesh.model.source import SYNC_ANNOTATION

Story = Callable[[DaemonWorld, Repository, Any], Awaitable[None]]
VERIFY = {"signers": {"configMapRef": {"name": "signers"}}}
LINE = "ada@example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8PZ1sK0tVqgQG0Zb5m9r6oEw2r0c1aG2yT3lW7pXyz"
RULE = a_rule("reviews")


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def commit(weights: str, *more: Any) -> dict[str, str]:
    return files(a_service("reviews", weights), RULE, *more)


def signers(world: DaemonWorld, **data: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "signers", "namespace": "default"}}
    world.cluster.put({**body, "data": data})


def message(world: DaemonWorld) -> str:
    return next(c.message for c in world.status().conditions if c.type == "Ready")


def tell(story: Story, *, first: dict[str, str] | None = None, **spec: Any) -> None:
    """Run a story in a world whose source demands signatures, and whose first commit is applied."""

    async def whole() -> None:
        world = DaemonWorld()
        signers(world, allowed_signers=LINE)
        repository = world.add_source(verify=VERIFY, **spec)
        repository.push(first or commit("v1 100, v2 0"))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await story(world, repository, group)

        await in_world(world, act)

    run_virtually(whole)


def push_unsigned(repository: Repository, content: dict[str, str]) -> str:
    made = repository.push(content)
    repository.unsigned.add(made.id)
    return made.id


def test_the_status_says_which_revision_was_verified_and_by_whom():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        status = world.status()
        assert (status.verified_revision, status.verified_by) == (status.accepted_revision, "ada")

    tell(story)


def test_g30_what_is_not_trusted_changes_nothing_and_the_last_good_revision_is_healed():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        good = world.status().accepted_revision
        bad = push_unsigned(repository, commit("v1 0, v2 100"))
        await world.until(lambda: world.ready() == ("False", "VerificationFailed"))
        assert {"Ready", "Stalled"} <= {c.type for c in world.status().conditions}
        assert f"main@{bad[:7]} is not accepted" in message(world)
        assert f"{good[:12]} stays" in message(world)
        status = world.status()
        assert (status.fetched_revision, status.accepted_revision) == (f"main@{bad}", good)
        world.cluster.put(a_service("reviews", "v1 50, v2 50"), manager="kubectl-edit")
        assert await world.until(lambda: world.live() == {"v1": 100}) < 1
        writes = len(world.writes())
        await anyio.sleep(120)
        assert len(world.writes()) == writes, "it is looked at again and again, and said once"
        assert sum(e["reason"] == "VerificationFailed" for e in world.cluster.all(EVENT, "default")) == 1
        repository.push(commit("v1 70, v2 30"))
        await world.until(lambda: world.live() == {"v1": 70, "v2": 30})

    tell(story)


def test_a_restart_goes_on_with_what_was_verified_and_not_with_what_was_not():
    async def story(world: DaemonWorld, repository: Repository, group: Any) -> None:
        push_unsigned(repository, commit("v1 0, v2 100"))
        await world.until(lambda: world.ready() == ("False", "VerificationFailed"))
        for loses_mirrors in (False, True):
            assert world.life is not None
            world.life.kill()
            if loses_mirrors:
                world.mirrors.clear()
            world.spawn(group)
            await anyio.sleep(30)
            assert world.live() == {"v1": 100}
            assert world.ready() == ("False", "VerificationFailed")

    tell(story)


def test_what_was_accepted_stays_accepted_when_its_signer_leaves_also_after_a_restart():
    async def story(world: DaemonWorld, repository: Repository, group: Any) -> None:
        repository.unsigned.update(c.id for c in repository.commits)
        assert world.life is not None
        world.life.kill()
        world.spawn(group)
        await anyio.sleep(60)
        assert world.ready() == ("True", "Applied")
        repository.push(commit("v1 70, v2 30"))
        await world.until(lambda: world.live() == {"v1": 70, "v2": 30})

    tell(story)


def test_who_demands_signatures_later_is_told_what_is_live_without_one():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        repository.unsigned.add(repository.commits[-1].id)
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"verify": None}})
        await anyio.sleep(30)
        assert world.ready() == ("True", "Applied")
        assert world.status().verified_revision == ""
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"verify": VERIFY}})
        await world.until(lambda: world.ready() == ("False", "VerificationFailed"))
        assert world.live() == {"v1": 100}

    tell(story)


def test_a_list_of_signers_is_read_again_until_it_lets_the_revision_in():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        world.cluster.take(CONFIG_MAP, "default", "signers")
        repository.push(commit("v1 70, v2 30"))
        await world.until(lambda: "there is no ConfigMap default/signers; create it" in message(world))
        signers(world)
        await world.until(lambda: "names no signer" in message(world))
        signers(world, allowed_signers="nonsense")
        await world.until(lambda: "line 1 is not" in message(world))
        signers(world, allowed_signers=LINE)
        await world.until(lambda: world.live() == {"v1": 70, "v2": 30})

    tell(story)


def test_an_api_server_that_is_down_is_no_reason_to_distrust():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        left = [Fault.BROKEN, Fault.REQUEST_LOST]

        def faults(request: Request) -> Fault | None:
            return left.pop() if left and (request.verb, request.kind) == ("get", "ConfigMap") else None

        world.cluster.faults = faults
        repository.push(commit("v1 70, v2 30"))
        await world.until(lambda: world.live() == {"v1": 70, "v2": 30})
        assert not left
        assert not [e for e in world.cluster.all(EVENT, "default") if e["reason"] == "VerificationFailed"]

    tell(story)


def careful(weights: str) -> dict[str, str]:
    policy = a_policy("reviews", steps="10 600s, 100", failures=1)
    policy["spec"]["rollback"] = {"revert": "push"}
    return commit(weights, policy)


def test_a_rollback_needs_no_signature_of_what_came_after():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        repository.push(careful("v1 0, v2 100"))
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10})
        push_unsigned(repository, careful("v1 5, v2 95"))
        await world.until(lambda: world.ready() == ("False", "VerificationFailed"))
        world.metrics.error_percent["reviews", "v2"] = 100
        assert await world.until(lambda: world.live() == {"v1": 100}, 30) <= 2.0

    tell(story, first=careful("v1 100, v2 0"))


def reverted(world: DaemonWorld) -> RevertState | None:
    record = world.record("reviews")
    return record.revert.state if record and record.revert else None


def test_without_a_key_a_revert_is_refused_and_with_one_it_is_signed():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        repository.push(careful("v1 0, v2 100"))
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10})
        world.metrics.error_percent["reviews", "v2"] = 100
        await world.until(lambda: reverted(world) is RevertState.REFUSED)
        assert repository.proposals == []
        fetches = len(repository.fetched)
        await anyio.sleep(60)
        assert len(repository.fetched) - fetches <= 7, (
            "a refusal is final until the source says something else"
        )
        secret = {
            "apiVersion": "v1",
            "kind": SECRET.kind,
            "metadata": {"name": "key", "namespace": "default"},
        }
        world.cluster.put({**secret, "data": {"signing.key": "a2V5IG9mIGEgcm9ib3Q="}})
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"signingKeyRef": {"name": "key"}}})
        await world.until(lambda: reverted(world) is RevertState.DONE)
        (proposal,) = repository.proposals
        assert proposal.signing_key == "key of a robot"
        assert "robot" not in repr(proposal)

    tell(story, first=careful("v1 100, v2 0"), push="allowed")


def test_no_commit_of_ours_goes_on_top_of_one_that_nobody_trusts():
    """It would sign for what is below it. The commit comes at the worst moment: with the rollback."""

    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        secret = {
            "apiVersion": "v1",
            "kind": SECRET.kind,
            "metadata": {"name": "key", "namespace": "default"},
        }
        world.cluster.put({**secret, "data": {"signing.key": "a2V5"}})
        repository.push(careful("v1 0, v2 100"))
        world.patch(TRAFFIC_SOURCE, "mesh", {"metadata": {"annotations": {SYNC_ANNOTATION: "now"}}})
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10})
        world.metrics.error_percent["reviews", "v2"] = 100
        await world.until(lambda: world.record("reviews").phase is Phase.ROLLED_BACK)  # type: ignore[union-attr]
        push_unsigned(repository, {**careful("v1 0, v2 100"), "evil.yaml": "{}"})
        await anyio.sleep(120)
        assert repository.proposals == []
        assert world.live() == {"v1": 100}

    spec = {"push": "allowed", "signingKeyRef": {"name": "key"}, "interval": "1h"}
    tell(story, first=careful("v1 100, v2 0"), **spec)
