"""What Istio demands of a ServiceEntry beyond its shape.

Stage: validate (pure). Source: istio/istio pkg/config/validation/validation.go, validateServiceEntry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitmesh.istio.models.service_entry import ServiceEntrySpec
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.exports import check_export_to
from gitmesh.validate.labels import check_labels, check_selector
from gitmesh.validate.names import has_partial_wildcard, is_fqdn, is_subnet, is_wildcard_domain
from gitmesh.validate.ports import ON_TCP, PLAIN_HTTP, PROTOCOLS, TLS, check_port_name, check_protocol
from gitmesh.validate.subject import Path, Subject
from gitmesh.validate.workload_entries import check_address, check_endpoint, check_endpoint_ports

_BY_DNS = ("DNS", "DNS_ROUND_ROBIN")
_DYNAMIC = "DYNAMIC_DNS"
_DYNAMIC_PROTOCOLS = ("HTTP", "HTTP2", "GRPC", "TLS")
_NO_ADDRESS_LABEL = "networking.istio.io/enable-autoallocate-ip"
_WAYPOINT_LABEL = "istio.io/use-waypoint"


def check_service_entry(subject: Subject, spec: ServiceEntrySpec) -> Iterator[Diagnostic]:
    """Yield everything that Istio's admission would refuse or warn of."""
    yield from check_export_to(subject, spec.export_to, may_hide=True)
    if spec.workload_selector is not None:
        yield from check_selector(subject, spec.workload_selector, ("spec", "workloadSelector"))
        if (spec.resolution or "NONE") == "NONE":
            message = "workloadSelector does nothing with resolution NONE"
            hint = "set resolution: STATIC"
            where: Path = ("spec", "workloadSelector")
            yield subject.finding("GM150", message, where, hint=hint, wants_key=True)
    yield from _hosts(subject, spec)
    for index, address in enumerate(spec.addresses):
        if not is_subnet(address):
            message = f"{address[:64]!r} is neither an address nor a network"
            yield subject.finding("GM108", message, ("spec", "addresses", index))
    yield from _ports(subject, spec)
    yield from _endpoints(subject, spec)
    if spec.resolution == _DYNAMIC:
        yield from _dynamic(subject, spec)


def _hosts(subject: Subject, spec: ServiceEntrySpec) -> Iterator[Diagnostic]:
    by_dns = spec.resolution in _BY_DNS and not spec.endpoints
    for index, host in enumerate(spec.hosts):
        path: Path = ("spec", "hosts", index)
        if not is_wildcard_domain(host):
            yield subject.finding("GM108", f"{host[:80]!r} is not a host name", path)
        elif by_dns and not is_fqdn(host):
            message = f"{host} cannot be resolved by DNS: it has a wildcard and there are no endpoints"
            hint = "add endpoints, or set resolution: NONE"
            yield subject.finding("GM109", message, path, hint=hint)
        elif has_partial_wildcard(host) and spec.resolution != _DYNAMIC:
            message = f"the wildcard of {host} stands for a part of a label"
            hint = "write *. and whole labels, as in *.example.com"
            yield subject.finding("GM148", message, path, hint=hint)


def _ports(subject: Subject, spec: ServiceEntrySpec) -> Iterator[Diagnostic]:
    several = len(spec.hosts) > 1
    for index, port in enumerate(spec.ports):
        path: Path = ("spec", "ports", index)
        protocol = (port.protocol or "").upper()
        yield from check_port_name(subject, port.name, (*path, "name"))
        if protocol and protocol not in PROTOCOLS:
            yield from check_protocol(subject, port.protocol or "", path)
        elif several and protocol not in (*PLAIN_HTTP, *TLS) and spec.resolution not in (None, "NONE"):
            message = f"several hosts cannot share a port with the protocol {protocol or 'TCP'}"
            hint = "one ServiceEntry for each host, or a protocol that names the host: HTTP, TLS"
            yield subject.finding("GM109", message, path, hint=hint)
        elif several and spec.addresses and spec.resolution in _BY_DNS and protocol in ON_TCP:
            message = "several hosts share the addresses, and nothing tells their connections apart"
            yield subject.finding("GM150", message, path, hint="one ServiceEntry for each host")
        if protocol in ("", "TCP") and not spec.addresses and not gets_address(subject, spec):
            message = f"addresses are needed: else everything on port {port.number} goes to this service"
            yield subject.finding("GM149", message, path, hint="add addresses")


def gets_address(subject: Subject, spec: ServiceEntrySpec) -> bool:
    """Say whether istiod gives it an address. Source: istio/istio pilot, ShouldV2AutoAllocateIP."""
    wanted = _label(subject, _NO_ADDRESS_LABEL) != "false"
    return wanted and (spec.resolution or "NONE") != "NONE"


def _label(subject: Subject, name: str) -> str:
    labels = subject.resource.labels
    return str(labels.get(name, "")).lower() if isinstance(labels, Mapping) else ""


def _endpoints(subject: Subject, spec: ServiceEntrySpec) -> Iterator[Diagnostic]:
    names = frozenset(port.name for port in spec.ports)
    for index, endpoint in enumerate(spec.endpoints):
        path: Path = ("spec", "endpoints", index)
        if spec.resolution == "STATIC":
            yield from check_endpoint(subject, endpoint, path, may_be_name=False, service_ports=names)
        elif spec.resolution in _BY_DNS:
            where: Path = (*path, "address") if endpoint.address else path
            yield from check_address(subject, endpoint.address or "", where, may_be_name=True)
            yield from check_endpoint_ports(subject, endpoint, path, names)
            yield from check_labels(subject, endpoint.labels, (*path, "labels"))


def _dynamic(subject: Subject, spec: ServiceEntrySpec) -> Iterator[Diagnostic]:
    for index, host in enumerate(spec.hosts):
        if not host.startswith("*"):
            message = f"resolution {_DYNAMIC} takes hosts with a wildcard only"
            yield subject.finding("GM109", message, ("spec", "hosts", index), hint="set resolution: DNS")
    for field, value in (("addresses", spec.addresses), ("endpoints", spec.endpoints)):
        if value:
            message = f"{field} cannot go with resolution {_DYNAMIC}"
            yield subject.finding("GM109", message, ("spec", field), hint="remove them", wants_key=True)
    for index, port in enumerate(spec.ports):
        if (port.protocol or "").upper() not in _DYNAMIC_PROTOCOLS:
            message = f"resolution {_DYNAMIC} takes the protocols {', '.join(_DYNAMIC_PROTOCOLS)} only"
            yield subject.finding("GM109", message, ("spec", "ports", index))
    waypoint = _label(subject, _WAYPOINT_LABEL)
    if spec.location == "MESH_INTERNAL" and waypoint not in ("", "none"):
        message = f"resolution {_DYNAMIC} and location MESH_INTERNAL do not go with a waypoint"
        yield subject.finding("GM109", message, ("spec", "location"))
