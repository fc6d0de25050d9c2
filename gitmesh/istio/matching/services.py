"""The hosts that a mesh knows: Kubernetes Services and ServiceEntries, with their ports.

Stage: plan (pure). Source: istio.io, Protocol Selection and Service Entry; istio/istio
pilot/pkg/networking/core, httproute.go (generateVirtualHostDomains).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gitmesh.istio.hosts import is_ip, service_host
from gitmesh.istio.matching.reading import Spec, integer, items, text, texts
from gitmesh.istio.matching.virtual_services import exported_to
from gitmesh.model.kinds import SERVICE, SERVICE_ENTRY
from gitmesh.model.resource import Resource

EXPORT_ANNOTATION = "networking.istio.io/exportTo"
# What is not among them is treated as HTTP: where a port says nothing, proxies find out by themselves.
_NOT_HTTP = frozenset({"tcp", "tls", "https", "mongo", "mysql", "redis", "udp"})


@dataclass(frozen=True, slots=True)
class Port:
    """One port of a service."""

    number: int
    is_http: bool
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """One host with its ports. `name` is set for a Kubernetes Service: it has short names too."""

    host: str
    namespace: str
    ports: tuple[Port, ...]
    name: str = ""
    addresses: tuple[str, ...] = ()
    export_to: tuple[str, ...] = ()
    is_headless: bool = False

    def port(self, number: int) -> Port | None:
        """Return one port; None when it has none of that number."""
        return next((port for port in self.ports if port.number == number), None)

    def is_visible_in(self, namespace: str) -> bool:
        """Say whether proxies of that namespace get it."""
        return exported_to(self.export_to, self.namespace, namespace)

    def names_in(self, namespace: str) -> Iterator[str]:
        """Yield the names under which a client in that namespace reaches it, the whole one first."""
        yield self.host
        if self.name:
            yield f"{self.host}."
            if self.namespace == namespace:
                yield self.name
            yield f"{self.name}.{self.namespace}.svc"
            yield f"{self.name}.{self.namespace}"
        yield from self.addresses


def read_services(resources: Iterable[Resource]) -> dict[str, list[Service]]:
    """Return every service by its host; a host may stand in several namespaces."""
    found: dict[str, list[Service]] = {}
    for resource in resources:
        for service in _services_in(resource):
            found.setdefault(service.host, []).append(service)
    return found


def service_from_host(host: str, ports: Iterable[int] = (80,)) -> Service:
    """Return a service of which only the host is known."""
    name, _, rest = host.partition(".")
    is_kubernetes = rest.partition(".")[2].startswith("svc.")
    namespace = rest.partition(".")[0] if is_kubernetes else ""
    known = tuple(Port(number, is_http=True) for number in ports)
    return Service(host, namespace, known, name if is_kubernetes else "")


def _services_in(resource: Resource) -> Iterator[Service]:
    key = resource.key
    if (key.group, key.kind) == (SERVICE.group, SERVICE.kind):
        if text(resource.spec.get("type")) != "ExternalName":
            yield _kubernetes(resource)
    elif (key.group, key.kind) == (SERVICE_ENTRY.group, SERVICE_ENTRY.kind):
        spec = resource.spec
        ports = tuple(_entry_port(port) for port in items(spec.get("ports")))
        export_to = texts(spec.get("exportTo"))
        addresses = tuple(a for a in texts(spec.get("addresses")) if is_ip(a))
        for host in texts(spec.get("hosts")):
            yield Service(host.lower(), key.namespace, ports, addresses=addresses, export_to=export_to)


def _kubernetes(resource: Resource) -> Service:
    key, spec = resource.key, resource.spec
    written = {text(spec.get("clusterIP")), *texts(spec.get("clusterIPs"))}
    export_to = resource.annotations.get(EXPORT_ANNOTATION, "")
    return Service(
        host=service_host(key.name, key.namespace),
        namespace=key.namespace,
        ports=tuple(_kubernetes_port(port) for port in items(spec.get("ports"))),
        name=key.name,
        addresses=tuple(sorted(address for address in written if is_ip(address))),
        export_to=tuple(place.strip() for place in str(export_to).split(",") if place.strip()),
        is_headless="None" in written,
    )


def _kubernetes_port(port: Spec) -> Port:
    protocol = text(port.get("appProtocol")) or text(port.get("name")).partition("-")[0]
    is_tcp = text(port.get("protocol")) in ("", "TCP")
    return _port(port.get("port"), protocol if is_tcp else "udp")


def _entry_port(port: Spec) -> Port:
    return _port(port.get("number"), text(port.get("protocol")))


def _port(number: Any, protocol: str) -> Port:
    lower = protocol.lower()
    return Port(integer(number), lower not in _NOT_HTTP and lower != "kubernetes.io/wss", lower)


def visible(services: Iterable[Service], namespace: str) -> list[Service]:
    """Return those that a client in that namespace gets, with those of its own namespace first."""
    seen = [service for service in services if service.is_visible_in(namespace)]
    return sorted(seen, key=lambda service: (service.namespace != namespace, not service.name))


Services = Mapping[str, list[Service]]
