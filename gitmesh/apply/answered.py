"""Writing so that somebody hears of every answer at once, and not only when a whole wave is through.

Stage: apply (effect).
"""

from __future__ import annotations

from collections.abc import Callable

from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.model.kinds import Kind


class Answered:
    """A client's writes. `stored(body)` hears of each object that was written, as it is now, and returns
    what is to be kept of it; `answered()` hears of every good answer, also those to a dry run."""

    def __init__(
        self, client: ClusterClient, *, answered: Callable[[], None], stored: Callable[[Body], Body]
    ) -> None:
        self._client = client
        self._answered = answered
        self._stored = stored

    async def apply(self, kind: Kind, body: Body, *, force: bool = False, dry_run: bool = False) -> Body:
        """Apply as `ClusterClient.apply` does."""
        answer = await self._client.apply(kind, body, force=force, dry_run=dry_run)
        self._answered()
        return answer if dry_run else self._stored(answer)

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
        """Delete as `ClusterClient.delete` does."""
        await self._client.delete(kind, namespace, name, uid=uid, version=version, dry_run=dry_run)
        self._answered()

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        """Get as `ClusterClient.get` does."""
        return await self._client.get(kind, namespace, name)

    async def merge_patch(self, kind: Kind, namespace: str, name: str, patch: Body) -> Body:
        """Patch as `ClusterClient.merge_patch` does: a patch that names a version works once."""
        answer = await self._client.merge_patch(kind, namespace, name, patch)
        self._answered()
        return self._stored(answer)
