"""The virtual hosts of a sidecar: each port of each service under its names, and hosts of VirtualServices.

Stage: playground translation (pure). Source: istio/istio pilot/pkg/networking/core, httproute.go.

One listener serves all ports, so that domains carry the port, as `reviews:9080`. A host without a port means
port 80, where the service has one, and its first HTTP port otherwise: a convenience of the playground.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gitmesh.istio.hosts import covers
from gitmesh.playground.translate.matches import is_catch_all
from gitmesh.playground.translate.naming import Envoy, cluster_name
from gitmesh.playground.translate.passthrough import allow_any, block_all
from gitmesh.playground.translate.routes import MESH, VirtualService, default_route, kept_routes
from gitmesh.playground.translate.scopes import REGISTRY_ONLY, Scope
from gitmesh.playground.translate.services import Protocol, Service, ServicePort
from gitmesh.playground.translate.tunnels import connect_route, tunnel_name, web_tunnel_name

_EVERY_HOST = "*:80"
_LITERAL_HOST_PORT = 80  # where pilot serves the hosts that are no service


def mesh_virtual_hosts(scope: Scope) -> list[Envoy]:
    """Return the virtual hosts as the proxies of a scope see them."""
    ports = scope.ports()
    taken = {f"{service.host}:{port.number}" for service, port in ports}
    mains = _main_ports(ports)
    taken.update(mains)
    hosts = list(_literal_hosts(scope, taken))
    sources = _Sources(scope)
    own: set[str] = set()
    for service, port in ports:
        domains = [
            domain
            for domain in _domains(scope, service, port, is_main=mains.get(service.host) == port.number)
            if domain not in own and (domain not in taken or domain.partition(":")[0] == service.host)
        ]
        own.update(domains)
        taken.update(domains)
        if domains:
            routes = _routes(scope, service, port, sources)
            name = f"{service.host}:{port.number}"
            host = {"name": name, "domains": domains, "routes": routes}
            hosts.append(scope.memo.same(("virtual host", scope.name, name), host))
    if "*" not in taken:
        every_host: list[Envoy] = next(
            (host["routes"] for host in hosts if host["domains"] == [_EVERY_HOST]), []
        )
        catch_all = _catch_all(scope)
        hosts.append({**catch_all, "routes": [*_without_port(every_host), *catch_all["routes"]]})
    return hosts


def _without_port(routes: Iterable[Envoy]) -> list[Envoy]:
    """Return the routes of the host `*` for requests without a port: these are for port 80, and no other."""
    portless = {"name": ":authority", "string_match": {"safe_regex": {"regex": r"[^:]*|\[.*\]"}}}
    rules = [route for route in routes if "connect_matcher" not in route["match"]]
    if rules and not is_catch_all(rules[-1]["match"]):
        rules.append({"name": "no-route", "match": {"prefix": "/"}, "direct_response": {"status": 404}})
    found = []
    for route in rules:
        match = route["match"]
        found.append({**route, "match": {**match, "headers": [*match.get("headers", ()), portless]}})
    return found


def service_names(service: Service, client_namespace: str) -> list[str]:
    """Return the names under which a client reaches a service, the longest first, then its addresses."""
    names = [service.host]
    if service.is_kubernetes:
        name = f"{service.name}.{service.namespace}"
        names += [f"{service.host}.", f"{name}.svc", name]
        if service.namespace == client_namespace:
            names.append(service.name)
        if service.headless:  # its Pods have names of their own
            names += [f"*.{name}" for name in names]
    elif not service.host.startswith("*"):
        names.append(f"{service.host}.")
    return [*names, *(f"[{a}]" if ":" in a else a for a in service.addresses if "/" not in a)]


def _domains(scope: Scope, service: Service, port: ServicePort, *, is_main: bool) -> list[str]:
    names = service_names(service, scope.namespace)
    domains = [f"{name}:{port.number}" if name != "*" else name for name in names]
    return domains + names if is_main else domains


def _main_ports(ports: Iterable[tuple[Service, ServicePort]]) -> dict[str, int]:
    """Return which port a host without a port means: 80, else the first HTTP port that is seen."""
    found: dict[str, int] = {}
    for service, port in ports:
        if port.protocol.is_http and (port.number == _LITERAL_HOST_PORT or service.host not in found):
            found[service.host] = port.number
    return found


class _Sources:
    """Finds the VirtualServices for a host, without looking at all of them for each."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._by_view: dict[int, tuple[dict[str, list[int]], list[tuple[str, int]]]] = {}

    def of(self, host: str, port: int) -> list[VirtualService]:
        """Return those that may speak for a host, the one with the first say first.

        Those of exactly this host are asked one after the other, as long as one has no rule for the port or
        the client. Only where there are none, the first one with the most precise wildcard is asked, alone.
        Source: istio/istio pilot/pkg/networking/core/route, separateVSHostsAndServices.
        """
        view = self._scope.view(port)
        if id(view) not in self._by_view:
            self._by_view[id(view)] = _index(view.virtual_services)
        exact, wildcards = self._by_view[id(view)]
        if host in exact and not host.startswith("*"):
            return [view.virtual_services[place] for place in exact[host]]
        covering = [(-len(w), order) for w, order in wildcards if covers(w, host)]
        return [view.virtual_services[min(covering)[1]]] if covering else []


