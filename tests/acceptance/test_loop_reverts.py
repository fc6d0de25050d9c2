"""Promises about Git after a rollback: a revert commit or a branch, for exactly what went back."""

from __future__ import annotations

import pytest
from fakes.real_loop import RULES, World, policy, routes, until

from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.revert import RevertState
from gitmesh.model.rollout import Phase
from gitmesh.playground.repository import run_git

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.usefixtures("daemon")]
NOTE = "# everything about reviews\n"


def files(revert: str) -> dict[str, str]:
    steps = policy((10, "1h"), (100, "0s")) + f"  rollback: {{revert: {revert}}}\n"
    return {"mesh/all.yaml": f"{NOTE}{RULES}---\n{routes(100, 0)}---\n{steps}"}


def in_origin(world: World, *arguments: str) -> str:
    return run_git(f"--git-dir={world.repository.origin}", *arguments)


async def rolled_back(world: World, revert: str) -> str:
    """Have a rollout rolled back by a person; return the commit that it was on the way to."""
    begin = files(revert)
    revision = await world.publish(begin)
    await world.follow(push="allowed", author="Shop robot <robot@shop.example>")
    await world.wait_applied(revision)
    text = begin["mesh/all.yaml"]
    moved = text.replace(routes(100, 0), routes(0, 100)).replace(NOTE, NOTE + "# and more\n")
    await world.publish({"mesh/all.yaml": moved, "notes.txt": "kept"})
    await world.wait_weights(90, 10)
    ran = await world.gitmesh("rollback", "reviews", "--as", "ada", "--why", "too slow")
    assert (ran.status, ran.out) == (
        0,
        "default/reviews is rolled back: v1 100, v2 0 (rolled back on request by ada (too slow))\n",
    )
    return world.repository.head


async def test_a_revert_commit_puts_back_the_routes_and_nothing_else(world: World):
    moved = await rolled_back(world, "push")
    await world.wait_ready("True", "Applied")
    head = in_origin(world, "rev-parse", "main")
    assert in_origin(world, "rev-parse", "main^") == moved
    text = files("push")["mesh/all.yaml"].replace(NOTE, NOTE + "# and more\n")
    assert in_origin(world, "show", "main:mesh/all.yaml") == text.rstrip("\n")
    assert in_origin(world, "show", "main:notes.txt") == "kept"
    said = in_origin(world, "log", "-1", "--format=%an <%ae>%n%B", "main")
    assert said.startswith(
        "Shop robot <robot@shop.example>\nPut VirtualService default/reviews back to what is live\n"
    )
    assert "rolled back on request by ada (too slow)" in said
    record = await world.rollout()
    assert record
    assert record.revert
    assert (record.phase, record.revert.state, record.revert.commit) == (
        Phase.SUCCEEDED,
        RevertState.DONE,
        head,
    )
    assert record.quarantined == (record.revert.content,)
    assert await world.events(VIRTUAL_SERVICE, "reviews", "Reverted")


async def test_a_branch_waits_for_review(world: World):
    moved = await rolled_back(world, "branch")

    async def pushed() -> str:
        return in_origin(world, "for-each-ref", "--format=%(refname:short)", "refs/heads/gitmesh")

    branch = await until("a branch", pushed)
    assert branch.startswith("gitmesh/revert-reviews-")
    assert in_origin(world, "rev-parse", "main") == moved
    assert in_origin(world, "diff", "--name-only", moved, branch) == "mesh/all.yaml"
    await world.wait_ready("False", "RolledBack")
    in_origin(world, "update-ref", "refs/heads/main", in_origin(world, "rev-parse", branch))
    await world.gitmesh("sync", world.name)
    await world.wait_ready("True", "Applied")


async def test_a_remote_that_declines_holds_nothing_up_and_is_told_of(world: World):
    begin = files("push")
    revision = await world.publish(begin)
    await world.follow(push="allowed", author="Shop robot <robot@shop.example>")
    await world.wait_applied(revision)
    text = begin["mesh/all.yaml"]
    await world.publish({"mesh/all.yaml": text.replace(routes(100, 0), routes(0, 100))})
    await world.wait_weights(90, 10)
    moved = world.repository.head
    hook = world.repository.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'protected branch' >&2\nexit 1\n")
    hook.chmod(0o755)
    ran = await world.gitmesh("rollback", "reviews", "--as", "ada", "--why", "too slow")
    assert ran.status == 0

    async def told() -> bool:
        record = await world.rollout()
        return bool(record and record.revert and record.revert.state is RevertState.FAILED)

    await until("the refusal in the record", told)
    record = await world.rollout()
    assert record
    assert record.revert
    assert "revert it by hand" in record.revert.message
    assert "pre-receive hook declined" in record.revert.message
    assert record.phase is Phase.ROLLED_BACK
    assert await world.events(VIRTUAL_SERVICE, "reviews", "RevertFailed")
    assert in_origin(world, "rev-parse", "main") == moved
    await world.wait_weights(100, 0)
