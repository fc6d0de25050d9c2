"""Watching local repositories: a push is seen at once, without waiting for the next poll.

Stage: fetch (effect). Only says "refs may have moved"; what is true is found out by fetching.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from gitmesh.fetch.urls import local_path

# Reading makes events too, and our own fetch reads: only these mean that something was written.
_WRITES = frozenset({"created", "modified", "moved", "deleted", "closed"})
_TOP_LEVEL = frozenset({"HEAD", "packed-refs"})
_STOP_SECONDS = 2.0


@dataclass(slots=True)
class _Watched:
    """One repository that is watched, and for how many who asked for it."""

    watches: list[Any]
    askers: int = 1


class RepositoryWatch:
    """Calls `on_change` from a thread of its own, often more than once for one push."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._handler = _RefsHandler(on_change)
        self._observer: Any = None
        self._watched: dict[Path, _Watched] = {}
        self._lock = threading.Lock()

    def add(self, url: str) -> bool:
        """Watch the repository. False when it cannot be watched: then only polls see it."""
        git_dir = _git_dir(url)
        if git_dir is None:
            return False
        with self._lock:
            if git_dir in self._watched:
                self._watched[git_dir].askers += 1
                return True
            watches = self._schedule(git_dir)
            if watches:
                self._watched[git_dir] = _Watched(watches)
            return bool(watches)

    def remove(self, url: str) -> None:
        """Watch it no longer, once everyone who added it has removed it."""
        git_dir = _git_dir(url, must_exist=False)
        with self._lock:
            known = self._watched.get(git_dir) if git_dir is not None else None
            if known is None or git_dir is None:
                return
            known.askers -= 1
            if known.askers == 0:
                del self._watched[git_dir]
                self._unschedule(known.watches)

    def close(self) -> None:
        """Stop watching and end the thread."""
        with self._lock:
            self._watched.clear()
            observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            observer.join(_STOP_SECONDS)

    def _schedule(self, git_dir: Path) -> list[Any]:
        watches: list[Any] = []
        try:
            if self._observer is None:
                self._observer = Observer()
                self._observer.start()
            watches.append(self._observer.schedule(self._handler, str(git_dir), recursive=False))
            for name in ("refs", "reftable"):
                if (git_dir / name).is_dir():
                    watches.append(
                        self._observer.schedule(self._handler, str(git_dir / name), recursive=True)
                    )
        except OSError:  # the machine's limit of inotify watches, or the directory went away just now
            self._unschedule(watches)
            return []
        return watches

    def _unschedule(self, watches: list[Any]) -> None:
        for watch in watches:
            try:
                self._observer.unschedule(watch)
            except (KeyError, OSError):  # watchdog forgets a watch by itself when its directory was deleted
                continue


class _RefsHandler(FileSystemEventHandler):  # type: ignore[misc]  # watchdog is not followed by mypy
    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in _WRITES and any(
            _matters(os.fsdecode(path)) for path in (event.src_path, event.dest_path) if path
        ):
            self._on_change()


def _matters(path: str) -> bool:
    if path.endswith(".lock"):
        return False
    return os.path.basename(path) in _TOP_LEVEL or "/refs/" in path or "/reftable/" in path


def _git_dir(url: str, *, must_exist: bool = True) -> Path | None:
    """Return the directory with the refs: of a bare repository, a clone, or a linked work tree."""
    path = local_path(url)
    if path is None:
        return None
    inside = path / ".git"
    git_dir = inside if inside.is_dir() else _linked(inside) if inside.is_file() else path
    if must_exist and not (git_dir / "HEAD").is_file():
        return None
    return Path(os.path.realpath(git_dir))


def _linked(pointer: Path) -> Path:
    """Follow the `.git` file of a linked work tree to the repository that owns the refs."""
    try:
        git_dir = pointer.parent / pointer.read_text("utf-8").partition("gitdir:")[2].strip()
        common = git_dir / "commondir"
        return git_dir / common.read_text("utf-8").strip() if common.is_file() else git_dir
    except (OSError, UnicodeDecodeError):
        return pointer
