"""Become the owner of fields before a write, so that what Git does not have goes with it.

Stage: apply (effect). Which fields, the plan says.
"""

from __future__ import annotations

from typing import Protocol

from gitmesh.kube.errors import StaleWriteError
from gitmesh.kube.protocol import Body
from gitmesh.model.kinds import Kind, kind_of
from gitmesh.model.plan import Change
from gitmesh.plan.takeover import taken_over


class Taker(Protocol):
    """The part of a `ClusterClient` that moves the ownership of fields."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        """Return one object."""

    async def merge_patch(self, kind: Kind, namespace: str, name: str, patch: Body) -> Body:
        """Apply a JSON merge patch (RFC 7396)."""


async def take_over(change: Change, client: Taker) -> str:
    """Move the ownership that a change asks for; return the version of the object after that.

    Nothing but the bookkeeping changes. Raises StaleWriteError when live is not what the plan was made for.
    """
    assert change.takeover is not None
    key, kind = change.key, kind_of(change.key)
    live = await client.get(kind, key.namespace, key.name)
    version = str((live.get("metadata") or {}).get("resourceVersion") or "")
    require_unchanged(change, version)
    entries = taken_over(live, change.takeover, kind.api_version)
    patch = {"metadata": {"resourceVersion": version, "managedFields": entries}}
    stored = await client.merge_patch(kind, key.namespace, key.name, patch)
    return str((stored.get("metadata") or {}).get("resourceVersion") or "")


def require_unchanged(change: Change, version: str) -> None:
    """Raise StaleWriteError when live is not what the plan was made for."""
    planned = change.before.resource_version if change.before else ""
    if planned and planned != version:
        message = f"{change.kind.value} {change.key}: it has changed since the plan was made; planned again"
        raise StaleWriteError(message, retryable=True, status=409)
