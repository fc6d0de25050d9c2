"""What a daemon costs that has nothing to do: API requests, processor, memory, with 1,000 objects."""

from __future__ import annotations

import os
from pathlib import Path

import anyio

from benchmarks.figures import Figure
from benchmarks.world import benchmark_world, request_counts, thousand_objects

OBJECTS = 1_000
SECONDS = 60.0


async def measure(directory: Path) -> list[Figure]:
    """Apply the objects, let things settle, and watch a minute pass."""
    async with benchmark_world(
        directory, policies=False, files=thousand_objects(OBJECTS), load=False
    ) as world:
        await anyio.sleep(5)
        counts, used = await request_counts(directory), cpu_seconds(world.daemon.pid)
        await anyio.sleep(SECONDS)
        now, spent = await request_counts(directory), cpu_seconds(world.daemon.pid) - used
        megabytes = _resident_megabytes(world.daemon.pid)
    # Reading the counts is a request of ours, and no client's.
    others = {
        name: count - counts.get(name, 0)
        for name, count in now.items()
        if count > counts.get(name, 0) and not name.startswith("WATCH ") and "leases" not in name
    }
    share = 100 * spent / SECONDS
    return [
        Figure(
            f"API requests in {SECONDS:g} idle seconds with {OBJECTS} objects",
            ", ".join(f"{count} {name}" for name, count in sorted(others.items())) or "none",
            "none but watches and leases",
            not others,
        ),
        Figure("processor while idle", f"{share:.2f} % of a core", "under 1 %", share < 1),
        Figure("memory while idle", f"{megabytes:.0f} MB resident", "under 120 MB", megabytes < 120),
    ]


def cpu_seconds(pid: int) -> float:
    """Return how long processors have worked for a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return kilobytes / 1024
