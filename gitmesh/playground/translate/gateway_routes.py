"""The route configurations of a gateway: what its HTTP servers and the VirtualServices bound to them share.

Stage: playground translation (pure). Source: istio/istio pilot/pkg/networking/core, gateway.go,
buildGatewayHTTPRouteConfig.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gitmesh.istio.hosts import covers
from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.gateway_servers import Gateway, Server
from gitmesh.playground.translate.matches import is_catch_all
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.routes import MESH, RouteContext, VirtualService

ContextOf = Callable[[Server], RouteContext]  # in which surroundings a server reads the rules bound to it
RoutesAt = Callable[[VirtualService, Server], "list[Envoy]"]
Bound = Mapping[str, "list[VirtualService]"]  # by the Gateway, `namespace/name`


@dataclass(slots=True)
class _Domain:
    port: int
    routes: list[Envoy] = field(default_factory=list)
    requires_tls: bool = False


def by_gateway(sources: Iterable[VirtualService]) -> dict[str, list[VirtualService]]:
    """Return the VirtualServices that name each Gateway, in their order."""
    bound: dict[str, list[VirtualService]] = {}
    for source in sources:
        for name in source.gateways - {MESH}:
            bound.setdefault(name, []).append(source)
    return bound


def common_hosts(server: Server, source: VirtualService) -> list[str]:
    """Return the hosts that a server and a VirtualService have in common."""
    pairs = [(name, host) for name in server.names_for(source.namespace) for host in source.hosts]
    return [common for common in dict.fromkeys(_intersection(*pair) for pair in pairs) if common]


def _intersection(left: str, right: str) -> str:
    """Return the more precise of two hosts, or nothing when they have no host in common."""
    if covers(left, right):
        return right
    return left if covers(right, left) else ""


def gateway_virtual_hosts(servers: Iterable[Server], bound: Bound, routes_at: RoutesAt) -> list[Envoy]:
    """Return the virtual hosts of servers that share one route configuration."""
    domains: dict[str, _Domain] = {}
    built: dict[tuple[str, object], list[Envoy]] = {}
    added: set[tuple[str, object, str]] = set()
    for server in servers:
        for source in bound.get(server.gateway, ()):
            names = common_hosts(server, source)
            known = (server.gateway, source.spec.key)
            if names and known not in built:
                built[known] = routes_at(source, server)
            for name in names:
                domain = domains.setdefault(name, _Domain(server.number))
                domain.requires_tls |= server.redirects_to_https
                if (*known, name) not in added:
                    added.add((*known, name))
                    domain.routes += built[known]
        for name in server.names if server.redirects_to_https else ():
            domains.setdefault(name, _Domain(server.number)).requires_tls = True
    return [_virtual_host(name, domain) for name, domain in sorted(domains.items())]


def blackhole(port: int) -> list[Envoy]:
    """Return the virtual hosts of a port that nothing is bound to: 404 for everything."""
    return [{"name": f"blackhole:{port}", "domains": ["*"], "routes": []}]


def _virtual_host(name: str, domain: _Domain) -> Envoy:
    # Of several VirtualServices for one host, one that takes everything must not hide the others' conditions.
    routes = sorted(domain.routes, key=lambda route: is_catch_all(route["match"]))
    host: Envoy = {"name": f"{name}:{domain.port}", "domains": [name], "routes": routes}
    if domain.requires_tls:
        host["require_tls"] = "ALL"
    return host


def report_unbound(gateways: Iterable[Gateway], bound: Bound) -> None:
    """Report the names of Gateways that do not exist, and those that serve no host of the VirtualService."""
    known = {gateway.name: gateway for gateway in gateways}
    for name, sources in bound.items():
        for source in sources:
            if name not in known:
                source.spec["gateways"].report(f"there is no Gateway {name}")
            elif not any(common_hosts(server, source) for server in known[name].servers):
                place: Field = source.spec["gateways"]
                place.report(f"no server of the Gateway {name} is for any of these hosts from this namespace")
