"""What Istio demands of a ServiceEntry and of a Sidecar beyond their shape.

Stage: validate (pure). Source: istio/istio pkg/config/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.models.service_entry import ServiceEntrySpec
from gitmesh.istio.models.sidecar import SidecarSpec
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.spelling import closest
from gitmesh.validate.destination_rules import check_pool
from gitmesh.validate.exports import check_export_to
from gitmesh.validate.gateways import PROTOCOLS
from gitmesh.validate.names import is_fqdn, is_label, is_wildcard_domain
from gitmesh.validate.subject import Path, Subject, dotted

_WITH_HOST = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS", "TLS")


def check_service_entry(subject: Subject, spec: ServiceEntrySpec) -> Iterator[Diagnostic]:
    """Yield everything that Istio's admission would refuse."""
    yield from check_export_to(subject, spec.export_to, may_hide=True)
    for index, host in enumerate(spec.hosts):
        if not is_wildcard_domain(host):
            message = f"{host[:80]!r} is not a host name"
            yield subject.finding("GM108", message, ("spec", "hosts", index))
        elif spec.resolution in ("DNS", "DNS_ROUND_ROBIN") and not spec.endpoints and not is_fqdn(host):
            message = f"{host} cannot be resolved by DNS: it has a wildcard and there are no endpoints"
            hint = "add endpoints, or set resolution: NONE"
            yield subject.finding("GM109", message, ("spec", "hosts", index), hint=hint)
    for index, port in enumerate(spec.ports):
        path: Path = ("spec", "ports", index)
        protocol = (port.protocol or "").upper()
        if not is_label(port.name):
            yield subject.finding("GM108", f"{port.name[:80]!r} is not a name for a port", (*path, "name"))
        if protocol and protocol not in (*PROTOCOLS, "UDP"):
            near = closest(protocol, PROTOCOLS)
            hint = f"did you mean {near}?" if near else f"one of: {', '.join(PROTOCOLS)}"
            message = f"{port.protocol!r:.60} is not a protocol"
            yield subject.finding("GM104", message, (*path, "protocol"), hint=hint)
        elif len(spec.hosts) > 1 and protocol not in _WITH_HOST and spec.resolution not in (None, "NONE"):
            message = f"several hosts cannot share a port with the protocol {protocol or 'TCP'}"
            hint = "one ServiceEntry for each host, or a protocol that names the host: HTTP, TLS"
            yield subject.finding("GM109", message, path, hint=hint)


def check_sidecar(subject: Subject, spec: SidecarSpec) -> Iterator[Diagnostic]:
    """Yield everything that Istio's admission would refuse."""
    parts = (spec.egress, spec.ingress, spec.outbound_traffic_policy, spec.inbound_connection_pool)
    if not any(parts) and spec.outbound_traffic_policy is None and spec.inbound_connection_pool is None:
        hint = "add egress, ingress or outboundTrafficPolicy"
        yield subject.finding("GM126", "the Sidecar is empty", ("spec",), hint=hint, wants_key=True)
    if spec.inbound_connection_pool is not None:
        yield from check_pool(subject, spec.inbound_connection_pool, ("spec", "inboundConnectionPool"))
    for index, egress in enumerate(spec.egress):
        path: Path = ("spec", "egress", index)
        if egress.port is None and index != len(spec.egress) - 1:
            message = f"{dotted(path)} has no port, so it must be the last one"
            yield subject.finding("GM109", message, path, hint="move it to the end, or give it a port")
        if not egress.hosts:
            yield subject.finding("GM126", f"{dotted(path)} has no hosts", path, hint='write ["./*"]')
        for number, host in enumerate(egress.hosts):
            if not _is_egress_host(host):
                hint = "write namespace/host, such as ./* or istio-system/*"
                message = f"{host[:80]!r} does not name hosts of a namespace"
                yield subject.finding("GM108", message, (*path, "hosts", number), hint=hint)


def _is_egress_host(host: str) -> bool:
    namespace, slash, name = host.partition("/")
    if not slash or (namespace not in ("*", ".", "~") and not is_label(namespace)):
        return False
    return name == "*" or ("." in name and is_wildcard_domain(name))
