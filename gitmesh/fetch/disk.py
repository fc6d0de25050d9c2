"""The directory of a mirror: made, gone, how much it takes on disk, or why it cannot be written.

Stage: fetch (effect). Everything here blocks and belongs in a worker thread.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from gitmesh.fetch.command import GitExit, GitRunner
from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.failures import explain
from gitmesh.fetch.urls import Remote

URL_FILE = "gitmesh-url"  # what a mirror is of


def make_bare(git: GitRunner, remote: Remote) -> None:
    """Make an empty mirror of a remote. Raises FetchError."""
    git.git_dir.mkdir(parents=True, mode=0o700)
    try:
        git.text("init", "--quiet", "--bare", "--template=")
    except GitExit as ended:
        raise explain(ended.stderr, what=f"make a mirror in {git.git_dir}") from None
    (git.git_dir / URL_FILE).write_text(remote.text, "utf-8")


def bytes_of(directory: Path) -> int:
    """Return how much the objects of a mirror take: it keeps packs, and hardly anything else."""
    total = 0
    for file in (directory / "objects" / "pack").glob("*"):
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


def remove(directory: Path) -> None:
    """Remove a directory with everything in it, if it is there."""
    shutil.rmtree(directory, ignore_errors=True)


def disk_error(directory: Path, error: OSError) -> FetchError:
    """Return the error for a mirror that cannot be read or written."""
    return FetchError(
        f"cannot keep a mirror in {directory}: {error.strerror or error}; check space and permissions",
        retryable=True,
    )
