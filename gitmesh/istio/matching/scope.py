"""What one caller sees: services and VirtualServices, after exportTo and its Sidecar.

Stage: plan (pure). Source: istio/istio pilot/pkg/model (sidecar.go, push_context.go) and
pilot/pkg/networking/core/route (separateVSHostsAndServices).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gitmesh.istio.matching.answer import Unheard
from gitmesh.istio.matching.conditions import MESH
from gitmesh.istio.matching.request import Caller
from gitmesh.istio.matching.services import Service, visible
from gitmesh.istio.matching.sidecars import EVERYTHING, Egress, Sidecar
from gitmesh.istio.matching.virtual_services import VirtualService

Sources = Mapping[str, Sequence[VirtualService]]  # by host as written, in any order


@dataclass(frozen=True, slots=True)
class Scope:
    """One caller at one port. `egress` is None where its Sidecar has no listener for the port."""

    caller: Caller
    sidecar: Sidecar | None
    egress: Egress | None

    @classmethod
    def of(cls, caller: Caller, sidecar: Sidecar | None, port: int) -> Scope:
        """Return what a caller with this Sidecar sees at a port."""
        return cls(caller, sidecar, sidecar.egress_for(port) if sidecar else EVERYTHING)

    def first_service(self, services: Iterable[Service]) -> Service | None:
        """Return the one of several services for a host that the caller gets."""
        seen = visible(services, self.caller.namespace)
        own = self.caller.namespace
        return next((found for found in seen if self.egress and self.egress.lets_in(found, own)), None)

    def why_unseen(self, services: Iterable[Service]) -> str:
        """Say why the caller gets none of these services; empty when there are none."""
        known = list(services)
        if not known:
            return ""
        host = known[0].host
        if not visible(known, self.caller.namespace):
            return f"{host} is not exported to namespace {self.caller.namespace}"
        return f"{self.sidecar.key if self.sidecar else 'the Sidecar'} does not let the caller reach {host}"

    def why_unheard(self, source: VirtualService) -> str:
        """Say why a VirtualService has no say for this caller; empty when it has."""
        if MESH not in source.gateways:
            return f"it is bound to {', '.join(sorted(source.gateways))} and not to the mesh"
        if not source.is_visible_in(self.caller.namespace):
            return f"it is not exported to namespace {self.caller.namespace}"
        if self.egress is None or not self.egress.lets_in_rules(source, self.caller.namespace):
            return f"{self.sidecar.key if self.sidecar else 'the Sidecar'} does not let it in"
        return ""

    def heard(self, sources: Iterable[VirtualService]) -> list[VirtualService]:
        """Return those that have a say, the one with the first say first."""
        namespace = self.caller.namespace
        return sorted(
            (s for s in sources if not self.why_unheard(s)), key=lambda source: source.rank(namespace)
        )

    def unheard(self, sources: Iterable[VirtualService]) -> Iterator[Unheard]:
        """Yield those that have none, with the reason."""
        for source in sources:
            if why := self.why_unheard(source):
                yield Unheard(source.key, why)


def ports_seen(
    services: Iterable[Service], caller: Caller, sidecar: Sidecar | None, *, http_only: bool = True
) -> list[int]:
    """Return the ports at which the caller sees the service that it gets of several for one host."""
    known = list(services)
    numbers = dict.fromkeys(
        port.number for service in known for port in service.ports if port.is_http or not http_only
    )
    return [n for n in numbers if (s := Scope.of(caller, sidecar, n).first_service(known)) and s.port(n)]


def wildcards_for(host: str) -> Iterator[str]:
    """Yield every pattern that covers a host, the most precise first."""
    plain = host.removeprefix("*")
    if host.startswith("*"):
        yield host
    for start in range(1, len(plain)):
        yield f"*{plain[start:]}"
    yield "*"


def speakers(host: str, sources: Sources, scope: Scope) -> tuple[list[VirtualService], list[VirtualService]]:
    """Return the VirtualServices that may speak for a service, in order, and those that are only in the way.

    Those for exactly this host are asked one after the other until one has a route for the caller. Only where
    nobody names the host, the first one with the most precise wildcard is asked, and no other.
    """
    exact = scope.heard(sources.get(host, ()))
    if exact and not host.startswith("*"):
        return exact, [
            s for pattern in wildcards_for(host) for s in sources.get(pattern, ()) if s not in exact
        ]
    later: list[VirtualService] = []
    found: list[VirtualService] = []
    for pattern in wildcards_for(host):
        for source in scope.heard(sources.get(pattern, ())):
            (later if found else found).append(source)
    return found, later
