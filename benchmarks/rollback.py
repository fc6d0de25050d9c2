"""From the first failing response to the last request that reaches the bad version."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Figure, milliseconds
from benchmarks.world import benchmark_world
from gitmesh.model.rollout import Phase
from gitmesh.playground.demo.files import with_weights
from gitmesh.playground.demo.world import World

ROUNDS = 5
FAULT_PERCENT = 30
SECONDS_MAX = 3.0


async def measure(directory: Path) -> list[Figure]:
    """Let a bad version go out a few times; the guard looks once a second."""
    async with benchmark_world(directory, policies=True) as world:
        await world.make_fail("reviews-v2", FAULT_PERCENT)
        seconds = [await _round(world, number) for number in range(ROUNDS)]
    return [
        Figure(
            f"first failing response to last request on the bad version ({FAULT_PERCENT} % errors)",
            milliseconds(seconds),
            f"under {SECONDS_MAX:g} s",
            max(seconds) < SECONDS_MAX,
        )
    ]


async def _round(world: World, number: int) -> float:
    before = await world.rollout()
    world.record.forget_marks()
    # Another target each time, for what was rolled back once does not go out again.
    files = with_weights(world.repository.work, v1=number, v2=100 - number)
    await world.push(files, f"Try {number}")

    async def rolled_back() -> bool:
        record = await world.rollout()
        tally = world.record.last(world.now(), 1)
        if record is None or before is None or record.canary_hash == before.canary_hash:
            return False
        over = tally.by_version.get("v1", 0) == tally.total > 0
        return record.phase is Phase.ROLLED_BACK and over

    await world.until("the rollback", rolled_back)
    first = world.record.first_failure_at
    assert first is not None
    return world.record.last_response_at["v2"] - first
