"""Look at foundations, and wait until what was laid bears: an active Namespace, an established definition.

Stage: observe, apply (effect).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from gitmesh.kube.errors import ClusterError, NotFoundError
from gitmesh.kube.protocol import Body
from gitmesh.model.field_managers import field_managers
from gitmesh.model.kinds import Kind, kind_of
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet, resource_from_body
from gitmesh.plan.foundations import Ground, is_established

WAIT_SECONDS = 60.0
LOOK_SECONDS = 0.25


class Reader(Protocol):
    """The part of a `ClusterClient` that reads one object."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        """Return one object."""


async def look_at(wanted: ResourceSet, client: Reader) -> Ground:
    """Return what of the foundations is live. Raises ClusterError."""
    live: dict[ResourceKey, Resource] = {}
    managers = {}
    for key in sorted(wanted):
        body = await _read(key, client)
        if body is not None:
            live[key] = resource_from_body(body)
            managers[key] = field_managers(body)
    return Ground(wanted, live, managers)


async def wait_established(
    keys: Iterable[ResourceKey], client: Reader, sleep: Callable[[float], Awaitable[None]]
) -> Mapping[ResourceKey, ClusterError]:
    """Wait for each foundation, all in the same time; return those that did not come to bear, with why."""
    left, waited = sorted(keys), 0.0
    while left:
        bodies = {key: await _read(key, client) for key in left}
        left = [key for key, body in bodies.items() if body is None or not is_established(body)]
        if left and waited >= WAIT_SECONDS:
            break
        if left:
            await sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
    text = f"not established within {WAIT_SECONDS:g} s; what stands on it is not written"
    return {key: ClusterError(f"create {key}: {text}", retryable=True) for key in left}


async def _read(key: ResourceKey, client: Reader) -> Body | None:
    try:
        return await client.get(kind_of(key), key.namespace, key.name)
    except NotFoundError:
        return None
