"""What Istio demands of a Gateway beyond its shape.

Stage: validate (pure). Source: istio/istio pkg/config/validation/validation.go, validateGateway.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.hosts import is_ip
from gitmesh.istio.models.gateway import GatewaySpec, Server
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.names import UNIX, has_partial_wildcard, is_label, is_wildcard_domain
from gitmesh.validate.ports import (
    PLAIN_HTTP,
    PROTOCOLS,
    TLS,
    check_bind,
    check_protocol,
    check_target_port,
)
from gitmesh.validate.server_tls import PASSING_THROUGH, check_server_tls
from gitmesh.validate.subject import Path, Subject, dotted


def check_gateway(subject: Subject, spec: GatewaySpec) -> Iterator[Diagnostic]:
    """Yield everything that Istio's admission would refuse or warn of."""
    if not is_label(subject.resource.key.name):
        hint = "letters, digits and -, without dots"
        path: Path = ("metadata", "name")
        yield subject.finding("GM108", "the name of a Gateway must have no dots", path, hint=hint)
    if not spec.servers:
        yield subject.finding(
            "GM126", "the Gateway has no servers", ("spec",), hint="add servers", wants_key=True
        )
    if not spec.selector:
        message = "the Gateway has no selector, so every gateway of the mesh serves it"
        hint = "add the labels of the gateway's Pods, for example istio: ingressgateway"
        yield subject.finding("GM420", message, ("spec",), hint=hint, wants_key=True)
    names: set[str] = set()
    first: dict[tuple[int, str], int] = {}
    for index, server in enumerate(spec.servers):
        where: Path = ("spec", "servers", index)
        yield from _server(subject, server, where)
        before = first.setdefault((server.port.number, server.bind or ""), index)
        if before != index and not _share_a_port(spec.servers[before], server):
            message = f"Istio drops this server: servers[{before}] has port {server.port.number} already"
            hint = "only servers that are all plain HTTP, or all TLS, share a port"
            yield subject.finding("GM422", message, (*where, "port"), hint=hint)
        if server.port.name in names:
            message = f"two servers have a port with the name {server.port.name}"
            yield subject.finding("GM110", message, (*where, "port", "name"), hint="rename one of them")
        names.add(server.port.name)


def _share_a_port(one: Server, other: Server) -> bool:
    """Say whether one port serves both. Source: istio/istio pilot/pkg/model/gateway.go, mergeGateways."""
    return any(
        server_protocols >= {one.port.protocol.upper(), other.port.protocol.upper()}
        for server_protocols in (frozenset(PLAIN_HTTP), frozenset(TLS))
    )


def _server(subject: Subject, server: Server, path: Path) -> Iterator[Diagnostic]:
    if not server.hosts:
        yield subject.finding("GM126", f"{dotted(path)} has no hosts", path, hint="add hosts")
    for index, host in enumerate(server.hosts):
        if reason := _host_problem(host):
            yield subject.finding("GM108", f"{host[:80]!r}: {reason}", (*path, "hosts", index))
    yield from _port(subject, server, (*path, "port"))
    yield from check_bind(subject, server.bind or "", (*path, "bind"))
    yield from _tls_fits(subject, server, path)


def _port(subject: Subject, server: Server, path: Path) -> Iterator[Diagnostic]:
    port, is_socket = server.port, (server.bind or "").startswith(UNIX)
    yield from check_protocol(subject, port.protocol, path)
    yield from check_target_port(subject, port.target_port, path)
    if not port.name:
        yield subject.finding("GM126", f"{dotted(path)}.name is empty", (*path, "name"))
    if port.number == 0 and not is_socket:
        message = "the number of a port must be at least 1, found the number 0"
        yield subject.finding("GM106", message, (*path, "number"))
    elif port.number and is_socket:
        message = f"a Unix domain socket has no port, found the number {port.number}"
        yield subject.finding("GM109", message, (*path, "number"), hint="write number: 0")


def _host_problem(host: str) -> str:
    namespace, slash, name = host.partition("/")
    if slash and namespace not in ("*", ".") and not is_label(namespace):
        return "the part before / must be a namespace, * or ."
    if not slash:
        name = host
    if name == "*" or is_ip(name):
        return ""
    if not is_wildcard_domain(name):
        return "not a host name"
    if has_partial_wildcard(name):
        return "a wildcard stands for whole labels only, as in *.example.com"
    return "" if "." in name else "short names are not allowed; write the full host name"


def _tls_fits(subject: Subject, server: Server, path: Path) -> Iterator[Diagnostic]:
    tls, where, protocol = server.tls, (*path, "tls"), server.port.protocol.upper()
    if tls is None:
        if protocol in TLS:
            message = f"{dotted(path)} has no tls, and its protocol {protocol} needs it"
            yield subject.finding("GM128", message, where, hint="add tls with mode and certificates")
        return
    if protocol in TLS or protocol not in PROTOCOLS or (protocol in PLAIN_HTTP and _only_redirects(server)):
        yield from check_server_tls(subject, tls, where)
    else:
        message = f"tls does not go with the protocol {protocol}"
        hint = "set protocol HTTPS or TLS, or remove tls"
        yield subject.finding("GM128", message, where, hint=hint, wants_key=True)
    if tls.https_redirect and protocol not in PLAIN_HTTP:
        message = f"httpsRedirect does nothing on a server with the protocol {protocol[:40]}"
        hint = "set it on the server of port 80"
        yield subject.finding("GM144", message, (*where, "httpsRedirect"), hint=hint, wants_key=True)


def _only_redirects(server: Server) -> bool:
    tls = server.tls
    if tls is None:
        return True
    files = tls.server_certificate or tls.private_key or tls.ca_certificates
    return tls.mode in PASSING_THROUGH and not files
