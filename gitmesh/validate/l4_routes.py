"""Rules for connections that are not HTTP, or not decrypted: `tcp` and `tls` of a VirtualService.

Stage: validate (pure). Source: istio/istio pkg/config/validation, validateTCPRoute and validateTLSRoute.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.hosts import covers, is_ip
from gitmesh.istio.models.virtual_service import L4Match, TCPRoute, TLSMatch, TLSRoute, VirtualServiceSpec
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.http_matches import check_gateway_names
from gitmesh.validate.labels import check_labels
from gitmesh.validate.names import is_subnet, is_wildcard_domain
from gitmesh.validate.subject import Path, Subject, dotted

_AUTOMATIC = "outbound_"


def check_tcp_route(subject: Subject, route: TCPRoute, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with one rule; its destinations apart."""
    for index, match in enumerate(route.match):
        yield from _conditions(subject, match, (*path, "match", index))
    yield from _needs_route(subject, route, path)


def check_tls_route(
    subject: Subject, spec: VirtualServiceSpec, route: TLSRoute, path: Path, *, through_gateway: bool
) -> Iterator[Diagnostic]:
    """Yield what is wrong with one rule; its destinations apart."""
    if not route.match:
        message = f"{dotted(path)} has no match"
        yield subject.finding("GM126", message, path, hint="add match with sniHosts")
    for index, match in enumerate(route.match):
        where: Path = (*path, "match", index)
        yield from _sni_hosts(subject, spec, match, where, through_gateway=through_gateway)
        yield from _conditions(subject, match, where)
    yield from _needs_route(subject, route, path)


def _needs_route(subject: Subject, route: TCPRoute | TLSRoute, path: Path) -> Iterator[Diagnostic]:
    if not route.route:
        yield subject.finding("GM123", f"{dotted(path)} has no route", path, hint="add route")


def _conditions(subject: Subject, match: L4Match, path: Path) -> Iterator[Diagnostic]:
    for index, subnet in enumerate(match.destination_subnets):
        if not is_subnet(subnet):
            message = f"{subnet[:60]!r} is neither an address nor a network"
            where = (*path, "destinationSubnets", index)
            yield subject.finding("GM108", message, where, hint="write for example 10.0.0.0/8")
    yield from check_labels(subject, match.source_labels, (*path, "sourceLabels"))
    yield from check_gateway_names(subject, match.gateways, (*path, "gateways"), in_match=True)


def _sni_hosts(
    subject: Subject, spec: VirtualServiceSpec, match: TLSMatch, path: Path, *, through_gateway: bool
) -> Iterator[Diagnostic]:
    if not match.sni_hosts:
        yield subject.finding("GM126", f"{dotted(path)} has no sniHosts", path, hint="add sniHosts")
    for index, host in enumerate(match.sni_hosts):
        where: Path = (*path, "sniHosts", index)
        if not is_sni_name(host, automatic=through_gateway):
            if is_ip(host):
                message = f"{host} is an address; most clients send no address as the name of a server"
                yield subject.finding("GM146", message, where, hint="write a host name")
            else:
                yield subject.finding("GM108", f"{host[:80]!r} is not a host name", where)
        elif not any(covers(pattern, host) for pattern in spec.hosts):
            shown = ", ".join(spec.hosts)[:120] or "none"
            message = f"{host[:80]} is not among the hosts of the VirtualService ({shown})"
            yield subject.finding("GM132", message, where, hint="add it to hosts, or match one of them")


def is_sni_name(host: str, *, automatic: bool) -> bool:
    """Say whether a server can have this name; `automatic`: names of AUTO_PASSTHROUGH count, too."""
    if automatic and host.startswith(_AUTOMATIC):
        parts = host.split("_")
        return len(host) <= 255 and len(parts) >= 4 and _has_digit(parts[1]) and _has_letter(parts[3])
    return is_wildcard_domain(host)


def _has_digit(text: str) -> bool:
    return any("0" <= c <= "9" for c in text)


def _has_letter(text: str) -> bool:
    return any("a" <= c <= "z" for c in text.lower())
