"""The data plane of a playground that another process runs: its objects, and its Envoy to be asked.

Stage: playground (effect). What its Envoy serves is what translation makes of its objects, so that is done
here again; only the question goes to the Envoy.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gitmesh.kube.errors import NotFoundError
from gitmesh.kube.protocol import ClusterClient
from gitmesh.model.kinds import CONFIG_MAP, POD, SECRET, SERVICE, TRAFFIC_KINDS
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet, resource_from_body
from gitmesh.playground.envoy.admin import Admin
from gitmesh.playground.envoy.snapshot import Snapshot
from gitmesh.playground.errors import PlaygroundError
from gitmesh.playground.translate.doors import Address, Doors

_KINDS = (SERVICE, POD, SECRET, CONFIG_MAP, *TRAFFIC_KINDS)


@dataclass(frozen=True, slots=True)
class _Running:
    lives: int = 1


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An Envoy that this process did not start."""

    snapshot: Snapshot
    admin: Admin
    process: _Running = _Running()


async def read_objects(client: ClusterClient) -> ResourceSet:
    """Return everything that a mesh is made from. Raises ClusterError."""
    found: dict[ResourceKey, Resource] = {}
    for kind in _KINDS:
        with suppress(NotFoundError):  # an older playground does not serve it
            for body in (await client.list(kind)).items:
                # The items of a list may come without kind and apiVersion.
                resource = resource_from_body({"apiVersion": kind.api_version, "kind": kind.kind, **body})
                found[resource.key] = resource
    return found


def doors_in(state: Mapping[str, Any]) -> Doors:
    """Return the fixed addresses that `playground.json` names. Raises PlaygroundError."""
    known = Doors()
    return Doors(
        client=address_in(state, "mesh"), gateway=address_in(state, "gateway"), gateway_tls=known.gateway_tls
    )


def address_in(state: Mapping[str, Any], name: str) -> Address:
    """Return the address of one URL in `playground.json`. Raises PlaygroundError."""
    parts = urlsplit(str(state.get(name, "")))
    if not parts.hostname or not parts.port:
        raise PlaygroundError(f"the playground does not say where its {name} is; start it again")
    return Address(parts.hostname, parts.port)
