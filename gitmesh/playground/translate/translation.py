"""Istio resources, Services and Pods to Envoy configuration: the one function that does it all.

Stage: playground translation (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitmesh.model.kinds import NETWORKING
from gitmesh.model.resource import ResourceSet
from gitmesh.playground.translate.clusters import clusters_of
from gitmesh.playground.translate.destinations import Destinations
from gitmesh.playground.translate.fields import Reports, Untranslated, spec_of
from gitmesh.playground.translate.gateways import gateway_virtual_hosts
from gitmesh.playground.translate.handled import HANDLED, UNTRANSLATED_KINDS, report_unhandled
from gitmesh.playground.translate.mesh_hosts import mesh_virtual_hosts
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.routes import read_virtual_services
from gitmesh.playground.translate.services import read_services

MESH_ROUTES = "mesh"
GATEWAY_ROUTES = "gateway"


@dataclass(frozen=True, slots=True)
class Translation:
    """What Envoy is to serve, and what of the objects has no part in it.

    `clusters` and `routes` map a name to its Envoy message; `routes` always has `mesh` and `gateway`.
    """

    clusters: Mapping[str, Envoy]
    routes: Mapping[str, Envoy]
    untranslated: tuple[Untranslated, ...]


def translate(resources: ResourceSet, *, client_namespace: str = "default") -> Translation:
    """Return the configuration as a client in `client_namespace` meets the mesh. Never raises."""
    reports = Reports()
    services = read_services(resources, reports)
    destinations = Destinations(resources, client_namespace, reports)
    clusters = {}
    for service in services.values():
        for cluster in clusters_of(service, destinations.of(service.host, service.namespace)):
            clusters[cluster["name"]] = cluster
    destinations.report_unused()
    sources = read_virtual_services(resources, reports)
    mesh = mesh_virtual_hosts(sources, services, client_namespace)
    gateway = gateway_virtual_hosts(resources, sources, services, reports)
    _report_rest(resources, reports)
    routes = {MESH_ROUTES: _routes(MESH_ROUTES, mesh), GATEWAY_ROUTES: _routes(GATEWAY_ROUTES, gateway)}
    return Translation(clusters, routes, reports.all())


def _report_rest(resources: ResourceSet, reports: Reports) -> None:
    for key, resource in resources.items():
        if key.group == NETWORKING and (key.kind in HANDLED or key.kind in UNTRANSLATED_KINDS):
            report_unhandled(spec_of(resource, reports))


def _routes(name: str, hosts: list[Envoy]) -> Envoy:
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": name,
        "virtual_hosts": hosts,
        # A route to a cluster that does not exist answers 503, as in Istio, and does not spoil the others.
        "validate_clusters": False,
        "ignore_port_in_host_matching": True,
        "max_direct_response_body_size_bytes": 1_048_576,
    }
