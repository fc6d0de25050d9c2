"""Watching a folder of files that somebody edits: a saved file is seen at once.

Stage: fetch (effect). Only says that something may have changed; what is true is found out by reading.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from gitmesh.fetch.errors import FetchError

# Reading makes events too: only these mean that something was written.
_WRITES = frozenset({"created", "modified", "moved", "deleted", "closed"})
_STOP_SECONDS = 2.0


@contextmanager
def folder_watch(path: Path, on_change: Callable[[], None]) -> Iterator[None]:
    """Call `on_change`, from a thread of its own, when a file at or below `path` may have changed.

    Raises FetchError where the folder cannot be watched.
    """
    folder = path if path.is_dir() else path.parent
    observer = Observer()
    try:
        observer.schedule(_Handler(folder, on_change), str(folder), recursive=True)
        observer.start()
    except OSError as error:  # no such folder, or the machine's limit of inotify watches
        reason = error.strerror or error
        raise FetchError(f"cannot watch {folder}: {reason}; check the path", retryable=False) from error
    try:
        yield
    finally:
        observer.stop()
        observer.join(_STOP_SECONDS)


class _Handler(FileSystemEventHandler):  # type: ignore[misc]  # watchdog is not followed by mypy
    def __init__(self, folder: Path, on_change: Callable[[], None]) -> None:
        self._folder = folder
        self._on_change = on_change

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Hear of an event."""
        paths = [os.fsdecode(path) for path in (event.src_path, event.dest_path) if path]
        if event.event_type in _WRITES and any(self._matters(path) for path in paths):
            self._on_change()

    def _matters(self, path: str) -> bool:
        """Say whether it is a file that is read: those of tools, such as .git, are not."""
        parts = Path(os.path.relpath(path, self._folder)).parts
        return not any(part.startswith(".") and part != ".gitmeshignore" and part != "." for part in parts)
