"""Fifty weight changes under continuous load: how many requests fail."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.world import benchmark_world
from gitmesh.playground.demo.files import with_weights

CHANGES = 50


async def measure(directory: Path) -> list[Figure]:
    """Push fifty times, each as soon as the one before is live."""
    weights = random.Random(1)
    async with benchmark_world(directory, policies=False) as world:
        failed, total = world.record.failed, world.record.total
        for number in range(CHANGES):
            v2 = weights.randrange(1, 100)
            await world.push(with_weights(world.repository.work, v1=100 - v2, v2=v2), f"Change {number}")

            async def live(v2: int = v2) -> bool:
                routes = (await world.virtual_service())["spec"]["http"][0]["route"]
                return bool(routes[1].get("weight", 0) == v2)

            await world.until("the weights to be live", live)
        failed, total = world.record.failed - failed, world.record.total - total
    measured = f"{failed} of {total} requests failed"
    return [Figure(f"{CHANGES} weight changes under load", measured, "0 failed", failed == 0)]
