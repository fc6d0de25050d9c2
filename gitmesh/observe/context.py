"""What a cluster holds beside the traffic configuration, read once and without a write.

Stage: observe (effect). Of a Secret only name and type go any further than this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import anyio

from gitmesh.istio.hosts import service_host
from gitmesh.kube.errors import ClusterError, NotFoundError, RejectedError
from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.model.context import Context, ContextPod, ContextService
from gitmesh.model.kinds import NAMESPACE, POD, SERVICE, TRAFFIC_KINDS, Kind
from gitmesh.model.resource import Resource, ResourceKey, resource_from_body
from gitmesh.observe.slim import slim
from gitmesh.validate.across.lenient import labels, mapping, text
from gitmesh.validate.across.other_facts import read_pod, read_service

_SECRET = Kind("", "v1", "Secret", "secrets")
# Named by traffic objects, or selected by them; not managed by GitMesh.
_BESIDE = (
    Kind("security.istio.io", "v1", "RequestAuthentication", "requestauthentications"),
    Kind("gateway.networking.k8s.io", "v1", "Gateway", "gateways"),
)
T = TypeVar("T")


async def read_context(client: ClusterClient) -> Context:
    """Return what is there. What we may not read is not known; any other failure raises ClusterError."""
    found: dict[Kind, tuple[Body, ...] | None] = {}
    errors: list[ClusterError] = []

    async def read(kind: Kind) -> None:
        try:
            found[kind] = await _listed(client, kind)
        except ClusterError as error:
            errors.append(error)

    async with anyio.create_task_group() as group:
        for kind in (SERVICE, POD, NAMESPACE, _SECRET, *TRAFFIC_KINDS, *_BESIDE):
            group.start_soon(read, kind)
    if errors:
        raise errors[0]
    return Context(
        services=_known(found[SERVICE], _services),
        pods=_known(found[POD], lambda bodies: tuple(_pod(body) for body in bodies)),
        namespaces=_known(found[NAMESPACE], lambda bodies: {_name(b)[1]: dict(_labels(b)) for b in bodies}),
        secrets=_known(found[_SECRET], lambda bodies: {_name(b): text(b.get("type")) for b in bodies}),
        objects=_objects(body for kind in (*TRAFFIC_KINDS, *_BESIDE) for body in found[kind] or ()),
        unread=frozenset((kind.group, kind.kind) for kind, bodies in found.items() if bodies is None),
    )


async def _listed(client: ClusterClient, kind: Kind) -> tuple[Body, ...] | None:
    try:
        listing = await client.list(kind)
    except NotFoundError:
        return ()  # the kind is not served, so there is none
    except RejectedError:
        return None
    if kind is _SECRET:
        return tuple(
            {name: body[name] for name in ("metadata", "type") if name in body} for body in listing.items
        )
    return listing.items


def _known(bodies: tuple[Body, ...] | None, read: Callable[[tuple[Body, ...]], T]) -> T | None:
    return None if bodies is None else read(bodies)


def _name(body: Body) -> tuple[str, str]:
    metadata = mapping(body.get("metadata"))
    return text(metadata.get("namespace")), text(metadata.get("name"))


def _labels(body: Body) -> tuple[tuple[str, str], ...]:
    return labels(mapping(body.get("metadata")).get("labels"))


def _services(bodies: tuple[Body, ...]) -> dict[str, ContextService]:
    found = {}
    for body in bodies:
        namespace, name = _name(body)
        spec, metadata = mapping(body.get("spec")), mapping(body.get("metadata"))
        found[service_host(name, namespace)] = read_service(namespace, name, spec, metadata)
    return found


def _pod(body: Body) -> ContextPod:
    return read_pod(*_name(body), mapping(body.get("metadata")), mapping(body.get("spec")))


def _objects(bodies: Iterable[Body]) -> dict[ResourceKey, Resource]:
    resources = (resource_from_body(slim(body)) for body in bodies)
    return {resource.key: resource for resource in resources}
