"""Where the rules of a VirtualService are read: at which gateway and port, for which client.

Stage: playground translation (pure). What depends on the client or on the port is decided here, while the
configuration is built; only the rest is left to Envoy. Source: istio/istio pilot/pkg/networking/core/route.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from operator import is_
from typing import NamedTuple

from gitmesh.istio.hosts import fully_qualified
from gitmesh.playground.translate.destinations import Destination
from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.naming import cluster_name
from gitmesh.playground.translate.services import Service, includes


class Known(NamedTuple):
    """What a client knows of a host: its service and the rules for it, or that it is not exported to it."""

    service: Service | None
    rule: Destination | None
    hidden: bool


MESH = "mesh"  # the name that stands in `gateways` for every sidecar


@dataclass(frozen=True, slots=True)
class RouteContext:
    """One gateway (`mesh`, or namespace/name) and port, as a client with these labels meets it.

    `services` are those that the client sees, `hidden` the hosts of those that it does not; `destination_of`
    says which DestinationRules hold for it.
    """

    gateway: str
    port: int
    services: Mapping[str, Service]
    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    destination_of: Callable[[Service], Destination] | None = None
    tls: bool = False  # the listener ends TLS, so a request without further words is for https
    default_retries: Field | None = None  # the mesh's own; None: pilot's
    hidden: Collection[str] = ()
    heard: dict[str, Known] | None = None  # what was asked, by host: routes depend on nothing else outside

    @property
    def inside(self) -> bool:
        """Say whether this is a sidecar and not a gateway."""
        return self.gateway == MESH

    def is_from(self, labels: Field, namespace: str) -> bool:
        """Say whether the client has these labels and lives in this namespace (empty: any)."""
        wanted = {name: value.text() for name, value in labels.entries()}
        return includes(self.labels, wanted) and namespace in ("", self.namespace)

    def service_of(self, destination: Field) -> Service | None:
        """Return the Service of a `destination`; None when the client sees none of this name."""
        return self._known(destination_host(destination)).service

    def rule_of(self, destination: Field) -> Destination | None:
        """Return what DestinationRules say to the client of a `destination`; None where nothing is known."""
        return self._known(destination_host(destination)).rule

    def still(self, heard: Mapping[str, Known]) -> bool:
        """Say whether what was heard of some hosts is what would be heard now."""
        return all(all(map(is_, self._known(host), known)) for host, known in heard.items())

    def _known(self, host: str) -> Known:
        service = self.services.get(host)
        known = Known(service, self.rule_for(service) if service else None, host in self.hidden)
        if self.heard is not None:
            self.heard[host] = known
        return known

    def rule_for(self, service: Service) -> Destination | None:
        """Return what DestinationRules say to the client of a service; None where nothing is known."""
        return self.destination_of(service) if self.destination_of else None

    def cluster_of(self, destination: Field, *, of_requests: bool = True) -> str:
        """Name the cluster of a destination.

        Its port is the one written, else the only one of the service, else that of the listener. For requests
        inside the mesh it is that of the listener at once, also where the service has no such port.
        Source: istio/istio pilot, BuildSidecarOutboundVirtualHosts: of services it knows that port alone.
        """
        host = destination_host(destination)
        service, rule, hidden = self._known(host)
        port = destination["port"]["number"].integer()
        if not port:
            only = service is not None and len(service.ports) == 1 and not (of_requests and self.inside)
            port = service.ports[0].number if service and only else self.port
        # In Istio the client has no such cluster; here others have, under the name without this ending.
        variant = rule.variant if rule else "not-exported" if hidden else ""
        return cluster_name(host, port, destination["subset"].text(), variant)


def destination_host(destination: Field) -> str:
    """Return the fully qualified host of a destination, by the namespace of the object that names it."""
    return fully_qualified(destination["host"].text(), destination.key.namespace).lower()
