"""Sidecar objects: which hosts a workload's proxy knows, and what it does with all others.

Stage: playground translation (pure). Source: istio.io, Sidecar; istio/istio pilot/pkg/model, sidecar.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gitmesh.istio.hosts import covers
from gitmesh.model.kinds import SIDECAR
from gitmesh.model.resource import ResourceSet
from gitmesh.playground.translate.destinations import ROOT_NAMESPACE, age
from gitmesh.playground.translate.fields import Field, Reports, spec_of
from gitmesh.playground.translate.proxies import Proxy
from gitmesh.playground.translate.services import Protocol, Service, includes, protocol_named


@dataclass(frozen=True, slots=True)
class Egress:
    """One egress listener: hosts by namespace. Port 0: for every port that no other listener has.

    `protocol`, where it is given, comes before what the services say of this port.
    """

    port: int
    hosts: tuple[tuple[str, str], ...]
    protocol: Protocol | None = None

    def imports(self, owner: str, host: str, namespace: str) -> bool:
        """Say whether a host that lives in the namespace `owner` is known to a workload in `namespace`."""
        found = False
        for place, pattern in self.hosts:
            if place.startswith("~"):
                if place[1:] == owner and covers(pattern, host):
                    return False
            elif place in ("*", owner) or (place == "." and owner == namespace):
                found = found or covers(pattern, host)
        return found

    def imports_rules(self, owner: str, hosts: Iterable[str], namespace: str) -> bool:
        """Say whether a VirtualService of the namespace `owner` is known to a workload in `namespace`.

        One of its hosts is enough, and a pattern of one is enough for a host of the other.
        Source: istio/istio pilot/pkg/model, sidecar.go (VSMatches).
        """
        patterns = [
            pattern
            for place, pattern in self.hosts
            if place in ("*", owner) or (place == "." and owner == namespace)
        ]
        return any(
            self.imports(owner, host, namespace) or any(covers(host, pattern) for pattern in patterns)
            for host in hosts
        )

    def shown(self, service: Service) -> Service:
        """Return a service as this listener shows it."""
        port = service.port(self.port)
        if port is None or self.protocol is None or self.protocol is port.protocol:
            return service
        changed = replace(port, protocol=self.protocol)
        return replace(service, ports=tuple(changed if p is port else p for p in service.ports))


@dataclass(frozen=True, slots=True)
class Sidecar:
    """One Sidecar object. No labels: for every workload of its namespace."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    egress: tuple[Egress, ...]
    outbound_policy: str
    egress_proxy: Field | None


def read_sidecars(resources: ResourceSet, reports: Reports) -> tuple[Sidecar, ...]:
    """Return every Sidecar, the oldest first."""
    group_kind = (SIDECAR.group, SIDECAR.kind)
    found = sorted((r for k, r in resources.items() if (k.group, k.kind) == group_kind), key=age)
    return tuple(_read(spec_of(resource, reports)) for resource in found)


def sidecar_for(proxy: Proxy, sidecars: Sequence[Sidecar]) -> Sidecar | None:
    """Return the Sidecar of a workload: one that selects it, its namespace's, or the root namespace's."""
    own = [sidecar for sidecar in sidecars if sidecar.namespace == proxy.namespace]
    root = [sidecar for sidecar in sidecars if sidecar.namespace == ROOT_NAMESPACE]
    selecting = [s for s in own if s.labels and includes(proxy.labels, s.labels)]
    general = [s for s in (*own, *root) if not s.labels]
    return next(iter((*selecting, *general)), None)


def _read(spec: Field) -> Sidecar:
    selector = spec["workloadSelector"]["labels"]
    policy = spec["outboundTrafficPolicy"]
    egress_proxy = policy["egressProxy"]
    return Sidecar(
        spec.key.name,
        spec.key.namespace,
        {name: value.text() for name, value in selector.entries()},
        tuple(_egress(item) for item in spec["egress"].items()) or (Egress(0, (("*", "*"),)),),
        # An empty policy is the API's zero value. Source: istio.io, Sidecar, OutboundTrafficPolicy.
        policy["mode"].text("REGISTRY_ONLY") if policy.present else "",
        egress_proxy if egress_proxy.present else None,
    )


def _egress(item: Field) -> Egress:
    hosts = []
    for field in item["hosts"].items():
        place, slash, host = field.text().partition("/")
        if not slash:
            field.report("should be namespace/host, for example ./* or */reviews.default.svc.cluster.local")
        elif place != "~":  # `~/*`: nothing at all
            hosts.append((place, host.lower()))
    port = item["port"]
    protocol = protocol_named(port["protocol"].text())
    if port.present and protocol is None:
        port["protocol"].report("is not a protocol that is known, so that of each service counts")
    return Egress(port["number"].integer(), tuple(hosts), protocol)
