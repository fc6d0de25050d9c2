"""Watching single files, such as those of a mounted ConfigMap, of which only a link is swapped.

Stage: fetch (effect). Only says that something may have changed; what is true is found out by reading.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from gitmesh.fetch.errors import FetchError

# Reading makes events too: only these mean that something was written.
_WRITES = frozenset({"created", "modified", "moved", "deleted", "closed"})
_STOP_SECONDS = 2.0


@contextmanager
def file_watch(paths: Iterable[Path], on_change: Callable[[], None]) -> Iterator[None]:
    """Call `on_change`, from a thread of its own, when anything happens in the folders of these files.

    Which path an event names is not asked: an editor writes a new file beside the old one, and the swap of a
    ConfigMap's link shows up under a name that no longer exists. Raises FetchError where a folder cannot be
    watched.
    """
    folders = {folder for path in paths for folder in (path.absolute().parent, path.resolve().parent)}
    with observed(folders, on_change):
        yield


@contextmanager
def observed(
    folders: Collection[Path],
    on_change: Callable[[], None],
    *,
    recursive: bool = False,
    matters: Callable[[FileSystemEvent], bool] = lambda event: True,
) -> Iterator[None]:
    """Call `on_change`, from a thread of its own, at each write in these folders that matters.

    Raises FetchError where a folder cannot be watched.
    """
    observer = Observer()
    try:
        for folder in sorted(folders):
            observer.schedule(_Handler(on_change, matters), str(folder), recursive=recursive)
        observer.start()
    except OSError as error:  # no such folder, or the machine's limit of inotify watches
        named = ", ".join(str(folder) for folder in sorted(folders))
        reason = error.strerror or error
        raise FetchError(f"cannot watch {named}: {reason}; check the path", retryable=False) from error
    try:
        yield
    finally:
        observer.stop()
        observer.join(_STOP_SECONDS)


class _Handler(FileSystemEventHandler):  # type: ignore[misc]  # watchdog is not followed by mypy
    def __init__(self, on_change: Callable[[], None], matters: Callable[[FileSystemEvent], bool]) -> None:
        self._on_change = on_change
        self._matters = matters

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Hear of an event."""
        if event.event_type in _WRITES and self._matters(event):
            self._on_change()
