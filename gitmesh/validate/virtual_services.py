"""What Istio demands of a VirtualService beyond its shape.

Stage: validate (pure). Source: istio/istio pkg/config/validation/virtualservice.go, the same rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gitmesh.istio.models.common import Destination
from gitmesh.istio.models.virtual_service import (
    HTTPRouteDestination,
    RouteDestination,
    TCPRoute,
    TLSRoute,
    VirtualServiceSpec,
)
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.exports import check_export_to
from gitmesh.validate.host_index import HostIndex
from gitmesh.validate.http_rules import check_http_rule
from gitmesh.validate.names import is_host, is_label, is_wildcard_domain
from gitmesh.validate.subject import Path, Subject, dotted

MESH = "mesh"
Placed = tuple[Path, Destination]


def check_virtual_service(subject: Subject, spec: VirtualServiceSpec) -> Iterator[Diagnostic]:
    """Yield everything that Istio's admission would refuse, and rules that no request can reach."""
    yield from _hosts(subject, spec)
    yield from _gateway_names(subject, spec)
    yield from check_export_to(subject, spec.export_to)
    if not (spec.http or spec.tcp or spec.tls):
        hint = "add http with a route"
        yield subject.finding(
            "GM120", "there is nothing to route: no http, tcp or tls", ("spec",), hint=hint, wants_key=True
        )
    for index, rule in enumerate(spec.http):
        yield from check_http_rule(subject, rule, ("spec", "http", index), delegated=not spec.hosts)
        yield from _weights(subject, rule.route, ("spec", "http", index))
    for index, tcp in enumerate(spec.tcp):
        yield from _plain_route(subject, tcp, ("spec", "tcp", index))
    for index, tls in enumerate(spec.tls):
        yield from _plain_route(subject, tls, ("spec", "tls", index))
    for path, destination in destinations(spec):
        yield from _destination(subject, path, destination)
    yield from _unreachable(subject, spec)


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
    for index, host in enumerate(spec.hosts):
        path: Path = ("spec", "hosts", index)
        if not is_host(host):
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


def _gateway_names(subject: Subject, spec: VirtualServiceSpec) -> Iterator[Diagnostic]:
    for index, name in enumerate(spec.gateways):
        namespace, slash, gateway = name.rpartition("/")
        good = is_label(namespace) and is_label(gateway) if slash else is_wildcard_domain(name)
        if not good:
            hint = "write name, or namespace/name"
            message = f"{name[:80]!r} does not name a Gateway"
            yield subject.finding("GM108", message, ("spec", "gateways", index), hint=hint)


def _plain_route(subject: Subject, route: TCPRoute | TLSRoute, base: Path) -> Iterator[Diagnostic]:
    if not route.route:
        yield subject.finding("GM123", f"{dotted(base)} has no route", base, hint="add route")
    yield from _weights(subject, route.route, base)


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


def _destination(subject: Subject, path: Path, destination: Destination) -> Iterator[Diagnostic]:
    host, subset = destination.host, destination.subset
    if host == "*" or not is_host(host):
        yield subject.finding("GM108", f"{host[:80]!r} is not a host name", (*path, "host"))
    if subset and not is_label(subset):
        yield subject.finding("GM108", f"{subset[:80]!r} is not the name of a subset", (*path, "subset"))


def _unreachable(subject: Subject, spec: VirtualServiceSpec) -> Iterator[Diagnostic]:
    """Source: Istio's IST0130: only the last rule can have no match."""
    catch_all = next((index for index, rule in enumerate(spec.http) if not rule.match), None)
    if catch_all is None:
        return
    for index in range(catch_all + 1, len(spec.http)):
        message = f"no request reaches this rule: http[{catch_all}] has no match and takes them all"
        yield subject.finding("GM130", message, ("spec", "http", index), hint="move it up")
