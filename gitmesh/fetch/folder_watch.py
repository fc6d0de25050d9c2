"""Watching a folder of files that somebody edits: a saved file is seen at once.

Stage: fetch (effect). Only says that something may have changed; what is true is found out by reading.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from watchdog.events import FileSystemEvent

from gitmesh.fetch.file_watch import observed


@contextmanager
def folder_watch(path: Path, on_change: Callable[[], None]) -> Iterator[None]:
    """Call `on_change`, from a thread of its own, when a file at or below `path` may have changed.

    Raises FetchError where the folder cannot be watched.
    """
    folder = path if path.is_dir() else path.parent

    def matters(event: FileSystemEvent) -> bool:
        paths = [os.fsdecode(named) for named in (event.src_path, event.dest_path) if named]
        return any(_is_read(named, folder) for named in paths)

    with observed([folder], on_change, recursive=True, matters=matters):
        yield


def _is_read(path: str, folder: Path) -> bool:
    """Say whether it is a file that is read: those of tools, such as .git, are not."""
    parts = Path(os.path.relpath(path, folder)).parts
    return not any(part.startswith(".") and part != ".gitmeshignore" and part != "." for part in parts)
