"""The virtual hosts inside the mesh: each Service under its names, each other host of a VirtualService.

Stage: playground translation (pure). Source: istio/istio pilot/pkg/networking/core, httproute.go.

One listener serves all ports. The port of the Host header chooses between the HTTP ports of a Service;
without one, or with one that the Service does not have, its main port answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from gitmesh.istio.hosts import covers
from gitmesh.playground.translate.matches import is_catch_all
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.routes import MESH, RouteContext, VirtualService, default_route, routes_of
from gitmesh.playground.translate.services import Service, ServicePort

NO_SUCH_HOST_STATUS = 502  # what a mesh with outboundTrafficPolicy REGISTRY_ONLY answers
_NO_SUCH_HOST = "The playground has no Service and no VirtualService for this host.\n"
_LITERAL_HOST_PORT = 80  # where pilot serves the hosts that are no Service


def mesh_virtual_hosts(
    sources: Iterable[VirtualService], services: Mapping[str, Service], client_namespace: str
) -> list[Envoy]:
    """Return the virtual hosts as a client in `client_namespace` sees them."""
    bound = [source for source in sources if MESH in source.gateways]
    taken = set(services)
    hosts = list(_literal_hosts(bound, services, taken))
    for service in services.values():
        domains = [
            d for d in service_domains(service, client_namespace) if d == service.host or d not in taken
        ]
        taken.update(domains)
        hosts.append(
            {
                "name": f"{service.host}:{service.main_port.number}",
                "domains": domains,
                "routes": _service_routes(service, _source_of(service.host, bound), services),
            }
        )
    if "*" not in taken:
        hosts.append(_block_all())
    return hosts


def service_domains(service: Service, client_namespace: str) -> list[str]:
    """Return the names under which a client reaches a Service, the longest first, then its addresses."""
    names = [service.host, f"{service.host}."]
    name = f"{service.name}.{service.namespace}"
    names += [f"{name}.svc", name]
    if service.namespace == client_namespace:
        names.append(service.name)
    return [*names, *service.addresses]


def _source_of(host: str, sources: Sequence[VirtualService]) -> tuple[VirtualService, ...]:
    """Return the VirtualServices that may speak for a host, the one with the first say first.

    The most precise host wins; of equal ones the oldest. The next one is asked only where the first has
    no rule for a port.
    """
    ranked = []
    for order, source in enumerate(sources):
        patterns = [pattern for pattern in source.hosts if covers(pattern, host)]
        if patterns:
            best = max((not p.startswith("*"), len(p)) for p in patterns)
            ranked.append(((not best[0], -best[1], order), source))
    return tuple(source for _, source in sorted(ranked, key=lambda pair: pair[0]))


def _service_routes(
    service: Service, sources: Sequence[VirtualService], services: Mapping[str, Service]
) -> list[Envoy]:
    others = [port for port in service.ports if port is not service.main_port]
    routes: list[Envoy] = []
    for port in others:
        routes += _only_at(port, _port_routes(service, port, sources, services))
    return routes + _port_routes(service, service.main_port, sources, services)


def _port_routes(
    service: Service, port: ServicePort, sources: Sequence[VirtualService], services: Mapping[str, Service]
) -> list[Envoy]:
    for place, source in enumerate(sources):
        routes = routes_of(source, RouteContext(MESH, port.number, services))
        if routes:
            for hidden in sources[place + 1 :]:
                _report_hidden(hidden, service.host, by=source)
            return routes
    return [default_route(service, port.number)]


def _only_at(port: ServicePort, routes: list[Envoy]) -> Iterator[Envoy]:
    condition = {"name": ":authority", "string_match": {"suffix": f":{port.number}"}}
    ends_here = is_catch_all(routes[-1]["match"])
    for route in routes:
        match = route["match"]
        yield {**route, "match": {**match, "headers": [*match.get("headers", ()), condition]}}
    if not ends_here:  # a request that no rule takes must not fall through to another port's rules
        yield {
            "name": "no-route",
            "match": {"prefix": "/", "headers": [condition]},
            "direct_response": {"status": 404},
        }


def _literal_hosts(
    sources: Sequence[VirtualService], services: Mapping[str, Service], taken: set[str]
) -> Iterator[Envoy]:
    owners: dict[str, VirtualService] = {}
    for source in sources:
        for host in source.hosts:
            if host in owners and host not in services:
                _report_hidden(source, host, by=owners[host])
            if host in taken or any(covers(host, known) for known in services):
                continue
            routes = routes_of(source, RouteContext(MESH, _LITERAL_HOST_PORT, services))
            if routes:
                taken.add(host)
                owners[host] = source
                yield {"name": f"{host}:{_LITERAL_HOST_PORT}", "domains": [host], "routes": routes}


def _report_hidden(source: VirtualService, host: str, *, by: VirtualService) -> None:
    # A wildcard that gives way to a more precise host is meant so; two objects for one host seldom are.
    if host in source.hosts and host in by.hosts and source is not by:
        message = (
            f"has no effect on {host} inside the mesh: {by.spec.key} has it too and is older, as in Istio"
        )
        source.spec["hosts"].report(message)


def _block_all() -> Envoy:
    response = {"status": NO_SUCH_HOST_STATUS, "body": {"inline_string": _NO_SUCH_HOST}}
    route = {"name": "block_all", "match": {"prefix": "/"}, "direct_response": response}
    return {"name": "block_all", "domains": ["*"], "routes": [route]}
