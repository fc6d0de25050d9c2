"""From `git push` to the first request on the new weights, without a policy: nothing is walked in steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.figures import Figure, milliseconds, percentile
from benchmarks.world import benchmark_world
from gitmesh.playground.demo.files import with_weights
from gitmesh.playground.demo.world import World

PUSHES = 20


async def measure(directory: Path) -> list[Figure]:
    """Push back and forth between v1 and v2; the daemon notices by watchdog."""
    async with benchmark_world(directory, policies=False) as world:
        seconds = [await moved_by_push(world, "v2" if number % 2 == 0 else "v1") for number in range(PUSHES)]
    return [
        Figure(
            "push to first request on the new weights",
            milliseconds(seconds),
            "p95 under 500 ms",
            percentile(seconds, 95) < 0.5,
        )
    ]


async def moved_by_push(
    world: World, version: str, tell: Callable[[], Awaitable[None]] | None = None
) -> float:
    """Give everything to a version by a push; return how long it took. `tell` says it to the daemon."""
    v2 = 100 if version == "v2" else 0
    world.record.forget_marks()
    files = with_weights(world.repository.work, v1=100 - v2, v2=v2)
    pushed = await world.push(files, f"Everything to {version}")
    if tell is not None:
        await tell()

    async def moved() -> bool:
        tally = world.record.last(world.now(), 1)
        return tally.by_version.get(version, 0) == tally.total > 0

    await world.until(f"all requests on {version}", moved)
    return max(0.0, world.record.first_response_at[version] - pushed)
