"""Sidecar resources: which services and rules a workload's proxy gets at all.

Stage: plan (pure). Source: istio.io, Sidecar; istio/istio pilot/pkg/model, sidecar.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gitmesh.istio.hosts import covers
from gitmesh.istio.matching.reading import Spec, integer, items, labels, mapping, text, texts
from gitmesh.istio.matching.request import Caller
from gitmesh.istio.matching.services import Service
from gitmesh.istio.matching.virtual_services import VirtualService, age
from gitmesh.model.resource import Resource, ResourceKey

ROOT_NAMESPACE = "istio-system"
ALLOW_ANY, REGISTRY_ONLY = "ALLOW_ANY", "REGISTRY_ONLY"


@dataclass(frozen=True, slots=True)
class Egress:
    """One egress listener: a port (0: all that no other one has) and the hosts behind it.

    `own` of the methods is the namespace of the workload, for which `.` stands, also in a Sidecar of the
    whole mesh.
    """

    port: int
    hosts: tuple[tuple[str, str], ...]  # (namespace, `.` or `*`; host pattern)

    def lets_in(self, service: Service, own: str) -> bool:
        """Say whether a service is reached through it."""
        places = [place for place, host in self.hosts if covers(host, service.host)]
        if f"~{service.namespace}" in places:
            return False
        return any(_means(place, service.namespace, own) for place in places)

    def lets_in_rules(self, source: VirtualService, own: str) -> bool:
        """Say whether a VirtualService holds in it. One of its hosts is enough for all of them."""
        return any(
            _means(place, source.key.namespace, own) and (covers(pattern, host) or covers(host, pattern))
            for place, pattern in self.hosts
            for host in source.hosts
        )


def _means(place: str, namespace: str, own: str) -> bool:
    return place in ("*", namespace) or (place == "." and namespace == own)


EVERYTHING = Egress(0, (("*", "*"),))


@dataclass(frozen=True, slots=True)
class Sidecar:
    """One Sidecar. `outbound` is empty where it says nothing about unknown hosts."""

    key: ResourceKey
    selector: tuple[tuple[str, str], ...] | None
    egress: tuple[Egress, ...]
    outbound: str

    def egress_for(self, port: int) -> Egress | None:
        """Return the listener of a port; None: the proxy has none."""
        return next((egress for egress in self.egress if egress.port in (0, port)), None)


def read_sidecars(resources: Iterable[Resource]) -> tuple[Sidecar, ...]:
    """Return every Sidecar, the oldest first."""
    return tuple(_read(resource) for resource in sorted(resources, key=age))


def sidecar_of(sidecars: Iterable[Sidecar], caller: Caller) -> Sidecar | None:
    """Return the Sidecar of a workload: by its labels, else of its namespace, else of the mesh."""
    if caller.is_gateway:
        return None
    ranked = [(rank, sidecar) for sidecar in sidecars if (rank := _rank(sidecar, caller)) is not None]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _rank(sidecar: Sidecar, caller: Caller) -> int | None:
    if sidecar.key.namespace == caller.namespace:
        if sidecar.selector is None:
            return 1
        if all(caller.labels.get(name) == value for name, value in sidecar.selector):
            return 0
    return 2 if sidecar.key.namespace == ROOT_NAMESPACE and sidecar.selector is None else None


def _read(resource: Resource) -> Sidecar:
    spec = resource.spec
    selector = labels(mapping(spec.get("workloadSelector")).get("labels"))
    egress = tuple(_egress(entry) for entry in items(spec.get("egress")))
    policy = mapping(spec.get("outboundTrafficPolicy"))
    # A policy without a mode is there, and its first value is REGISTRY_ONLY.
    outbound = (text(policy.get("mode")) or REGISTRY_ONLY) if "outboundTrafficPolicy" in spec else ""
    chosen = tuple(sorted(selector.items())) if spec.get("workloadSelector") is not None else None
    # A listener without a port stands for all others, so it is looked at last.
    in_order = tuple(sorted(egress, key=lambda listener: listener.port == 0))
    return Sidecar(resource.key, chosen or None, in_order or (EVERYTHING,), outbound)


def _egress(entry: Spec) -> Egress:
    hosts = []
    for written in texts(entry.get("hosts")):
        place, slash, host = written.partition("/")
        if slash:
            hosts.append((place, host.lower()))
    return Egress(integer(mapping(entry.get("port")).get("number")), tuple(hosts))
