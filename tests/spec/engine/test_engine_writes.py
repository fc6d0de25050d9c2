"""Many rollouts in motion write few records: what a check changes waits its turn, unless it decides."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.rollout import Phase, RolloutRecord

NAMES = [f"s{number}" for number in range(10)]
PER_MINUTE = 60  # one a second, where each check of each rollout would make ten


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def commit(weights: str) -> dict[str, str]:
    policy = a_policy(*NAMES, steps="10 60s, 100 5s", bake="5s", mode="sequential")
    return files(*(part for name in NAMES for part in (a_service(name, weights), a_rule(name))), policy)


def record(world: DaemonWorld, name: str) -> RolloutRecord:
    found = world.record(name)
    assert found
    return found


def record_writes(world: DaemonWorld) -> int:
    return sum(request.kind == "TrafficRollout" for request in world.writes())


def play(act: Any, per_minute: int = PER_MINUTE) -> None:
    """Play a story that begins when all are at 10 %, and each has been judged."""

    async def story() -> None:
        world = DaemonWorld(evidence_writes_per_minute=per_minute)
        world.add_source().push(commit("v1 100, v2 0"))

        async def whole(group: anyio.abc.TaskGroup) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            next(iter(world.repositories.values())).push(commit("v1 0, v2 100"))
            await world.until(lambda: all(world.live(name) == {"v1": 90, "v2": 10} for name in NAMES))
            await anyio.sleep(10)
            await act(world, group)

        await in_world(world, whole)

    run_virtually(story)


@pytest.mark.parametrize(("per_minute", "least", "most"), [(PER_MINUTE, 25, 40), (6_000, 275, 330)])
def test_records_are_written_as_often_as_their_number_allows(per_minute: int, least: int, most: int):
    async def act(world: DaemonWorld, group: Any) -> None:
        before = record_writes(world)
        await anyio.sleep(30)
        assert least <= record_writes(world) - before <= most
        moment = world.clock.now()
        verdicts = [record(world, name).verdict for name in NAMES]
        assert all(
            v and (moment - v.at).total_seconds() <= 60 * len(NAMES) / PER_MINUTE + 1 for v in verdicts
        )

    play(act, per_minute)


def test_what_waits_to_be_written_does_not_pile_up():
    async def act(world: DaemonWorld, group: Any) -> None:
        await anyio.sleep(30)
        assert world.life
        assert world.life.daemon
        (memory,) = world.life.daemon.memory.sources.values()
        assert max(len(verdicts) for verdicts in memory.verdicts.values()) <= 1

    play(act)


def test_what_decides_is_written_and_done_at_once():
    async def act(world: DaemonWorld, group: Any) -> None:
        world.metrics.error_percent["s7", "v2"] = 100
        assert await world.until(lambda: world.live("s7") == {"v1": 100}) <= 2.0
        assert record(world, "s7").phase is Phase.ROLLED_BACK
        world.metrics.blind = True
        await anyio.sleep(2)
        assert {record(world, n).verdict.outcome.value for n in NAMES if n != "s7"} == {"blind"}  # type: ignore[union-attr]

    play(act)


def test_a_restart_at_any_moment_delays_and_changes_nothing():
    async def act(world: DaemonWorld, group: anyio.abc.TaskGroup) -> None:
        began = record(world, "s0").effective_at
        for _ in range(6):
            assert world.life
            world.life.kill()
            world.spawn(group)
            await anyio.sleep(3.3)
        await world.until(lambda: all(record(world, n).phase is Phase.SUCCEEDED for n in NAMES), seconds=90)
        assert began
        took = world.clock.now() - began
        assert 70 <= took.total_seconds() <= 75, "60 s at 10 %, and 10 s at the end"

    play(act)


def test_a_bad_version_is_found_over_restarts_that_come_before_any_write():
    """Failures of which no life sees enough; counts since the anchor that is written hold them all."""

    async def act(world: DaemonWorld, group: anyio.abc.TaskGroup) -> None:
        world.metrics.requests_per_second["s3"] = 20.0  # two a second to the canary
        world.metrics.error_percent["s3", "v2"] = 30
        for _ in range(40):
            if record(world, "s3").phase is Phase.ROLLED_BACK:
                break
            assert world.life
            world.life.kill()
            world.spawn(group)
            await anyio.sleep(2.2)
        assert record(world, "s3").phase is Phase.ROLLED_BACK, world.tail()

    play(act)
