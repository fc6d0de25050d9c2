"""What Istio demands of a Sidecar beyond its shape.

Stage: validate (pure). Source: istio/istio pkg/config/validation/validation.go, ValidateSidecar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gitmesh.istio.models.common import ServerTLS, SidecarPort
from gitmesh.istio.models.sidecar import OutboundTrafficPolicy, SidecarEgress, SidecarIngress, SidecarSpec
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.labels import check_selector
from gitmesh.validate.names import UNIX, has_partial_wildcard, is_fqdn, is_label, is_wildcard_domain
from gitmesh.validate.pools import check_pool
from gitmesh.validate.ports import (
    PLAIN_HTTP,
    TLS,
    check_bind,
    check_port_name,
    check_protocol,
    check_socket,
    check_target_port,
)
from gitmesh.validate.server_tls import check_server_tls
from gitmesh.validate.subject import Path, Subject, dotted
from gitmesh.validate.virtual_services import check_destination

_ENDPOINT = re.compile(r"(?:127\.0\.0\.1|0\.0\.0\.0|\[::1?\]|):([+]?[0-9]{1,6})", re.ASCII)
_PORT_MAX = 65535
_FORBIDDEN_MODES = ("ISTIO_MUTUAL", "AUTO_PASSTHROUGH")
_SOCKET_MODES = (None, "DEFAULT", "NONE")


def check_sidecar(subject: Subject, spec: SidecarSpec) -> Iterator[Diagnostic]:
    """Yield everything that Istio's admission would refuse or warn of."""
    if spec.workload_selector is not None:
        yield from check_selector(subject, spec.workload_selector, ("spec", "workloadSelector"))
    parts = (spec.egress or None, spec.ingress or None, spec.outbound_traffic_policy)
    if all(part is None for part in (*parts, spec.inbound_connection_pool)):
        hint = "add egress, ingress or outboundTrafficPolicy"
        yield subject.finding("GM126", "the Sidecar is empty", ("spec",), hint=hint, wants_key=True)
    if spec.inbound_connection_pool is not None:
        yield from check_pool(subject, spec.inbound_connection_pool, ("spec", "inboundConnectionPool"))
    numbers: set[int] = set()
    for index, ingress in enumerate(spec.ingress):
        path: Path = ("spec", "ingress", index)
        yield from _ingress(subject, ingress, path)
        yield from _differs(subject, ingress.port.number, numbers, (*path, "port", "number"))
    yield from _all_egress(subject, spec)
    if spec.outbound_traffic_policy is not None:
        yield from _outbound(subject, spec.outbound_traffic_policy, ("spec", "outboundTrafficPolicy"))


def _differs(subject: Subject, number: int | None, seen: set[int], path: Path) -> Iterator[Diagnostic]:
    if number and number in seen:
        yield subject.finding("GM110", f"two listeners have the port {number}", path)
    seen.add(number or 0)


def _ingress(subject: Subject, ingress: SidecarIngress, path: Path) -> Iterator[Diagnostic]:
    port = ingress.port
    yield from _port(subject, port, (*path, "port"))
    if not port.number:
        message = f"{dotted((*path, 'port'))} needs a number of at least 1"
        yield subject.finding("GM106", message, (*path, "port", "number"))
    bind = ingress.bind or ""
    if bind.startswith(UNIX):
        message = "a listener for traffic to the workload is bound to an address, not to a socket"
        yield subject.finding("GM108", message, (*path, "bind"))
    else:
        yield from check_bind(subject, bind, (*path, "bind"))
    yield from _default_endpoint(subject, ingress.default_endpoint or "", (*path, "defaultEndpoint"))
    protocol = (port.protocol or "").upper()
    if ingress.tls is not None:
        yield from _ingress_tls(subject, ingress.tls, protocol, (*path, "tls"))
    if ingress.connection_pool is not None:
        where = (*path, "connectionPool")
        yield from check_pool(subject, ingress.connection_pool, where)
        if ingress.connection_pool.http is not None and protocol not in PLAIN_HTTP:
            message = f"settings for HTTP do nothing on a port with the protocol {protocol or 'TCP'}"
            yield subject.finding("GM152", message, (*where, "http"), wants_key=True)


def _port(subject: Subject, port: SidecarPort, path: Path) -> Iterator[Diagnostic]:
    yield from check_target_port(subject, port.target_port, path)
    if port.name:
        yield from check_port_name(subject, port.name, (*path, "name"))
    if port.protocol:
        yield from check_protocol(subject, port.protocol, path)


def _default_endpoint(subject: Subject, endpoint: str, path: Path) -> Iterator[Diagnostic]:
    if endpoint.startswith(UNIX):
        yield from check_socket(subject, endpoint, path)
    elif endpoint:
        found = _ENDPOINT.fullmatch(endpoint)
        if found is None or not 1 <= int(found.group(1)) <= _PORT_MAX:
            message = f"{endpoint[:80]!r} is not an endpoint of the workload itself"
            hint = "write 127.0.0.1:8080, 0.0.0.0:8080, [::1]:8080, :8080 or unix:///path/to/file"
            yield subject.finding("GM108", message, path, hint=hint)


