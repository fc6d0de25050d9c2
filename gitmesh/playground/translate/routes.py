"""The routes of one VirtualService, at one gateway (or inside the mesh) and one port.

Stage: playground translation (pure). Source: istio/istio pilot/pkg/networking/core/route,
BuildHTTPRoutesForVirtualService.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitmesh.istio.hosts import fully_qualified
from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.resource import ResourceSet
from gitmesh.playground.translate.actions import action_of, forward_to
from gitmesh.playground.translate.destinations import age
from gitmesh.playground.translate.fields import Field, Reports, render_path, spec_of
from gitmesh.playground.translate.matches import gateway_name, holds_here, is_catch_all, route_match
from gitmesh.playground.translate.naming import Envoy, cluster_name, route_metadata
from gitmesh.playground.translate.services import Service

MESH = "mesh"


@dataclass(frozen=True, slots=True)
class VirtualService:
    """One VirtualService with its hosts and gateways resolved."""

    spec: Field
    hosts: tuple[str, ...]
    gateways: frozenset[str]

    @property
    def namespace(self) -> str:
        """Where it lives."""
        return self.spec.key.namespace


def read_virtual_services(resources: ResourceSet, reports: Reports) -> tuple[VirtualService, ...]:
    """Return every VirtualService, oldest first: for one host inside the mesh, the oldest wins."""
    group_kind = (VIRTUAL_SERVICE.group, VIRTUAL_SERVICE.kind)
    chosen = (r for k, r in resources.items() if (k.group, k.kind) == group_kind)
    return tuple(_read(spec_of(resource, reports)) for resource in sorted(chosen, key=age))


def _read(spec: Field) -> VirtualService:
    if spec["exportTo"].present and "*" not in spec["exportTo"].texts():
        spec["exportTo"].report("is not translated: the object is visible to all of the playground")
    namespace = spec.key.namespace
    hosts = tuple(fully_qualified(host, namespace).lower() for host in spec["hosts"].texts() if host)
    gateways = frozenset(gateway_name(name, namespace) for name in spec["gateways"].texts())
    return VirtualService(spec, hosts, gateways or frozenset({MESH}))


def routes_of(
    source: VirtualService, gateway: str, port: int, services: Mapping[str, Service]
) -> list[Envoy]:
    """Return the routes in order, up to the first that takes everything."""

    def cluster_of(destination: Field) -> str:
        return destination_cluster(destination, port, services)

    routes = []
    for rule in source.spec["http"].items():
        action = action_of(rule, cluster_of)
        if action is None:
            continue
        matches: list[Field | None] = [*rule["match"].items()]
        for match in matches or [None]:
            if match is not None and not holds_here(match, gateway, port):
                continue
            route = {**_identity(rule, match), "match": route_match(match), **action}
            routes.append(route)
            if is_catch_all(route["match"]):
                return routes
    return routes


def default_route(service: Service, port: int) -> Envoy:
    """Return the route of a Service that no VirtualService is about."""
    return {
        "name": "default",
        "match": {"prefix": "/"},
        "route": forward_to(cluster_name(service.host, port)),
    }


def _identity(rule: Field, match: Field | None) -> Envoy:
    names = [rule["name"].text(), match["name"].text() if match else ""]
    place = render_path((match or rule).path)
    return {"name": ".".join(name for name in names if name), "metadata": route_metadata(rule.key, place)}


def destination_cluster(destination: Field, listener_port: int, services: Mapping[str, Service]) -> str:
    """Name the cluster of a destination.

    Its port is the one written, else the only one of the service, else that of the listener.
    """
    host = fully_qualified(destination["host"].text(), destination.key.namespace)
    port = destination["port"]["number"].integer()
    if not port:
        ports = services[host].ports if host in services else ()
        port = ports[0].number if len(ports) == 1 else listener_port
    return cluster_name(host, port, destination["subset"].text())
