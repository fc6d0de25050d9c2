"""Where the rules of a VirtualService are read: at which gateway and port, for which client.

Stage: playground translation (pure). What depends on the client or on the port is decided here, while the
configuration is built; only the rest is left to Envoy. Source: istio/istio pilot/pkg/networking/core/route.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from gitmesh.istio.hosts import fully_qualified
from gitmesh.playground.translate.destinations import Destination
from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.naming import cluster_name
from gitmesh.playground.translate.services import Service, includes

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
        return self.services.get(destination_host(destination))

    def rule_of(self, destination: Field) -> Destination | None:
        """Return what DestinationRules say to the client of a `destination`; None where nothing is known."""
        service = self.service_of(destination)
        return self.rule_for(service) if service else None

    def rule_for(self, service: Service) -> Destination | None:
        """Return what DestinationRules say to the client of a service; None where nothing is known."""
        return self.destination_of(service) if self.destination_of else None

    def cluster_of(self, destination: Field) -> str:
        """Name the cluster of a destination.

        Its port is the one written, else the only one of the service, else that of the listener.
        """
        service = self.service_of(destination)
        port = destination["port"]["number"].integer()
        if not port:
            port = service.ports[0].number if service and len(service.ports) == 1 else self.port
        rule, host = self.rule_of(destination), destination_host(destination)
        # In Istio the client has no such cluster; here others have, under the name without this ending.
        variant = rule.variant if rule else "not-exported" if host in self.hidden else ""
        return cluster_name(host, port, destination["subset"].text(), variant)


def destination_host(destination: Field) -> str:
    """Return the fully qualified host of a destination, by the namespace of the object that names it."""
    return fully_qualified(destination["host"].text(), destination.key.namespace).lower()
