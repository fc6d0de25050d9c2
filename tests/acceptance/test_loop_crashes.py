"""Promises about crashes: Envoy, the API server and the daemon die, and nothing is lost or done twice."""

import os
import random
import signal
from datetime import datetime, timedelta
from itertools import pairwise

import anyio
import anyio.to_thread
import pytest
from fakes.real_loop import (
    RULES,
    Play,
    World,
    guard,
    is_alive,
    policy,
    routes,
    running_daemon,
    until,
)

from gitmesh.kube.errors import ClusterError
from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.rollout import Phase

pytestmark = [pytest.mark.anyio, pytest.mark.real]

FILES = {"rules.yaml": RULES, "routes.yaml": routes(100, 0)}
KILLS = 5
HOLD_SECONDS = 1.5


@pytest.fixture
def own_daemon(play: Play, tmp_path):
    with running_daemon(play, tmp_path / "daemon") as daemon:
        yield daemon


async def killed(play: Play, part: str) -> int:
    """Kill a part of the playground; return the id that it had."""
    pid = await until(part, lambda: _the_one(play, part))
    os.kill(pid, signal.SIGKILL)
    await until(f"the end of {part}", lambda: _ended(pid))
    return pid


async def _the_one(play: Play, part: str) -> int | None:
    """Return the id of a part; None while there are two, for Envoy also checks what it is about to get."""
    found = play.pids_of(part)
    return found[0] if len(found) == 1 else None


async def _ended(pid: int) -> bool:
    return not is_alive(pid)


async def test_envoy_comes_back_with_the_same_weights_while_requests_go_on(world: World, own_daemon):
    revision = await world.publish(FILES | {"routes.yaml": routes(0, 100)})
    await world.follow()
    await world.wait_applied(revision)
    async with world.load() as load:

        async def answered() -> bool:
            return "v2" in load.record.first_response_at

        await until("traffic on v2", answered)
        await killed(world.play, "envoy")
        load.record.forget_marks()
        await until("traffic on v2 again", answered)
        assert "v1" not in load.record.first_response_at, "it came back with what it had"
        assert set(load.record.statuses) <= {200, 0}, (
            "no answer at all while it was away, and never a wrong one"
        )
        moved = await world.publish({"routes.yaml": routes(100, 0)})
        await world.wait_applied(moved)
        await until("traffic on v1", lambda: _answered_by(load, "v1"))


async def _answered_by(load, version: str) -> bool:
    return version in load.record.first_response_at


async def test_an_api_server_that_dies_loses_nothing_and_gets_what_was_pushed_meanwhile(
    world: World, own_daemon
):
    revision = await world.publish(FILES)
    await world.follow()
    await world.wait_applied(revision)
    before = await world.versions()
    await killed(world.play, "gitmesh.playground.apiserver")
    revision = await world.publish({"routes.yaml": routes(45, 55)})

    async def is_back() -> bool:
        try:
            await world.versions()
        except ClusterError:
            return False
        return True

    await until("the API server to be back", is_back)
    now = await world.versions()
    assert now.keys() == before.keys()
    assert now["DestinationRule/default/reviews"] == before["DestinationRule/default/reviews"]
    await world.wait_applied(revision)
    assert await world.weights() == (45, 55)
    async with world.load() as load:
        await until("traffic on both", lambda: _answered_by(load, "v2"))
        assert load.record.failed == 0
    ran = await world.gitmesh("sync", world.name)
    assert (ran.status, ran.out) == (0, f"default/{world.name}: applied {revision}\n")


