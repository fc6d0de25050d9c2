"""The daemon of the demo: a process of its own, started as a user would start it.

Stage: playground (effect).
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gitmesh.playground.child import Child


def command(play: Path, data: Path, repository: str, *options: str) -> list[str]:
    """Return the command line of a daemon for the playground in `play` that follows `repository`."""
    return [
        sys.executable,
        "-m",
        "gitmesh",
        "run",
        f"--playground-dir={play}",
        f"--data-dir={data}",
        f"--repo={repository}",
        "--settle=500ms",
        "--log-format=json",
        *options,
    ]


@asynccontextmanager
async def running_daemon(
    play: Path, data: Path, repository: str, log: Path, *options: str
) -> AsyncIterator[Child]:
    """Run a daemon while the body runs; its log goes to a file."""
    child = await Child.start("daemon", command(play, data, repository, *options), log)
    try:
        yield child
    finally:
        await child.stop()
