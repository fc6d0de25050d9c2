"""What Istio demands of a Gateway beyond its shape.

Stage: validate (pure). Source: istio/istio pkg/config/validation/validation.go, validateGateway.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.hosts import is_ip
from gitmesh.istio.models.common import ServerTLS
from gitmesh.istio.models.gateway import GatewaySpec, Server
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.spelling import closest
from gitmesh.validate.names import is_label, is_wildcard_domain
from gitmesh.validate.subject import Path, Subject, dotted

_PLAIN_HTTP = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB")
_TLS = ("HTTPS", "TLS")
PROTOCOLS = (*_PLAIN_HTTP, *_TLS, "TCP", "MONGO", "REDIS", "MYSQL")
_OWN_CERTIFICATE = ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL")
_UNIX = "unix://"


def check_gateway(subject: Subject, spec: GatewaySpec) -> Iterator[Diagnostic]:
    """Yield everything that Istio's admission would refuse."""
    if not is_label(subject.resource.key.name):
        hint = "letters, digits and -, without dots"
        path: Path = ("metadata", "name")
        yield subject.finding("GM108", "the name of a Gateway must have no dots", path, hint=hint)
    if not spec.servers:
        yield subject.finding(
            "GM126", "the Gateway has no servers", ("spec",), hint="add servers", wants_key=True
        )
    names: set[str] = set()
    for index, server in enumerate(spec.servers):
        where: Path = ("spec", "servers", index)
        yield from _server(subject, server, where)
        if server.port.name in names:
            message = f"two servers have a port with the name {server.port.name}"
            yield subject.finding("GM110", message, (*where, "port", "name"), hint="rename one of them")
        names.add(server.port.name)


def _server(subject: Subject, server: Server, path: Path) -> Iterator[Diagnostic]:
    if not server.hosts:
        yield subject.finding("GM126", f"{dotted(path)} has no hosts", path, hint="add hosts")
    for index, host in enumerate(server.hosts):
        if reason := _host_problem(host):
            yield subject.finding("GM108", f"{host[:80]!r}: {reason}", (*path, "hosts", index))
    protocol = server.port.protocol.upper()
    if protocol not in PROTOCOLS:
        near = closest(protocol, PROTOCOLS)
        hint = f"did you mean {near}?" if near else f"one of: {', '.join(PROTOCOLS)}"
        message = f"{server.port.protocol[:40]!r} is not a protocol"
        yield subject.finding("GM104", message, (*path, "port", "protocol"), hint=hint)
    if server.port.number == 0 and not (server.bind or "").startswith(_UNIX):
        message = "the number of a port must be at least 1, found the number 0"
        yield subject.finding("GM106", message, (*path, "port", "number"))
    yield from _tls_fits(subject, server, protocol, path)


def _host_problem(host: str) -> str:
    namespace, slash, name = host.rpartition("/")
    if slash and namespace not in ("*", ".") and not is_label(namespace):
        return "the part before / must be a namespace, * or ."
    if name == "*" or is_ip(name):
        return ""
    if not is_wildcard_domain(name):
        return "not a host name"
    return "" if "." in name else "short names are not allowed; write the full host name"


def _tls_fits(subject: Subject, server: Server, protocol: str, path: Path) -> Iterator[Diagnostic]:
    where = (*path, "tls")
    if protocol in _TLS and server.tls is None:
        message = f"{dotted(path)} has no tls, and its protocol {protocol} needs it"
        yield subject.finding("GM128", message, where, hint="add tls with mode and certificates")
    if server.tls is None:
        return
    if protocol in PROTOCOLS and protocol not in _TLS and not _only_redirects(server.tls, protocol):
        message = f"tls does not go with the protocol {protocol}"
        yield subject.finding(
            "GM128", message, where, hint="set protocol HTTPS or TLS, or remove tls", wants_key=True
        )
    elif protocol in _TLS:
        yield from _certificates(subject, server.tls, where)


def _only_redirects(tls: ServerTLS, protocol: str) -> bool:
    return protocol in _PLAIN_HTTP and tls.model_fields_set <= {"https_redirect"}


def _certificates(subject: Subject, tls: ServerTLS, path: Path) -> Iterator[Diagnostic]:
    if (
        tls.mode not in _OWN_CERTIFICATE
        or tls.credential_name
        or tls.credential_names
        or tls.tls_certificates
    ):
        return
    needed = {"serverCertificate": tls.server_certificate, "privateKey": tls.private_key}
    if tls.mode != "SIMPLE":
        needed["caCertificates"] = tls.ca_certificates
    for name, value in needed.items():
        if not value:
            message = f"{name} is missing in {dotted(path)}: mode {tls.mode} needs it, or credentialName"
            yield subject.finding("GM128", message, (*path, name))
