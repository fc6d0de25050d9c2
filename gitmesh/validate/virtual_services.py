"""What Istio demands of a VirtualService beyond its shape.

Stage: validate (pure). Source: istio/istio pkg/config/validation/virtualservice.go, the same rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gitmesh.istio.hosts import is_ip
from gitmesh.istio.models.common import Destination
from gitmesh.istio.models.virtual_service import HTTPRouteDestination, RouteDestination, VirtualServiceSpec
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.exports import check_export_to
from gitmesh.validate.host_index import HostIndex
from gitmesh.validate.http_matches import check_gateway_names
from gitmesh.validate.http_rules import Bound, check_http_rule
from gitmesh.validate.l4_routes import check_tcp_route, check_tls_route, is_sni_name
from gitmesh.validate.names import is_host, is_label, is_wildcard_domain
from gitmesh.validate.subject import Path, Subject, dotted
from gitmesh.validate.unreachable import check_reachable

MESH = "mesh"
Placed = tuple[Path, Destination]


def check_virtual_service(subject: Subject, spec: VirtualServiceSpec) -> Iterator[Diagnostic]:
    """Yield everything that Istio's admission would refuse, and rules that no request can reach."""
    yield from _hosts(subject, spec)
    yield from check_gateway_names(subject, spec.gateways, ("spec", "gateways"))
    yield from check_export_to(subject, spec.export_to)
    if not (spec.http or spec.tcp or spec.tls):
        hint = "add http with a route"
        yield subject.finding(
            "GM120", "there is nothing to route: no http, tcp or tls", ("spec",), hint=hint, wants_key=True
        )
    yield from _rules(subject, spec)
    for path, destination in destinations(spec):
        yield from check_destination(subject, path, destination)
    yield from check_reachable(subject, spec)


def _rules(subject: Subject, spec: VirtualServiceSpec) -> Iterator[Diagnostic]:
    bound = Bound(delegated=not spec.hosts, in_mesh=bound_to_mesh(spec))
    through_gateway = MESH not in spec.gateways
    for index, rule in enumerate(spec.http):
        path: Path = ("spec", "http", index)
        yield from check_http_rule(subject, rule, path, bound)
        yield from _weights(subject, rule.route, path)
    for index, tcp in enumerate(spec.tcp):
        path = ("spec", "tcp", index)
        yield from check_tcp_route(subject, tcp, path)
        yield from _weights(subject, tcp.route, path)
    for index, tls in enumerate(spec.tls):
        path = ("spec", "tls", index)
        yield from check_tls_route(subject, spec, tls, path, through_gateway=through_gateway)
        yield from _weights(subject, tls.route, path)


def destinations(spec: VirtualServiceSpec) -> Iterator[Placed]:
    """Yield every destination with its path: routes, mirrors, TCP and TLS."""
    for index, rule in enumerate(spec.http):
        base: Path = ("spec", "http", index)
        yield from _of_route(rule.route, base)
        if rule.mirror is not None:
            yield (*base, "mirror"), rule.mirror
        for number, mirror in enumerate(rule.mirrors):
            yield (*base, "mirrors", number, "destination"), mirror.destination
    for index, tcp in enumerate(spec.tcp):
        yield from _of_route(tcp.route, ("spec", "tcp", index))
    for index, tls in enumerate(spec.tls):
        yield from _of_route(tls.route, ("spec", "tls", index))


def _of_route(route: Sequence[HTTPRouteDestination | RouteDestination], base: Path) -> Iterator[Placed]:
    for number, part in enumerate(route):
        yield (*base, "route", number, "destination"), part.destination


def bound_to_mesh(spec: VirtualServiceSpec) -> bool:
    """Say whether the rules hold for calls between services, not only for those through a gateway."""
    return not spec.gateways or MESH in spec.gateways


def _hosts(subject: Subject, spec: VirtualServiceSpec) -> Iterator[Diagnostic]:
    if not spec.hosts:
        yield from _delegate(subject, spec)
    # Gateways with AUTO_PASSTHROUGH serve names that istiod makes from port and host.
    automatic = not bound_to_mesh(spec) and any(match.sni_hosts for tls in spec.tls for match in tls.match)
    for index, host in enumerate(spec.hosts):
        path: Path = ("spec", "hosts", index)
        if not (is_host(host) or (automatic and is_sni_name(host, automatic=True))):
            yield subject.finding("GM108", f"{host[:80]!r} is not a host name", path)
        elif host == "*" and bound_to_mesh(spec):
            hint = "name the hosts, or bind it to a gateway only"
            yield subject.finding("GM122", "the host * cannot be bound to the mesh", path, hint=hint)
    yield from _overlaps(subject, spec.hosts)


def _overlaps(subject: Subject, hosts: Sequence[str]) -> Iterator[Diagnostic]:
    indexed: HostIndex[int] = HostIndex()
    for index, host in enumerate(hosts):
        indexed.add(host, index)
    for index, host in enumerate(hosts):
        other = next((found for found in indexed.covering(host) if found != index), None)
        if other is not None and (other < index or hosts[other] != host):
            message = f"the hosts {hosts[other][:120]} and {host[:120]} overlap"
            path = ("spec", "hosts", max(index, other))
            yield subject.finding("GM121", message, path, hint="keep one of them")


def _delegate(subject: Subject, spec: VirtualServiceSpec) -> Iterator[Diagnostic]:
    """Without hosts it is a delegate: a part of the rules of another VirtualService."""
    for name, value in (("gateways", spec.gateways), ("tls", spec.tls), ("tcp", spec.tcp)):
        if value:
            message = f"{name} cannot go without hosts"
            hint = "add hosts; only a delegate of another VirtualService has none, and it has only http"
            yield subject.finding("GM125", message, ("spec", name), hint=hint, wants_key=True)


def _weights(
    subject: Subject, route: Sequence[HTTPRouteDestination | RouteDestination], base: Path
) -> Iterator[Diagnostic]:
    weights = [part.weight or 0 for part in route]
    for number, weight in enumerate(weights):
        if weight < 0:
            path = (*base, "route", number, "weight")
            yield subject.finding("GM124", f"the weight {weight} is negative", path)
    if len(weights) > 1 and sum(weights) == 0:
        path = (*base, "route")
        message = f"no destination of {dotted(path)} has a weight, so none would get a request"
        yield subject.finding("GM124", message, path, hint="give weights that add up to 100", wants_key=True)


def check_destination(subject: Subject, path: Path, destination: Destination) -> Iterator[Diagnostic]:
    """Yield what is wrong with the name of a host, a subset or a port."""
    host, subset, port = destination.host, destination.subset, destination.port
    if host == "*" or not is_wildcard_domain(host):
        hint = "give the address a name with a ServiceEntry" if is_ip(host) else ""
        yield subject.finding("GM108", f"{host[:80]!r} is not a host name", (*path, "host"), hint=hint)
    if subset and not is_label(subset):
        yield subject.finding("GM108", f"{subset[:80]!r} is not the name of a subset", (*path, "subset"))
    if port is not None and port.number is None:
        message = f"number is missing in {dotted((*path, 'port'))}"
        yield subject.finding("GM103", message, (*path, "port", "number"))