def _index(sources: Sequence[VirtualService]) -> tuple[dict[str, list[int]], list[tuple[str, int]]]:
    exact: dict[str, list[int]] = {}
    wildcards = []
    for place, source in enumerate(sources):
        if MESH in source.gateways:
            for host in source.hosts:
                exact.setdefault(host, []).append(place)
                if host.startswith("*"):
                    wildcards.append((host, place))
    return exact, wildcards


def _routes(scope: Scope, service: Service, port: ServicePort, sources: _Sources) -> list[Envoy]:
    if not port.protocol.is_http:
        return [connect_route(_tunnel(scope, service, port))]
    connect = connect_route(web_tunnel_name(scope))
    context = scope.context(port.number)
    candidates = sources.of(service.host, port.number)
    for place, source in enumerate(candidates):
        routes = _routes_of(scope, source, port.number)
        if routes:
            for hidden in candidates[place + 1 :]:
                _report_hidden(hidden, service.host, by=source)
            return [*routes, connect]
    name = ("default route", scope.name, service.host, port.number)
    inputs = (service, scope.destination_of(service), scope.default_retries)
    return [scope.memo.keep(name, inputs, lambda: default_route(service, context)), connect]


def _tunnel(scope: Scope, service: Service, port: ServicePort) -> str:
    """Return the cluster for bytes: the port's listener, or what looks up a host that only CONNECT says."""
    asked = service.resolution.is_as_asked and service.host.startswith("*")
    if asked and port.protocol is Protocol.TCP:
        return cluster_name(service.host, port.number, variant=scope.destination_of(service).variant)
    return tunnel_name(scope, service, port)


def _routes_of(scope: Scope, source: VirtualService, port: int) -> list[Envoy]:
    """Return the routes of a VirtualService at a port, as the proxies of a scope see them."""
    labels = tuple(scope.labels.items())
    name = ("routes", scope.name, labels, source.spec.key, port)
    world = (scope.services, scope.destinations)
    return kept_routes(source, scope.context(port), scope.memo, name, world)


def _literal_hosts(scope: Scope, taken: set[str]) -> Iterator[Envoy]:
    """Yield the hosts of VirtualServices that are no service on port 80, and that cover none there."""
    view = scope.view(_LITERAL_HOST_PORT)
    there = [host for host, service in view.services.items() if service.port(_LITERAL_HOST_PORT)]
    owners: dict[str, VirtualService] = {}
    for source in view.virtual_services:
        for host in source.hosts if MESH in source.gateways else ():
            if host in owners:
                _report_hidden(source, host, by=owners[host])
            # Where a host without a port means another port, that comes before the host as it is written.
            if host in taken or _covers_any(host, there):
                continue
            routes = _routes_of(scope, source, _LITERAL_HOST_PORT)
            if routes:
                name = f"{host}:{_LITERAL_HOST_PORT}"
                domains = [name] if host == "*" else [name, host]
                taken.update(domains)
                owners[host] = source
                connect = connect_route(web_tunnel_name(scope))
                yield {"name": name, "domains": domains, "routes": [*routes, connect]}


def _covers_any(host: str, services: Iterable[str]) -> bool:
    return host.startswith("*") and any(covers(host, known) for known in services)


def _report_hidden(source: VirtualService, host: str, *, by: VirtualService) -> None:
    # A wildcard that gives way to a more precise host is meant so; two objects for one host seldom are.
    if host in source.hosts and host in by.hosts and source is not by:
        message = (
            f"has no effect on {host} inside the mesh: {by.spec.key} has it too and is older, as in Istio"
        )
        source.spec["hosts"].report(message)


def _catch_all(scope: Scope) -> Envoy:
    if scope.outbound_policy == REGISTRY_ONLY:
        return block_all()
    if scope.egress_proxy is not None:
        return allow_any(scope.context(_LITERAL_HOST_PORT).cluster_of(scope.egress_proxy))
    return allow_any()