def _ingress_tls(subject: Subject, tls: ServerTLS, protocol: str, path: Path) -> Iterator[Diagnostic]:
    unsupported = {
        "subjectAltNames": tls.subject_alt_names,
        "httpsRedirect": tls.https_redirect,
        "credentialName": tls.credential_name,
        "credentialNames": tls.credential_names,
        "tlsCertificates": tls.tls_certificates,
    }
    for name, value in unsupported.items():
        if value:
            message = f"{name} is not supported for the listener of a Sidecar"
            yield subject.finding("GM109", message, (*path, name), wants_key=True)
    if tls.mode in _FORBIDDEN_MODES:
        message = f"mode {tls.mode} is not supported for the listener of a Sidecar"
        yield subject.finding("GM109", message, (*path, "mode"), hint="write SIMPLE or MUTUAL")
    if protocol not in TLS:
        message = f"tls does not go with the protocol {protocol or 'TCP'}"
        yield subject.finding("GM128", message, path, hint="set protocol HTTPS or TLS", wants_key=True)
    yield from check_server_tls(subject, tls, path)


def _all_egress(subject: Subject, spec: SidecarSpec) -> Iterator[Diagnostic]:
    numbers: set[int] = set()
    sockets: set[str] = set()
    for index, egress in enumerate(spec.egress):
        path: Path = ("spec", "egress", index)
        if egress.port is None and index != len(spec.egress) - 1:
            message = f"{dotted(path)} has no port, so it must be the last one"
            yield subject.finding("GM109", message, path, hint="move it to the end, or give it a port")
        if egress.port is not None:
            yield from _egress_port(subject, egress, egress.port, path)
            bind = egress.bind or ""
            if not egress.port.number and bind in sockets:
                yield subject.finding("GM110", f"two listeners are bound to {bind[:80]}", (*path, "bind"))
            if not egress.port.number:
                sockets.add(bind)
            yield from _differs(subject, egress.port.number, numbers, (*path, "port", "number"))
        yield from _egress_hosts(subject, egress, path)


def _egress_port(
    subject: Subject, egress: SidecarEgress, port: SidecarPort, path: Path
) -> Iterator[Diagnostic]:
    bind, is_socket = egress.bind or "", (egress.bind or "").startswith(UNIX)
    yield from _port(subject, port, (*path, "port"))
    yield from check_bind(subject, bind, (*path, "bind"))
    if port.number and is_socket:
        message = f"a Unix domain socket has no port, found the number {port.number}"
        yield subject.finding("GM109", message, (*path, "port", "number"), hint="write number: 0")
    elif not port.number and not is_socket:
        message = f"{dotted((*path, 'port'))} needs a number, or bind a unix:// address"
        yield subject.finding("GM106", message, (*path, "port", "number"))
    elif not port.number and egress.capture_mode not in _SOCKET_MODES:
        message = f"captureMode {egress.capture_mode} does not go with a Unix domain socket"
        yield subject.finding("GM109", message, (*path, "captureMode"), hint="write DEFAULT or NONE")


def _egress_hosts(subject: Subject, egress: SidecarEgress, path: Path) -> Iterator[Diagnostic]:
    if not egress.hosts:
        yield subject.finding("GM126", f"{dotted(path)} has no hosts", path, hint='write ["./*"]')
    known: dict[str, set[str]] = {}
    for number, host in enumerate(egress.hosts):
        where: Path = (*path, "hosts", number)
        if reason := _egress_problem(host):
            hint = "write namespace/host, such as ./* or istio-system/*"
            yield subject.finding("GM108", f"{host[:80]!r}: {reason}", where, hint=hint)
        namespace, slash, name = host.partition("/")
        if not slash or namespace.startswith("~"):
            continue
        names = known.setdefault(subject.namespace if namespace == "." else namespace, set())
        if (names if name == "*" else names & {name, "*"}) or "*" in known.get("*", ()):
            yield _listed(subject, host, where)
        names.add(name)
    if "*" in known.get("*", ()) and len(known) > 1 and egress.hosts[0] != "*/*":
        message = "*/* is every host already, so the others do nothing"
        yield subject.finding("GM151", message, (*path, "hosts"), hint="keep */* only", wants_key=True)


def _listed(subject: Subject, host: str, path: Path) -> Diagnostic:
    message = f"{host[:80]} repeats hosts of this listener"
    return subject.finding("GM151", message, path, hint="remove it, or the narrower one")


def _egress_problem(host: str) -> str:
    namespace, slash, name = host.partition("/")
    if not slash:
        return "it does not name hosts of a namespace"
    if namespace not in ("*", ".", "~") and not is_label(namespace):
        return "the part before / must be a namespace, * or ."
    if name == "*":
        return ""
    if "." not in name:
        return "short names are not allowed; write the full host name"
    if not is_wildcard_domain(name):
        return "not a host name"
    return "a wildcard stands for whole labels only" if has_partial_wildcard(name) else ""


def _outbound(subject: Subject, policy: OutboundTrafficPolicy, path: Path) -> Iterator[Diagnostic]:
    proxy, where = policy.egress_proxy, (*path, "egressProxy")
    if proxy is None:
        return
    yield subject.finding(
        "GM141", "egressProxy is deprecated, and Istio ignores it", where, hint="remove it", wants_key=True
    )
    if policy.mode != "ALLOW_ANY":
        message = "egressProxy goes with mode ALLOW_ANY only"
        yield subject.finding("GM109", message, where, hint="set mode: ALLOW_ANY", wants_key=True)
    if proxy.port is None:
        yield subject.finding("GM103", f"port is missing in {dotted(where)}", (*where, "port"))
    if is_wildcard_domain(proxy.host) and not is_fqdn(proxy.host):
        message = f"{proxy.host[:80]!r} is not a host name without a wildcard"
        yield subject.finding("GM108", message, (*where, "host"))
    yield from check_destination(subject, where, proxy)
