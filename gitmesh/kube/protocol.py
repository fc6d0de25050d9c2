"""What the rest of GitMesh may ask of an API server. Objects are plain JSON mappings.

Stage: observe and apply (effect). `KubeClient` satisfies it over HTTP, `tests/fakes/cluster.py` in memory;
`tests/contract` holds both to the same behaviour.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from gitmesh.model.kinds import Kind

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a kind at one resource version."""

    items: tuple[Body, ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a watch. A bookmark carries only metadata.resourceVersion."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Body


class ClusterClient(Protocol):
    """Every method raises `ClusterError` or one of its kinds, and nothing else of its own."""

    async def list(self, kind: Kind, *, namespace: str = "", page_size: int = 500) -> Listing:
        """Return every object; all namespaces when `namespace` is empty. NotFoundError: kind not served."""

    def watch(
        self,
        kind: Kind,
        *,
        resource_version: str,
        namespace: str = "",
        name: str = "",
        timeout_seconds: int = 300,
    ) -> AsyncIterator[WatchEvent]:
        """Yield events after `resource_version`, with bookmarks, until the server ends the watch.

        With `name` only those of objects of that name.
        The first event is a bookmark at that very version: the watch stands.
        Raises WatchExpiredError when the version is too old.
        """

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        """Return one object."""

    async def apply(self, kind: Kind, body: Body, *, force: bool = False, dry_run: bool = False) -> Body:
        """Apply server-side as `FIELD_MANAGER`, with strict field validation; return the object as stored."""

    async def create(self, kind: Kind, body: Body) -> Body:
        """Create one object. StaleWriteError when it exists already."""

    async def replace(self, kind: Kind, body: Body) -> Body:
        """Replace one object; metadata.resourceVersion guards against a stale write."""

    async def replace_status(self, kind: Kind, body: Body) -> Body:
        """Replace the status; metadata.resourceVersion guards against a stale write."""

    async def merge_patch(self, kind: Kind, namespace: str, name: str, patch: Body) -> Body:
        """Apply a JSON merge patch (RFC 7396)."""

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        version: str = "",
        dry_run: bool = False,
    ) -> None:
        """Delete one object. Absent already: no error.

        With `uid` only if it is still that very object, with `version` only if it has not changed since.
        """

    async def close(self) -> None:
        """Release connections."""
