"""What each proxy sees: its Sidecar, the services and VirtualServices exported to it, its outbound policy.

Stage: playground translation (pure). Proxies that see the same share one scope, and with it one route
configuration. Source: istio/istio pilot/pkg/model, sidecar.go and push_context.go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gitmesh.model.resource import ResourceSet
from gitmesh.playground.translate.destinations import Client, Destination, Destinations
from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.memo import Memo
from gitmesh.playground.translate.mesh_config import MeshConfig
from gitmesh.playground.translate.proxies import Proxy
from gitmesh.playground.translate.route_context import MESH, RouteContext
from gitmesh.playground.translate.routes import VirtualService
from gitmesh.playground.translate.services import Service, ServicePort
from gitmesh.playground.translate.sidecars import Egress, Sidecar, read_sidecars, sidecar_for

ALLOW_ANY = "ALLOW_ANY"
REGISTRY_ONLY = "REGISTRY_ONLY"


@dataclass(frozen=True, slots=True)
class View:
    """What one port of an outbound listener serves."""

    services: Mapping[str, Service]
    virtual_services: tuple[VirtualService, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """What proxies of one kind see.

    `services` are all that a route may lead to; `labels` are those of the client's labels that any rule asks
    for. `outbound_policy` says what happens to a request for a host that is in no view.
    """

    name: str
    namespace: str
    labels: Mapping[str, str]
    services: Mapping[str, Service]
    virtual_services: tuple[VirtualService, ...]
    destinations: Destinations
    outbound_policy: str = ALLOW_ANY
    sidecar: Sidecar | None = None
    egress_proxy: Field | None = None
    default_retries: Field | None = None
    hidden: frozenset[str] = frozenset()  # hosts that are not exported to here
    memo: Memo = field(default_factory=Memo, compare=False)
    _views: Mapping[int, View] = field(default_factory=dict, compare=False)  # by port; 0: every other port

    @property
    def client(self) -> Client:
        """Who asks."""
        return Client(self.namespace, self.labels)

    def destination_of(self, service: Service) -> Destination:
        """Return the DestinationRules that hold for a service, seen from here."""
        return self.destinations.of(service, self.client)

    def view(self, port: int) -> View:
        """Return what is seen at one port: that of an egress listener for it, else that of the rest."""
        return self._views.get(port) or self._views[0]

    def ports(self) -> list[tuple[Service, ServicePort]]:
        """Return every port that is seen, with its service as it is seen there."""
        found = []
        for service in self.services.values():
            for number in (port.number for port in service.ports):
                shown = self.view(number).services.get(service.host)
                port = shown.port(number) if shown else None
                if shown and port:
                    found.append((shown, port))
        return found

    def context(self, port: int) -> RouteContext:
        """Return in which surroundings the rules of a VirtualService are read."""
        return RouteContext(
            MESH,
            port,
            self.services,
            self.namespace,
            self.labels,
            self.destination_of,
            default_retries=self.default_retries,
            hidden=self.hidden,
        )


class Scopes:
    """Makes the scope of each proxy, and makes equal ones once."""

    def __init__(
        self,
        resources: ResourceSet,
        services: Mapping[str, Service],
        virtual_services: Sequence[VirtualService],
        destinations: Destinations,
        mesh: MeshConfig,
        memo: Memo,
    ) -> None:
        self._services = services
        self._virtual_services = virtual_services
        self._destinations = destinations
        self._mesh = mesh
        self._memo = memo
        self._sidecars = read_sidecars(resources, memo.reports)
        self._asked = destinations.asked_labels.union(*(s.asked_labels for s in virtual_services))
        self._scopes: dict[str, Scope] = {}

    def of(self, proxy: Proxy) -> Scope:
        """Return what a proxy sees."""
        sidecar = sidecar_for(proxy, self._sidecars)
        labels = {name: proxy.labels[name] for name in sorted(self._asked & proxy.labels.keys())}
        name = _name(proxy.namespace, sidecar, labels)
        if name not in self._scopes:
            self._scopes[name] = self._make(name, proxy.namespace, labels, sidecar)
        return self._scopes[name]

    def _make(self, name: str, namespace: str, labels: Mapping[str, str], sidecar: Sidecar | None) -> Scope:
        services = kept_services(self._services, namespace, self._memo)
        sources = exported_virtual_services(self._virtual_services, namespace)
        policy, egress_proxy = self._mesh.outbound_policy, None
        views = {0: View(services, sources)}
        if sidecar is not None:
            policy = sidecar.outbound_policy or policy
            egress_proxy = sidecar.egress_proxy
            views = _views(sidecar, services, sources, namespace)
        return Scope(
            name,
            namespace,
            labels,
            services,
            sources,
            self._destinations,
            policy or ALLOW_ANY,
            sidecar,
            egress_proxy,
            self._mesh.default_retries,
            frozenset(self._services.keys() - services.keys()),
            self._memo,
            views,
        )


def kept_services(services: Mapping[str, Service], namespace: str, memo: Memo) -> Mapping[str, Service]:
    """Return `visible_services`, the same object as long as nothing changes."""
    return memo.keep(("visible", namespace), (services,), lambda: visible_services(services, namespace))


def visible_services(services: Mapping[str, Service], namespace: str) -> dict[str, Service]:
    """Return the services that a namespace sees, by host.

    Of several for one host that of Kubernetes comes first, then one exported to fewer, then the older.
    Source: istio/istio pilot/pkg/model, sidecar.go (servicesByHostname).
    """
    seen = [s for s in services.values() if is_exported(s.export_to, s.namespace, namespace)]
    ranked = sorted(seen, key=lambda s: (not s.is_kubernetes, _reach(s.export_to, s.namespace, namespace)))
    found: dict[str, Service] = {}
    for service in ranked:
        found.setdefault(service.host, service)
    return found


def _reach(export_to: Collection[str], owner: str, namespace: str) -> int:
    if not export_to or "*" in export_to:
        return 2
    return 0 if owner == namespace else 1


def is_exported(export_to: Iterable[str], owner: str, namespace: str) -> bool:
    """Say whether something in the namespace `owner` is visible in another. Nothing said: everywhere."""
    places = {owner if place == "." else place for place in export_to}
    return not places or "*" in places or namespace in places


def exported_virtual_services(
    sources: Iterable[VirtualService], namespace: str
) -> tuple[VirtualService, ...]:
    """Return what a namespace sees, in the order of precedence: private, exported to it by name, public."""
    ranked: tuple[list[VirtualService], ...] = ([], [], [])
    for source in sources:
        places = source.export_to
        if not is_exported(places, source.namespace, namespace):
            continue
        ranked[_reach(places, source.namespace, namespace)].append(source)
    return tuple(source for group in ranked for source in group)


def _views(
    sidecar: Sidecar,
    services: Mapping[str, Service],
    sources: tuple[VirtualService, ...],
    namespace: str,
) -> dict[int, View]:
    views = {0: View({}, ())}
    for egress in sidecar.egress:
        # The first listener for a port counts, as each port can be opened once.
        if egress.port and egress.port in views:
            continue
        views[egress.port] = _view(egress, services, sources, namespace)
    return views


def _view(
    egress: Egress, services: Mapping[str, Service], sources: tuple[VirtualService, ...], namespace: str
) -> View:
    chosen = {
        host: egress.shown(service)
        for host, service in services.items()
        if egress.imports(service.namespace, host, namespace)
    }
    bound = tuple(s for s in sources if egress.imports_rules(s.namespace, s.hosts, namespace))
    return View(chosen, bound)


def _name(namespace: str, sidecar: Sidecar | None, labels: Mapping[str, str]) -> str:
    name = namespace
    if sidecar is not None:
        name += (
            f"/{sidecar.name}" if sidecar.namespace == namespace else f"/{sidecar.namespace}/{sidecar.name}"
        )
    if labels:
        text = "\0".join(f"{key}={value}" for key, value in labels.items())
        name += f"~{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return name
