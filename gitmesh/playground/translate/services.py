"""Kubernetes Services and Pods as a mesh sees them: hosts, ports, endpoints.

Stage: playground translation (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gitmesh.istio.hosts import is_ip, service_host
from gitmesh.model.kinds import POD, SERVICE
from gitmesh.model.resource import Resource, ResourceSet
from gitmesh.playground.translate.fields import Field, Reports, spec_of

_HTTP2 = frozenset({"grpc", "grpc-web", "http2", "h2c", "kubernetes.io/h2c"})
_OTHER = frozenset({"tcp", "tls", "https", "mongo", "mysql", "redis", "udp", "kubernetes.io/wss"})


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One HTTP port of a Service. `target` is a number, or the name of a container's port."""

    number: int
    target: int | str
    http2: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One ready Pod behind a Service."""

    pod: str
    address: str
    labels: Mapping[str, str]
    named_ports: Mapping[str, int]

    def port(self, port: ServicePort) -> int | None:
        """Return the number on which this Pod serves a Service's port; None when it has no such port."""
        return port.target if isinstance(port.target, int) else self.named_ports.get(port.target)


@dataclass(frozen=True, slots=True)
class Service:
    """One Service with its HTTP ports and the ready Pods that its selector finds."""

    host: str
    name: str
    namespace: str
    ports: tuple[ServicePort, ...]
    addresses: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]

    @property
    def main_port(self) -> ServicePort:
        """The port that a host name without a port means: 80 where there is one, else the first."""
        return next((port for port in self.ports if port.number == 80), self.ports[0])


def read_services(resources: ResourceSet, reports: Reports) -> dict[str, Service]:
    """Return every Service that has an HTTP port, by its fully qualified host."""
    pods: dict[str, list[Endpoint]] = {}
    for key in sorted(resources):
        if (key.group, key.kind) == (POD.group, POD.kind):
            endpoint = _ready_endpoint(resources[key])
            if endpoint:
                pods.setdefault(key.namespace, []).append(endpoint)
    found = {}
    for key in sorted(resources):
        if (key.group, key.kind) == (SERVICE.group, SERVICE.kind):
            service = _service(resources[key], pods.get(key.namespace, ()), reports)
            if service.ports:
                found[service.host] = service
    return found


def _service(resource: Resource, pods: Iterable[Endpoint], reports: Reports) -> Service:
    spec, key = spec_of(resource, reports), resource.key
    ports = [_port(field) for field in spec["ports"].items()]
    if spec["type"].text() == "ExternalName":
        spec["type"].report("the playground does not translate a Service of type ExternalName")
        ports = []
    selector = {name: field.text() for name, field in spec["selector"].entries()}
    addresses = {spec["clusterIP"].text(), *spec["clusterIPs"].texts()}
    return Service(
        host=service_host(key.name, key.namespace),
        name=key.name,
        namespace=key.namespace,
        ports=tuple(port for port in ports if port),
        addresses=tuple(sorted(address for address in addresses if is_ip(address))),
        endpoints=tuple(pod for pod in pods if selector and includes(pod.labels, selector)),
    )


def _port(field: Field) -> ServicePort | None:
    """Read one port; None for one that does not speak HTTP.

    Source: istio.io, Protocol Selection: appProtocol, else the name's prefix; anything else is detected.
    """
    number = field["port"].integer()
    protocol = field["appProtocol"].text() or field["name"].text().partition("-")[0]
    if protocol.lower() in _OTHER or field["protocol"].text("TCP") != "TCP":
        field.report(f"port {number} does not speak HTTP; the playground routes HTTP only")
        return None
    if not 0 < number < 65536:
        field["port"].report("is not a port number")
        return None
    target = field["targetPort"].value
    if not isinstance(target, int | str) or not target:
        target = number
    return ServicePort(number, target, http2=protocol.lower() in _HTTP2)


def _ready_endpoint(resource: Resource) -> Endpoint | None:
    # A Pod is a status report, not something people write, so nothing about it is reported.
    status = resource.body.get("status")
    address = status.get("podIP") if isinstance(status, Mapping) else None
    if not isinstance(status, Mapping) or not isinstance(address, str) or not is_ip(address):
        return None
    if resource.metadata.get("deletionTimestamp") or not _is_ready(status):
        return None
    return Endpoint(resource.key.name, address, resource.labels, _named_ports(resource.spec))


def _is_ready(status: Mapping[str, object]) -> bool:
    conditions = status.get("conditions")
    if not isinstance(conditions, list):
        return False
    return any(
        isinstance(c, Mapping) and c.get("type") == "Ready" and c.get("status") == "True" for c in conditions
    )


def _named_ports(spec: Mapping[str, object]) -> dict[str, int]:
    named: dict[str, int] = {}
    containers = spec.get("containers")
    for container in containers if isinstance(containers, list) else ():
        ports = container.get("ports") if isinstance(container, Mapping) else None
        for port in ports if isinstance(ports, list) else ():
            if isinstance(port, Mapping) and isinstance(port.get("containerPort"), int):
                named[str(port.get("name", ""))] = port["containerPort"]
    return named


def includes(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Say whether `labels` has every one of `wanted`."""
    return all(labels.get(name) == value for name, value in wanted.items())
