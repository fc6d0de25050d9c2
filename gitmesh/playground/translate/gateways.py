"""The virtual hosts of the ingress gateway: what its HTTP servers and their VirtualServices have in common.

Stage: playground translation (pure). Source: istio/istio pilot/pkg/networking/core, gateway.go.

One listener stands for the HTTP servers of every Gateway, whatever their port.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gitmesh.istio.hosts import covers
from gitmesh.model.kinds import GATEWAY
from gitmesh.model.resource import ResourceSet
from gitmesh.playground.translate.destinations import age
from gitmesh.playground.translate.fields import Field, Reports, spec_of
from gitmesh.playground.translate.matches import is_catch_all
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.routes import MESH, RouteContext, VirtualService, routes_of
from gitmesh.playground.translate.services import Service

_HTTP_PROTOCOLS = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB"})
# Istio's own ingress gateway, for which the playground's listener stands.
_DEFAULT_SELECTORS: tuple[dict[str, str], ...] = ({}, {"istio": "ingressgateway"}, {"istio": "ingress"})


@dataclass(frozen=True, slots=True)
class _Server:
    gateway: str
    namespace: str
    port: int
    hosts: tuple[tuple[str, str], ...]  # (namespace of the VirtualService or *, host)
    redirects_to_https: bool


@dataclass(slots=True)
class _Domain:
    name: str
    routes: list[Envoy] = field(default_factory=list)
    seen: set[object] = field(default_factory=set)
    requires_tls: bool = False


def gateway_virtual_hosts(
    resources: ResourceSet,
    sources: Iterable[VirtualService],
    services: Mapping[str, Service],
    reports: Reports,
) -> list[Envoy]:
    """Return one virtual host for each domain that a server and a VirtualService have in common."""
    ordered = tuple(sources)
    domains: dict[str, _Domain] = {}
    _report_unknown(resources, ordered)
    for server in _servers(resources, reports):
        for source in ordered:
            if server.gateway in source.gateways:
                _bind(domains, server, source, services)
        if server.redirects_to_https:
            for _, host in server.hosts:
                _domain(domains, host, server.port).requires_tls = True
    return [_virtual_host(domain, found) for domain, found in sorted(domains.items())]


def _report_unknown(resources: ResourceSet, sources: Iterable[VirtualService]) -> None:
    for source in sources:
        for name in sorted(source.gateways - {MESH}):
            namespace, _, short = name.partition("/")
            if GATEWAY.key(namespace, short) not in resources:
                source.spec["gateways"].report(f"there is no Gateway {name}")


def _servers(resources: ResourceSet, reports: Reports) -> Iterator[_Server]:
    group_kind = (GATEWAY.group, GATEWAY.kind)
    for resource in sorted((r for k, r in resources.items() if (k.group, k.kind) == group_kind), key=age):
        spec = spec_of(resource, reports)
        selector = {name: value.text() for name, value in spec["selector"].entries()}
        if selector not in _DEFAULT_SELECTORS:
            spec["selector"].report(
                "is not translated: the playground has one gateway, and it serves every Gateway"
            )
        for server in spec["servers"].items():
            if server["port"]["protocol"].text().upper() in _HTTP_PROTOCOLS:
                yield _read(server)
            else:
                protocol = server["port"]["protocol"].text() or "no protocol"
                server.report(
                    f"a server with {protocol} is not translated: the playground's gateway serves HTTP"
                )


def _read(server: Field) -> _Server:
    key = server.key
    hosts = []
    for text in server["hosts"].texts():
        namespace, slash, host = text.rpartition("/")
        place = (key.namespace if namespace == "." else namespace) if slash else "*"
        hosts.append((place, host.lower()))
    redirects = server["tls"]["httpsRedirect"].boolean()
    number = server["port"]["number"].integer()
    return _Server(f"{key.namespace}/{key.name}", key.namespace, number, tuple(hosts), redirects)


def _bind(
    domains: dict[str, _Domain], server: _Server, source: VirtualService, services: Mapping[str, Service]
) -> None:
    names = {
        common
        for place, pattern in server.hosts
        if place in ("*", source.namespace)
        for host in source.hosts
        if (common := _intersection(pattern, host))
    }
    if not names:
        return
    routes = routes_of(source, RouteContext(server.gateway, server.port, services))
    for name in names:
        domain = _domain(domains, name, server.port)
        if (source.spec.key, server.gateway) not in domain.seen:
            domain.seen.add((source.spec.key, server.gateway))
            domain.routes += routes


def _domain(domains: dict[str, _Domain], name: str, port: int) -> _Domain:
    return domains.setdefault(name, _Domain(f"{name}:{port}"))


def _intersection(left: str, right: str) -> str:
    """Return the more precise of two hosts, or nothing when they have no host in common."""
    if covers(left, right):
        return right
    return left if covers(right, left) else ""


def _virtual_host(domain: str, found: _Domain) -> Envoy:
    # Of several VirtualServices for one host, one that takes everything must not hide the others' conditions.
    routes = sorted(found.routes, key=lambda route: is_catch_all(route["match"]))
    host: Envoy = {"name": found.name, "domains": [domain], "routes": routes}
    if found.requires_tls:
        host["require_tls"] = "ALL"
    return host
