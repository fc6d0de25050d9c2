"""Services as a mesh sees them: hosts, ports, endpoints. Here are those of Kubernetes, with their Pods.

Stage: playground translation (pure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial

from gitmesh.istio.hosts import is_ip, service_host
from gitmesh.model.kinds import POD, SERVICE, Kind
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.playground.translate.fields import Field, Reports, spec_of
from gitmesh.playground.translate.memo import Memo
from gitmesh.playground.translate.places import locality_of

EXPORT_TO = "networking.istio.io/exportTo"  # the annotation of a Service
EVERYWHERE = frozenset({"*"})


class Protocol(Enum):
    """What a port speaks. Source: istio.io, Protocol Selection."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    TCP = "TCP"
    TLS = "TLS"  # HTTPS too: what is inside cannot be seen
    AUTO = "AUTO"  # nobody said; taken for HTTP, where Istio would look at the first bytes

    @property
    def is_http(self) -> bool:
        """Say whether requests on this port can be routed one by one."""
        return self not in (Protocol.TCP, Protocol.TLS)

    @property
    def is_http2(self) -> bool:
        """Say whether the upstream is spoken to in HTTP/2 without being asked."""
        return self in (Protocol.HTTP2, Protocol.GRPC)


_PROTOCOLS = {
    "http": Protocol.HTTP,
    "http2": Protocol.HTTP2,
    "h2c": Protocol.HTTP2,
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "grpc": Protocol.GRPC,
    "grpc-web": Protocol.GRPC,
    "tcp": Protocol.TCP,
    "mongo": Protocol.TCP,
    "mysql": Protocol.TCP,
    "redis": Protocol.TCP,
    "tls": Protocol.TLS,
    "https": Protocol.TLS,
    "kubernetes.io/wss": Protocol.TLS,
}
_TCP_PORTS = frozenset({25, 53, 3306, 27017})  # where the server speaks first, so nothing can be detected


def protocol_named(text: str) -> Protocol | None:
    """Return the protocol of a name such as `http` or `GRPC-Web`; None for one that is not known."""
    return _PROTOCOLS.get(text.lower())


