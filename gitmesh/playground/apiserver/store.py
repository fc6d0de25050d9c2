"""All objects and their recent history: in memory to read, in SQLite to survive.

Stage: playground (effect). Bodies are shared with every reader and must never be changed in place.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import anyio
import orjson

from gitmesh.playground.apiserver.failures import ApiError, expired, too_large_version
from gitmesh.playground.apiserver.index import Index
from gitmesh.playground.apiserver.kinds import Body
from gitmesh.playground.apiserver.limits import ApiLimits

_TABLES = """
CREATE TABLE IF NOT EXISTS objects (
  resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counter (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1), revision INTEGER NOT NULL);
"""

Place = tuple[str, str]  # namespace, name


class StoreError(Exception):
    """The database cannot be opened."""


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """One write. `before` is None for a new object, `after` of a deleted one is its last state."""

    revision: int
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    place: Place
    before: Body | None
    after: Body


class Store:
    """Objects by resource name, namespace and name; one revision counter for all of them."""

    def __init__(self, path: str, limits: ApiLimits, *, first_revision: int) -> None:
        """Open or create. A new database starts at `first_revision`.

        Let that number grow with time: then a client that remembers a version of an earlier database is told
        to list again instead of being shown nothing.
        """
        self._limits = limits
        self._objects: dict[str, dict[Place, Body]] = {}
        self._history: dict[str, deque[StoreEvent]] = {}
        self._floor: dict[str, int] = {}
        self._changed: dict[str, anyio.Event] = {}
        self._count = 0
        self.index = Index()
        self._depth = 0
        try:
            self._db = self._open(path)
            self.revision = self._load(first_revision)
        except sqlite3.Error as error:
            hint = "stop the other server that uses it, or choose another file with --db"
            raise StoreError(f"cannot open the database {path}: {error}; {hint}") from error
        self._start = self.revision

    @staticmethod
    def _open(path: str) -> sqlite3.Connection:
        if path != ":memory:":
            # Secrets are in it. SQLite gives the files that it keeps beside it the same mode.
            with suppress(OSError):
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
                os.chmod(path, 0o600)
        db = sqlite3.connect(path, isolation_level=None, timeout=1.0, check_same_thread=False)
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        # A killed process loses nothing in this mode, a power cut may: right for a playground.
        # Source: sqlite.org, PRAGMA synchronous.
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(_TABLES)
        return db

    def _load(self, first_revision: int) -> int:
        self._db.execute("INSERT OR IGNORE INTO counter VALUES (1, ?)", (first_revision,))
        for resource, namespace, name, raw in self._db.execute("SELECT * FROM objects"):
            body = orjson.loads(raw)
            self._objects.setdefault(resource, {})[namespace, name] = body
            self.index.move((resource, namespace, name), None, body)
            self._count += 1
        return int(self._db.execute("SELECT revision FROM counter").fetchone()[0])

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def wake_all(self) -> None:
        """Wake everyone who waits for a change, though there is none."""
        for event in self._changed.values():
            event.set()
        self._changed.clear()

    # Reading

    def get(self, resource: str, namespace: str, name: str) -> Body | None:
        """Return one object, or None."""
        return self._objects.get(resource, {}).get((namespace, name))

    def all(self, resource: str, namespace: str = "", *, at: int | None = None) -> list[Body]:
        """Return the objects in order of namespace and name; with `at` as they were at that revision."""
        objects = self._objects.get(resource, {})
        if at is not None and at < self.revision:
            objects = self._as_of(resource, at)
        return [objects[place] for place in sorted(objects) if not namespace or place[0] == namespace]

    def _as_of(self, resource: str, at: int) -> dict[Place, Body]:
        self.check_known(resource, at)
        objects = dict(self._objects.get(resource, {}))
        for event in reversed(self._history.get(resource, ())):
            if event.revision <= at:
                break
            if event.before is None:
                objects.pop(event.place, None)
            else:
                objects[event.place] = event.before
        return objects

    def count(self, resource: str) -> int:
        """Return how many objects of a resource there are."""
        return len(self._objects.get(resource, ()))

    # History

    def check_known(self, resource: str, revision: int) -> None:
        """Raise 410 when events after `revision` are no longer all known, 504 when it lies in the future."""
        if revision > self.revision:
            raise too_large_version(revision, self.revision)
        floor = self._floor.get(resource, self._start)
        if revision < floor:
            raise expired(f"too old resource version: {revision} ({floor})")

    def events_after(self, resource: str, revision: int) -> list[StoreEvent]:
        """Return what happened to a resource after `revision`, oldest first. 410 when that is not known."""
        self.check_known(resource, revision)
        found: list[StoreEvent] = []
        for event in reversed(self._history.get(resource, ())):
            if event.revision <= revision:
                break
            found.append(event)
        found.reverse()
        return found

    def forget_history(self) -> None:
        """Drop all history, as compaction does: a watch that has not seen everything yet gets 410."""
        for resource in self._objects:
            self._history.pop(resource, None)
            self._floor[resource] = self.revision

    async def changed(self, resource: str) -> None:
        """Wait for the next write to a resource."""
        await self._changed.setdefault(resource, anyio.Event()).wait()

    # Writing

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make the writes inside one transaction: after a crash all of them are there, or none."""
        self._depth += 1
        if self._depth == 1:
            self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    def put(self, resource: str, namespace: str, name: str, body: Body) -> Body:
        """Store an object under the next revision and return it as stored."""
        objects = self._objects.setdefault(resource, {})
        before = objects.get((namespace, name))
        if before is None and self._count >= self._limits.objects_max:
            raise ApiError(
                507, "InsufficientStorage", f"the server holds {self._count} objects already (objects_max)"
            )
        stored = self._stamp(body)
        with self.together():
            self._db.execute(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)",
                (resource, namespace, name, orjson.dumps(stored)),
            )
            self._count_up()
        objects[namespace, name] = stored
        self.index.move((resource, namespace, name), before, stored)
        self._count += before is None
        self._record(resource, (namespace, name), before, stored, deleted=False)
        return stored

    def remove(self, resource: str, namespace: str, name: str) -> Body:
        """Remove an object and return its last state, stamped with the revision of its removal."""
        before = self._objects[resource][namespace, name]
        last = self._stamp(before)
        with self.together():
            self._db.execute(
                "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
                (resource, namespace, name),
            )
            self._count_up()
        del self._objects[resource][namespace, name]
        self.index.move((resource, namespace, name), before, None)
        self._count -= 1
        self._record(resource, (namespace, name), before, last, deleted=True)
        return last

    def _stamp(self, body: Body) -> Body:
        return {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.revision + 1)}}

    def _count_up(self) -> None:
        self.revision += 1
        self._db.execute("UPDATE counter SET revision = ?", (self.revision,))

    def _record(
        self, resource: str, place: Place, before: Body | None, after: Body, *, deleted: bool
    ) -> None:
        history = self._history.setdefault(resource, deque())
        kind: Literal["ADDED", "MODIFIED", "DELETED"] = "MODIFIED"
        if deleted or before is None:
            kind = "DELETED" if deleted else "ADDED"
        history.append(StoreEvent(self.revision, kind, place, before, after))
        if len(history) > self._limits.watch_history_max:
            self._floor[resource] = history.popleft().revision
        waiting = self._changed.pop(resource, None)
        if waiting:
            waiting.set()
