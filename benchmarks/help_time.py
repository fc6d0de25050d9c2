"""How long `gitmesh --help` takes, as a whole process."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import anyio.to_thread

from benchmarks.figures import Figure, milliseconds, percentile

RUNS = 15


async def measure(directory: Path) -> list[Figure]:
    """Run it a few times."""
    seconds = await anyio.to_thread.run_sync(_times)
    return [
        Figure("gitmesh --help", milliseconds(seconds), "p50 under 150 ms", percentile(seconds, 50) < 0.15)
    ]


def _times() -> list[float]:
    seconds = []
    for _ in range(RUNS):
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "gitmesh", "--help"], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.monotonic() - began)
    return seconds