class Resolution(Enum):
    """How the endpoints of a service are found."""

    ENDPOINTS = "ENDPOINTS"  # they are listed: Kubernetes, or STATIC
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    NONE = "NONE"  # whatever address the client asked for
    DYNAMIC_DNS = "DYNAMIC_DNS"  # whatever host the client asked for, looked up

    @property
    def is_as_asked(self) -> bool:
        """Say whether the service has no endpoints of its own: the client says where to go."""
        return self in (Resolution.NONE, Resolution.DYNAMIC_DNS)


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a service. `target` is a number, or the name of a container's port."""

    number: int
    name: str
    target: int | str
    protocol: Protocol


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One ready workload behind a service.

    `ports` overrides the number of a port, by the port's name. `locality` is `region/zone/subzone`.
    """

    workload: str
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)
    named_ports: Mapping[str, int] = field(default_factory=dict)
    weight: int = 1
    locality: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)

    def port(self, port: ServicePort) -> int | None:
        """Return the number on which this workload serves a port; None when it has no such port."""
        if port.name in self.ports:
            return self.ports[port.name]
        return port.target if isinstance(port.target, int) else self.named_ports.get(port.target)


@dataclass(frozen=True, slots=True)
class Service:
    """One host with its ports and the workloads behind it."""

    host: str
    name: str
    namespace: str
    ports: tuple[ServicePort, ...]
    addresses: tuple[str, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    resolution: Resolution = Resolution.ENDPOINTS
    external: bool = False
    export_to: frozenset[str] = EVERYWHERE
    created: str = ""
    is_kubernetes: bool = True
    headless: bool = False
    twin_of_older: bool = False  # another namespace has an older service of this host
    subject_alt_names: tuple[
        str, ...
    ] = ()  # what a certificate of the workloads may be for; a ServiceEntry's

    @property
    def main_port(self) -> ServicePort | None:
        """The HTTP port that a host without a port means: 80 where there is one, else the first."""
        ports = [port for port in self.ports if port.protocol.is_http]
        return next((port for port in ports if port.number == 80), ports[0] if ports else None)

    def port(self, number: int) -> ServicePort | None:
        """Return the port of that number."""
        return next((port for port in self.ports if port.number == number), None)


def read_services(
    resources: ResourceSet,
    reports: Reports,
    workloads: Mapping[str, Sequence[Endpoint]] | None = None,
    memo: Memo | None = None,
) -> dict[str, Service]:
    """Return every Kubernetes Service that has a port, by its fully qualified host.

    `workloads` are those that a selector may find, by namespace: the ready Pods, if nothing else is said.
    """
    memo = memo or Memo(reports)
    candidates = _by_label(ready_pods(resources, memo) if workloads is None else workloads)
    found = {}
    for key in _sorted_keys(resources, SERVICE):
        make = partial(_service, resources[key], reports)
        service, selector = memo.keep(("Service", key), (resources[key],), make)
        if service.ports:
            # What has no selector has no endpoints, or it has those that it names itself.
            endpoints = _selected(candidates, key.namespace, selector)
            found[service.host] = replace(service, endpoints=endpoints) if endpoints else service
    return {host: _followed(service, found) for host, service in found.items()}


def _followed(service: Service, services: Mapping[str, Service]) -> Service:
    """Return a Service that is another name (ExternalName) with the workloads of the Service that it names.

    Other names are looked up; those of Services are known to Kubernetes alone.
    """
    names = [endpoint.address.lower().rstrip(".") for endpoint in service.endpoints]
    target = services.get(names[0]) if service.external and names else None
    if target is None or target.external:
        return service
    ports = [
        replace(port, target=t.target) if (t := target.port(port.number)) else port for port in service.ports
    ]
    return replace(
        service,
        ports=tuple(ports),
        endpoints=target.endpoints,
        resolution=target.resolution,
        external=False,
    )


def ready_pods(resources: ResourceSet, memo: Memo) -> dict[str, list[Endpoint]]:
    """Return every Pod that takes requests, by namespace."""
    pods: dict[str, list[Endpoint]] = {}
    for key in _sorted_keys(resources, POD):
        make = partial(_ready_endpoint, resources[key])
        endpoint = memo.keep(("endpoint", key), (resources[key],), make)
        if endpoint:
            pods.setdefault(key.namespace, []).append(endpoint)
    return pods


def _sorted_keys(resources: ResourceSet, kind: Kind) -> list[ResourceKey]:
    chosen = (key for key in resources if key.kind == kind.kind and key.group == kind.group)
    return sorted(chosen, key=lambda key: (key.namespace, key.name))


# (namespace, label, value) -> the workloads that have it
_Candidates = Mapping[tuple[str, str, str], Sequence[Endpoint]]


def _by_label(workloads: Mapping[str, Sequence[Endpoint]]) -> _Candidates:
    """Sort workloads by each of their labels, so that a selector looks at few of them."""
    found: dict[tuple[str, str, str], list[Endpoint]] = {}
    for namespace, endpoints in workloads.items():
        for endpoint in endpoints:
            for name, value in endpoint.labels.items():
                found.setdefault((namespace, name, str(value)), []).append(endpoint)
    return found


def _selected(candidates: _Candidates, namespace: str, selector: Mapping[str, str]) -> tuple[Endpoint, ...]:
    if not selector:  # such a Service finds nothing. Source: kubernetes.io, Services without selectors.
        return ()
    fewest = min((candidates.get((namespace, *item), ()) for item in selector.items()), key=len)
    return tuple(endpoint for endpoint in fewest if includes(endpoint.labels, selector))


def _service(resource: Resource, reports: Reports) -> tuple[Service, Mapping[str, str]]:
    """Return a Service without the workloads that its selector finds, and that selector."""
    spec, key = spec_of(resource, reports), resource.key
    elsewhere = spec["type"].text() == "ExternalName" and spec["externalName"].text()
    selector = {name: value.text() for name, value in spec["selector"].entries()}
    addresses = {spec["clusterIP"].text(), *spec["clusterIPs"].texts()}
    service = Service(
        host=service_host(key.name, key.namespace).lower(),
        name=key.name,
        namespace=key.namespace,
        ports=tuple(_ports(spec)),
        addresses=tuple(sorted(address for address in addresses if is_ip(address))),
        endpoints=(Endpoint(elsewhere, elsewhere),) if elsewhere else (),
        resolution=Resolution.DNS if elsewhere else Resolution.ENDPOINTS,
        external=bool(elsewhere),
        export_to=_export_to(resource),
        created=str(resource.metadata.get("creationTimestamp") or ""),
        headless="None" in addresses,
    )
    return service, {} if elsewhere else selector


def _export_to(resource: Resource) -> frozenset[str]:
    words = str(resource.annotations.get(EXPORT_TO) or "").split(",")
    return frozenset(word.strip() for word in words if word.strip()) or EVERYWHERE


def _ports(spec: Field) -> Iterator[ServicePort]:
    seen: set[int] = set()
    for item in spec["ports"].items():
        port = _port(item)
        if port is not None and port.number not in seen:
            seen.add(port.number)
            yield port


def _port(item: Field) -> ServicePort | None:
    number = item["port"].integer()
    if not 0 < number < 65536:
        item["port"].report("is not a port number")
        return None
    if item["protocol"].text("TCP") != "TCP":
        item.report(f"port {number} speaks {item['protocol'].text()}, which no mesh routes")
        return None
    target = item["targetPort"].value
    if not isinstance(target, int | str) or not target:
        target = number
    return ServicePort(number, item["name"].text(), target, _protocol(item, number))


def _protocol(item: Field, number: int) -> Protocol:
    """Return what a port speaks: appProtocol, else the first word of its name, else what its number tells."""
    name = item["name"].text()
    words = (item["appProtocol"].text(), name, name.partition("-")[0])
    if name.startswith("grpc-web"):
        words = (words[0], "grpc-web", "")
    known = next((found for word in words if (found := protocol_named(word))), None)
    if known is None and number not in _TCP_PORTS:
        item.note(
            f"port {number} does not say what it speaks: taken for HTTP, where Istio looks at the bytes"
        )
    return known or (Protocol.TCP if number in _TCP_PORTS else Protocol.AUTO)


def _ready_endpoint(resource: Resource) -> Endpoint | None:
    # A Pod is a status report, not something people write, so nothing about it is reported.
    status = resource.body.get("status")
    address = status.get("podIP") if isinstance(status, Mapping) else None
    if not isinstance(status, Mapping) or not isinstance(address, str) or not is_ip(address):
        return None
    if resource.metadata.get("deletionTimestamp") or not _is_ready(status):
        return None
    labels = resource.labels
    named = _named_ports(resource.spec)
    return Endpoint(resource.key.name, address, labels, named, locality=locality_of(labels))


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