async def test_a_ramp_goes_on_over_kill_9_at_any_moment_and_no_dwell_is_cut_or_repeated(
    play: Play, world: World, tmp_path
):
    """Each step is entered once; it stays for its hold; a restart does not start the hold anew."""
    chance = random.Random(20)
    steps = (10, 40, 70, 100)
    hold = f"{int(HOLD_SECONDS * 1000)}ms"
    ramp = policy(*((step, hold) for step in steps[:-1]), (100, "0s"), analysis=guard())
    with running_daemon(play, tmp_path / "daemon") as daemon:
        revision = await world.publish({**FILES, "policy.yaml": ramp})
        await world.follow()
        await world.wait_applied(revision)
        async with world.load(), anyio.create_task_group() as group:
            effective: dict[int, set[datetime]] = {}
            weights: list[tuple[int, ...] | None] = []
            group.start_soon(note_steps, world, effective, weights)
            await world.publish({"routes.yaml": routes(0, 100)})
            for _ in range(KILLS):
                await anyio.sleep(chance.uniform(0.1, 1.0))
                daemon.kill()
                daemon.start()
                await anyio.to_thread.run_sync(daemon.wait_started)
            record = await world.wait_phase(Phase.SUCCEEDED, seconds=60)
            await world.wait_weights(0, 100)
            group.cancel_scope.cancel()

    entered = [entry for entry in record.history if entry.phase is not Phase.SUCCEEDED]
    assert [entry.progress for entry in entered] == list(steps), record.history
    assert [len(moments) for moments in effective.values()] == [1] * len(effective), "a dwell began anew"
    for step, (entry, following) in enumerate(pairwise(entered)):
        began = min(effective.get(step, {entry.at}))
        assert following.at - began >= timedelta(seconds=HOLD_SECONDS), f"step {step} was cut"
    shares = [w[1] for w in weights if w is not None]
    assert shares == sorted(shares), f"the weight went back: {shares}"
    assert set(shares) <= {0, *steps}, f"a weight that no step has: {shares}"


async def note_steps(
    world: World, effective: dict[int, set[datetime]], weights: list[tuple[int, ...] | None]
) -> None:
    while True:
        record, live = await world.rollout(), await world.weights()
        if record is not None and record.phase.in_motion and record.effective_at is not None:
            effective.setdefault(record.step, set()).add(record.effective_at)
        if not weights or weights[-1] != live:
            weights.append(live)
        await anyio.sleep(0.02)


async def test_a_rollback_that_was_begun_is_finished_after_kill_9(play: Play, world: World, tmp_path):
    """The record says rolled back, the routes do not yet: that is where a crash in the middle leaves it."""
    ramp = policy((20, "1h"), (100, "0s"), analysis=guard())
    with running_daemon(play, tmp_path / "daemon") as daemon:
        revision = await world.publish({**FILES, "policy.yaml": ramp})
        await world.follow()
        await world.wait_applied(revision)
        async with world.load() as load:
            await world.publish({"routes.yaml": routes(0, 100)})
            await world.wait_weights(80, 20)
            canary = (await world.client.get(VIRTUAL_SERVICE, "default", "reviews"))["spec"]
            await world.make_fail("reviews-v2", 100)
            await world.wait_phase(Phase.ROLLED_BACK)
            daemon.kill()
            await world.client.merge_patch(VIRTUAL_SERVICE, "default", "reviews", {"spec": canary})
            await world.make_fail("reviews-v2", 0)
            assert await world.weights() == (80, 20)
            daemon.start()
            await world.wait_weights(100, 0)
            await world.wait_ready("False", "RolledBack")
            load.record.forget_marks()
            await until("traffic on v1", lambda: _answered_by(load, "v1"))
            record = await world.rollout()
            assert record is not None
            assert record.phase is Phase.ROLLED_BACK
            assert "errors, limit 5 %" in record.message
            assert [entry.phase for entry in record.history].count(Phase.ROLLED_BACK) == 1
            assert await world.weights() == (100, 0), "and there it stays, although v2 is well again"


async def test_sync_says_it_when_no_daemon_answers(world: World):
    await world.publish(FILES)
    await world.follow()
    ran = await world.gitmesh("sync", world.name, "--timeout", "0.3")
    assert (ran.status, ran.out) == (2, "")
    assert "no answer within 0.3 s: does a daemon run for this cluster?" in ran.err
    assert "no daemon has looked at it yet" in (await world.gitmesh("status", world.name)).out
