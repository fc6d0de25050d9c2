"""Istio resources, Services and Pods to Envoy configuration: the one function that does it all.

Stage: playground translation (pure).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from gitmesh.model.kinds import (
    CONFIG_MAP,
    DESTINATION_RULE,
    NETWORKING,
    POD,
    SECRET,
    SERVICE,
    SERVICE_ENTRY,
    WORKLOAD_ENTRY,
    Kind,
)
from gitmesh.model.resource import Resource, ResourceSet
from gitmesh.playground.translate.clusters import clusters_of
from gitmesh.playground.translate.credentials import Credentials
from gitmesh.playground.translate.destinations import Client, Destination, Destinations
from gitmesh.playground.translate.doors import Address, Doors
from gitmesh.playground.translate.fields import Untranslated, spec_of
from gitmesh.playground.translate.gateways import (
    GatewayWorld,
    Served,
    gateway_configuration,
    router_client,
    routers,
)
from gitmesh.playground.translate.handled import HANDLED, UNTRANSLATED_KINDS, report_unhandled
from gitmesh.playground.translate.listeners import (
    manager_filter,
    outbound_listener,
    outbound_manager,
    probe_address,
    probe_listener,
)
from gitmesh.playground.translate.memo import Memo
from gitmesh.playground.translate.mesh_config import read_mesh_config
from gitmesh.playground.translate.mesh_hosts import mesh_virtual_hosts
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.passthrough import passthrough_cluster
from gitmesh.playground.translate.proxies import CLIENT, Proxy, read_proxies
from gitmesh.playground.translate.registry import read_registry
from gitmesh.playground.translate.routes import read_virtual_services
from gitmesh.playground.translate.scopes import Scope, Scopes
from gitmesh.playground.translate.services import Service
from gitmesh.playground.translate.tls_upstream import SYSTEM_ROOTS, UpstreamTls
from gitmesh.playground.translate.tunnels import (
    internal_listener,
    tunnel_cluster,
    tunnel_listener,
    tunnel_name,
    web_tunnel_name,
)

_DOORS = Doors()
_Reached = tuple[list[Envoy], Mapping[str, Envoy]]  # clusters, and the secrets that they name
_AT_ONCE = 50  # objects that are compared in one go, before one by one
_BEHIND_SERVICES = (SERVICE, POD, SERVICE_ENTRY, WORKLOAD_ENTRY)


@dataclass(frozen=True, slots=True)
class ProxyEntry:
    """One proxy as people meet it.

    `routes` is the route configuration of a sidecar. A gateway has `servers` instead: by the port that
    Gateways name.
    """

    name: str
    namespace: str
    outbound: Address | None = None
    routes: str = ""
    servers: Mapping[int, Served] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Translation:
    """What Envoy is to serve, and what of the objects has no part in it.

    Messages by name. A listener names its route configurations, and clusters and listeners their secrets,
    without saying where these are: that is the data plane's.
    """

    listeners: Mapping[str, Envoy]
    clusters: Mapping[str, Envoy]
    routes: Mapping[str, Envoy]
    secrets: Mapping[str, Envoy] = field(repr=False)
    proxies: tuple[ProxyEntry, ...]
    untranslated: tuple[Untranslated, ...]


@dataclass(slots=True)
class _Parts:
    """What has been made so far, by name."""

    listeners: dict[str, Envoy] = field(default_factory=dict)
    clusters: dict[str, Envoy] = field(default_factory=dict)
    routes: dict[str, Envoy] = field(default_factory=dict)
    secrets: dict[str, Envoy] = field(default_factory=dict)

    def listen(self, listener: Envoy) -> None:
        self.listeners[listener["name"]] = listener

    def reach(self, clusters: Iterable[Envoy]) -> None:
        self.clusters.update((cluster["name"], cluster) for cluster in clusters)

    def route(self, name: str, hosts: list[Envoy], *, ignore_port: bool = False) -> None:
        self.routes[name] = route_configuration(name, hosts, ignore_port=ignore_port)


def translate(
    resources: ResourceSet,
    *,
    doors: Doors = _DOORS,
    client_namespace: str = "default",
    system_roots: str = SYSTEM_ROOTS,
    memo: Memo | None = None,
) -> Translation:
    """Return the configuration of every proxy; the built-in client is in `client_namespace`. Never raises.

    `system_roots` is the file of the authorities that the machine trusts; empty when it has none.
    `memo` makes the next translation of nearly the same objects fast; it belongs to one set of `doors`.
    """
    memo = memo or Memo()
    reports = memo.begin()
    of = _Kinds(resources).of
    services = memo.keep("services", of(*_BEHIND_SERVICES), lambda: read_registry(resources, reports, memo))
    rules = of(DESTINATION_RULE)
    destinations = memo.keep("destinations", rules, lambda: Destinations(resources, reports, memo))
    sources = read_virtual_services(resources, reports, memo)
    proxies = memo.keep(
        ("proxies", client_namespace),
        of(POD),
        lambda: read_proxies(resources, doors, client_namespace=client_namespace),
    )
    configs = of(CONFIG_MAP)
    mesh = memo.keep("mesh", configs, lambda: read_mesh_config(resources, reports))
    scopes = Scopes(resources, services, sources, destinations, mesh, memo)
    parts = _Parts()
    parts.reach([passthrough_cluster()])
    entries = _sidecars(parts, proxies, scopes, doors)
    credentials = memo.keep("credentials", (*configs, *of(SECRET)), lambda: Credentials(resources))
    clients = [scopes.of(p).client for p in proxies if not p.router]
    clients += [router_client(proxy) for proxy in routers(proxies)]
    clients = list({(c.namespace, tuple(c.labels.items()), c.router): c for c in clients}.values())
    clients = memo.same("clients", clients)
    clusters, secrets = memo.keep(
        ("clusters", system_roots),
        (services, destinations, credentials, clients),
        lambda: _clusters(services.values(), destinations, clients, credentials, system_roots, memo),
    )
    parts.clusters.update(clusters)
    parts.secrets.update(secrets)
    world = GatewayWorld(resources, services, sources, destinations, credentials, memo, mesh.default_retries)
    entries += _gateways(parts, world, proxies, doors)
    destinations.report_unused()
    _probes(parts, entries, doors)
    _report_rest(resources, memo)
    return Translation(parts.listeners, parts.clusters, parts.routes, parts.secrets, entries, reports.all())


def _sidecars(
    parts: _Parts, proxies: Iterable[Proxy], scopes: Scopes, doors: Doors
) -> tuple[ProxyEntry, ...]:
    entries = []
    for proxy in proxies:
        if proxy.outbound is None:
            continue
        scope = scopes.of(proxy)
        routes = f"outbound|{scope.name}"
        if routes not in parts.routes:
            _scope(parts, scope, routes)
        parts.listen(outbound_listener(proxy, proxy.outbound, routes))
        entries.append(ProxyEntry(proxy.name, proxy.namespace, proxy.outbound, routes))
    return tuple(entries)


def _gateways(
    parts: _Parts, world: GatewayWorld, proxies: Iterable[Proxy], doors: Doors
) -> tuple[ProxyEntry, ...]:
    found = gateway_configuration(world, proxies, doors)
    parts.listeners.update(found.listeners)
    parts.secrets.update(found.secrets)
    for name, hosts in found.routes.items():
        parts.route(name, hosts, ignore_port=True)
    namespaces = {proxy.name: proxy.namespace for proxy in routers(proxies)}
    return tuple(
        ProxyEntry(name, namespaces[name], servers=found.servers.get(name, {})) for name in namespaces
    )


def _scope(parts: _Parts, scope: Scope, routes: str) -> None:
    """Make what the proxies of one scope share: routes, and the internal listeners for what is not HTTP."""
    parts.route(routes, mesh_virtual_hosts(scope))
    manager = outbound_manager(routes)
    parts.listen(internal_listener(web_tunnel_name(scope), [{"filters": [manager_filter(manager)]}]))
    parts.reach([tunnel_cluster(web_tunnel_name(scope))])
    for service, port in scope.ports():
        if not port.protocol.is_http:
            parts.listen(tunnel_listener(scope, service, port))
            parts.reach([tunnel_cluster(tunnel_name(scope, service, port))])


def _clusters(
    services: Iterable[Service],
    destinations: Destinations,
    clients: Collection[Client],
    credentials: Credentials,
    system_roots: str,
    memo: Memo,
) -> tuple[Mapping[str, Envoy], Mapping[str, Envoy]]:
    """Return the clusters of all services as each client sees them, and the secrets that these name."""

    def of_one(service: Service, destination: Destination) -> _Reached:
        tls = UpstreamTls(credentials, system_roots)
        return list(clusters_of(service, destination, tls)), tls.secrets

    found: dict[str, Envoy] = {}
    secrets: dict[str, Envoy] = {}
    destinations.forget_uses()
    for service in services:
        seen = set()
        for client in (Client(service.namespace), *clients):
            destination = destinations.of(service, client)
            if destination.variant not in seen:
                seen.add(destination.variant)
                name = ("clusters of", service.host, service.namespace, destination.variant, system_roots)
                make = partial(of_one, service, destination)
                clusters, theirs = memo.keep(name, (service, destination, credentials), make)
                found.update((cluster["name"], cluster) for cluster in clusters)
                secrets.update(theirs)
    return found, secrets


def _probes(parts: _Parts, entries: Iterable[ProxyEntry], doors: Doors) -> None:
    """Make a probe for each route configuration; that of the built-in client has a fixed address."""
    fixed = next((entry.routes for entry in entries if entry.name == CLIENT), "")
    for routes in parts.routes:
        address = doors.probe if routes == fixed else probe_address(routes)
        parts.listen(probe_listener(address, routes))


def _report_rest(resources: ResourceSet, memo: Memo) -> None:
    chosen = [
        resource
        for key, resource in resources.items()
        if key.group == NETWORKING and (key.kind in HANDLED or key.kind in UNTRANSLATED_KINDS)
    ]
    for start in range(0, len(chosen), _AT_ONCE):
        some = chosen[start : start + _AT_ONCE]
        memo.keep(("rest", start), some, partial(_report_unhandled, some, memo))


def _report_unhandled(resources: Iterable[Resource], memo: Memo) -> None:
    for resource in resources:
        spec = spec_of(resource, memo.reports)
        memo.keep(("rest", resource.key), (resource,), partial(report_unhandled, spec))


class _Kinds:
    """The objects by their kind."""

    def __init__(self, resources: ResourceSet) -> None:
        self._found: dict[tuple[str, str], list[Resource]] = {}
        for key, resource in resources.items():
            self._found.setdefault((key.group, key.kind), []).append(resource)

    def of(self, *kinds: Kind) -> tuple[Resource, ...]:
        """Return all objects of some kinds."""
        return tuple(item for kind in kinds for item in self._found.get((kind.group, kind.kind), ()))


def route_configuration(name: str, hosts: list[Envoy], *, ignore_port: bool) -> Envoy:
    """Return a route configuration of these virtual hosts."""
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": name,
        "virtual_hosts": hosts,
        # A route to a cluster that does not exist answers 503, as in Istio, and does not spoil the others.
        "validate_clusters": False,
        "ignore_port_in_host_matching": ignore_port,
        "max_direct_response_body_size_bytes": 1_048_576,
    }
