"""Gateway Pods as a whole: which Gateways select them, and all that Envoy serves in their place.

Stage: playground translation (pure). Pods that differ in nothing but their names share one set of route
configurations. The ingress gateway is also behind the two doors of the playground, on 127.0.0.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gitmesh.model.kinds import SERVICE
from gitmesh.model.resource import ResourceSet
from gitmesh.playground.translate.credentials import Credentials
from gitmesh.playground.translate.destinations import Client, Destination, Destinations
from gitmesh.playground.translate.doors import Address, Doors
from gitmesh.playground.translate.downstream_tls import DownstreamTls, downstream_tls
from gitmesh.playground.translate.fields import Field, Reports
from gitmesh.playground.translate.gateway_listeners import (
    Chains,
    chains_listener,
    gateway_manager,
    port_chains,
)
from gitmesh.playground.translate.gateway_routes import (
    Bound,
    blackhole,
    by_gateway,
    gateway_virtual_hosts,
    report_unbound,
)
from gitmesh.playground.translate.gateway_servers import (
    BoundPort,
    Gateway,
    Server,
    Tls,
    merged,
    read_gateways,
)
from gitmesh.playground.translate.listeners import manager_filter
from gitmesh.playground.translate.memo import Memo
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.proxies import Proxy
from gitmesh.playground.translate.routes import RouteContext, VirtualService, kept_routes
from gitmesh.playground.translate.scopes import exported_virtual_services, kept_services
from gitmesh.playground.translate.services import Service, includes

INGRESS_LABELS = {"istio": "ingressgateway"}
# Stands in where no Pod is the ingress gateway: with the labels, and the ports, of Istio's own.
BUILT_IN = Proxy(
    "istio-ingressgateway.istio-system", "istio-system", INGRESS_LABELS, "", router=True, outbound=None
)
BUILT_IN_PORTS = {80: 8080, 443: 8443}
_DIRECT_PORTS = "experimental.istio.io/disable-gateway-port-translation"
_PRIVILEGED_PORTS = range(1, 1024)
# By these labels a controller tells its Pods apart; nothing is selected by them.
_POD_LABELS = frozenset(
    {
        "pod-template-hash",
        "controller-revision-hash",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
    }
)


class Served(NamedTuple):
    """Where a port of a gateway answers. `routes` are its route configurations, by the host in TLS or `*`."""

    address: Address | None
    routes: Mapping[str, str]
    has_tls: bool = False


@dataclass(slots=True)
class GatewayConfiguration:
    """What all gateways need, by name. `servers`: by the proxy, then by the port in a Gateway."""

    listeners: dict[str, Envoy] = field(default_factory=dict)
    routes: dict[str, list[Envoy]] = field(default_factory=dict)  # virtual hosts
    secrets: dict[str, Envoy] = field(default_factory=dict, repr=False)
    servers: dict[str, dict[int, Served]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GatewayWorld:
    """What gateways are made from. `resources` are asked for Gateways, Secrets, ConfigMaps and Services."""

    resources: ResourceSet
    services: Mapping[str, Service]
    virtual_services: Sequence[VirtualService]
    destinations: Destinations
    credentials: Credentials
    memo: Memo
    default_retries: Field | None = None

    @property
    def reports(self) -> Reports:
        """Where what has no effect is said."""
        return self.memo.reports


def routers(proxies: Iterable[Proxy]) -> list[Proxy]:
    """Return the gateways among proxies, the ingress gateway first: a built-in one where no Pod is it."""
    found = [proxy for proxy in proxies if proxy.router]
    if not any(map(_is_ingress, found)):
        found.append(BUILT_IN)
    return sorted(found, key=lambda proxy: (not _is_ingress(proxy), proxy.name))


def router_client(proxy: Proxy) -> Client:
    """Return whom DestinationRules see in a gateway."""
    labels = {name: value for name, value in proxy.labels.items() if name not in _POD_LABELS}
    return Client(proxy.namespace, labels, router=True)


def gateway_configuration(
    world: GatewayWorld, proxies: Iterable[Proxy], doors: Doors
) -> GatewayConfiguration:
    """Return what Envoy serves for the gateways among `proxies`, and at the doors."""
    gateways = read_gateways(world.resources, world.reports)
    report_unbound(gateways, by_gateway(world.virtual_services))
    found = GatewayConfiguration()
    groups = _groups(world, routers(proxies))
    for gateway in gateways:
        if not any(includes(pods[0].labels, gateway.selector) for pods in groups):
            gateway.spec["selector"].report(
                "no gateway Pod has these labels, so nothing is served; "
                "a gateway is a Pod whose only container has the name istio-proxy"
            )
    has_ingress = False
    for pods in groups:
        at_doors = _is_ingress(pods[0]) and not has_ingress
        has_ingress |= at_doors
        _Workload(world, pods, gateways, doors if at_doors else None).add_to(found)
    return found


def _groups(world: GatewayWorld, found: Iterable[Proxy]) -> list[list[Proxy]]:
    """Return the Pods that share their configuration."""
    groups: dict[object, list[Proxy]] = {}
    for proxy in found:
        client, ports = router_client(proxy), _ports_of(world, proxy)
        key = (client.namespace, tuple(sorted(client.labels.items())), tuple(sorted(ports.items())))
        groups.setdefault(key, []).append(proxy)
    return list(groups.values())


def _is_ingress(proxy: Proxy) -> bool:
    return includes(proxy.labels, INGRESS_LABELS)


def _ports_of(world: GatewayWorld, proxy: Proxy) -> dict[int, int]:
    """Return where a gateway Pod takes what is sent to a port of its Services; the oldest Service decides."""
    if proxy is BUILT_IN:
        return dict(BUILT_IN_PORTS)
    ports: dict[int, int] = {}
    own = (s for s in world.services.values() if s.is_kubernetes and s.namespace == proxy.namespace)
    for service in sorted(own, key=lambda service: (service.created, service.name)):
        endpoint = next((e for e in service.endpoints if e.address == proxy.address), None)
        if endpoint is None:
            continue
        resource = world.resources.get(SERVICE.key(service.namespace, service.name))
        direct = resource is not None and _DIRECT_PORTS in resource.labels
        for port in service.ports:
            target = endpoint.port(port)
            if target is not None:
                ports.setdefault(target if direct else port.number, target)
    return ports


class _Workload:
    """One gateway: Pods alike, with one set of route configurations, and a set of listeners for each Pod."""

    def __init__(
        self,
        world: GatewayWorld,
        pods: list[Proxy],
        gateways: Sequence[Gateway],
        doors: Doors | None,
    ) -> None:
        self._world, self._pods, self._doors = world, pods, doors
        first = pods[0]
        self._client = router_client(first)
        self._ports = _ports_of(world, first)
        self._prefix = "" if doors is not None else f"{first.name}|"
        seen = exported_virtual_services(world.virtual_services, first.namespace)
        self._bound: Bound = by_gateway(seen)
        self._services = kept_services(world.services, first.namespace, world.memo)
        self._hidden = frozenset(world.services.keys() - self._services.keys())
        self._known: dict[str, Destination] = {}
        selecting = [gateway for gateway in gateways if includes(first.labels, gateway.selector)]
        self._bound_ports = merged(selecting, self._port_of)

    def add_to(self, found: GatewayConfiguration) -> None:
        """Add listeners, routes and secrets."""
        answers: dict[int, Chains] = {}
        for port in self._bound_ports:
            for name, servers in port.route_names().items():
                hosts = gateway_virtual_hosts(servers, self._bound, self._routes)
                found.routes[self._prefix + name] = hosts or blackhole(servers[0].number)
            chains = port_chains(
                port, self._bound, self._context, self._tls, self._pods[0].workload, self._prefix
            )
            found.secrets.update(chains.secrets)
            answers[port.number] = chains
        for pod in self._pods:
            found.servers[pod.name] = self._servers(pod, answers)
            for number, chains in answers.items() if pod.address else ():
                if chains.chains and number not in _PRIVILEGED_PORTS:
                    listener = chains_listener(f"{pod.name}|{number}", Address(pod.address, number), chains)
                    found.listeners[listener["name"]] = listener
        if self._doors is not None:
            self._open_doors(self._doors, answers, found)

    def _open_doors(self, doors: Doors, answers: Mapping[int, Chains], found: GatewayConfiguration) -> None:
        plain, encrypted = answers.get(self._port_of(80)), answers.get(self._port_of(443))
        if plain is None or not plain.chains:
            routes = f"http.{self._port_of(80)}"
            found.routes.setdefault(routes, blackhole(80))
            manager = gateway_manager(routes, self._pods[0].workload)
            plain = Chains([{"name": routes, "filters": [manager_filter(manager)]}])
        found.listeners["gateway"] = chains_listener("gateway", doors.gateway, plain)
        if encrypted is not None and encrypted.chains:
            found.listeners["gateway-tls"] = chains_listener("gateway-tls", doors.gateway_tls, encrypted)

    def _servers(self, pod: Proxy, answers: Mapping[int, Chains]) -> dict[int, Served]:
        found = {}
        for port in self._bound_ports:
            routes: dict[str, str] = {}
            for name, servers in port.route_names().items():
                for server in servers:
                    for host in server.names if port.has_tls else ("*",):
                        routes.setdefault(host, self._prefix + name)
            address = self._address(pod, port) if answers[port.number].chains else None
            for number in dict.fromkeys(server.number for server in port.servers):
                found[number] = Served(address, routes, port.has_tls)
        return found

    def _address(self, pod: Proxy, port: BoundPort) -> Address | None:
        """Say where people reach a port: at a door, else at the Pod."""
        if self._doors is not None and port.number == self._port_of(80):
            return self._doors.gateway
        if self._doors is not None and port.number == self._port_of(443):
            return self._doors.gateway_tls
        if pod.address and port.number not in _PRIVILEGED_PORTS:
            return Address(pod.address, port.number)
        why = f"port {port.number} is not opened on a Pod: give the gateway a Service with another targetPort"
        if not pod.address:
            why = (
                f"port {port.number} is not open: without a Pod the ingress gateway has ports 80 and 443 only"
            )
        for server in port.servers:
            server.spec["port"]["number"].report(why)
        return None

    def _port_of(self, number: int) -> int:
        return self._ports.get(number, number)

    def _tls(self, server: Server) -> DownstreamTls | None:
        tls, namespace = server.spec["tls"], self._client.namespace
        return downstream_tls(tls, namespace, self._world.credentials, http=server.is_http)

    def _routes(self, source: VirtualService, server: Server) -> list[Envoy]:
        """Return the routes of a VirtualService at a server."""
        client, world = self._client, self._world
        who = (client.namespace, tuple(client.labels.items()))
        name = ("gateway routes", who, source.spec.key, server.gateway, server.number, server.tls)
        seen = (world.services, world.destinations)
        return kept_routes(source, self._context(server), world.memo, name, seen)

    def _context(self, server: Server) -> RouteContext:
        return RouteContext(
            server.gateway,
            server.number,
            self._services,
            self._client.namespace,
            self._client.labels,
            self._destination,
            tls=server.tls is Tls.ENDED,
            default_retries=self._world.default_retries,
            hidden=self._hidden,
        )

    def _destination(self, service: Service) -> Destination:
        if service.host not in self._known:
            self._known[service.host] = self._world.destinations.of(service, self._client)
        return self._known[service.host]
