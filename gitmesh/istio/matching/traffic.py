"""Which route takes a request: the whole traffic configuration, indexed by host.

Stage: plan (pure). Building the index reads every object once; an answer looks only at those for the host.
Source: istio.io, Traffic Management; istio/istio pilot/pkg/networking/core (httproute.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import is_

from gitmesh.istio.hosts import covers
from gitmesh.istio.matching.actions import action_of
from gitmesh.istio.matching.answer import Answer, Passed, Unheard
from gitmesh.istio.matching.at_gateway import GatewayRules
from gitmesh.istio.matching.conditions import MESH, Place
from gitmesh.istio.matching.evaluate import any_present, evaluate, where_of
from gitmesh.istio.matching.outcome import Action, Forward, NoRoute, Outside, Share
from gitmesh.istio.matching.reading import texts
from gitmesh.istio.matching.request import Caller, Request
from gitmesh.istio.matching.scope import Scope, ports_seen, speakers, wildcards_for
from gitmesh.istio.matching.services import Service, read_services
from gitmesh.istio.matching.sidecars import ALLOW_ANY, Sidecar, read_sidecars, sidecar_of
from gitmesh.istio.matching.virtual_services import VirtualService
from gitmesh.istio.routes import Destination
from gitmesh.model.kinds import GATEWAY, SERVICE, SERVICE_ENTRY, SIDECAR, VIRTUAL_SERVICE, Kind
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet

LITERAL_PORT = 80  # where hosts are served that no service has
UNHEARD_MAX = 20
SIDECARS_KEPT = 1000
CLIENT = Caller()  # in namespace `default`, without labels


@dataclass(frozen=True, slots=True)
class LiteralHost:
    """A host that no service has, only VirtualServices: their own text, perhaps with a wildcard."""

    host: str


class Traffic:
    """Answers which route takes a request.

    `resources` holds the Istio objects and the Kubernetes Services; `services` may add some of which only
    the host is known. `outbound` says what the mesh does with hosts that it does not know. Of `previous`
    is taken over what was read of objects that are still the same.
    """

    def __init__(
        self,
        resources: ResourceSet,
        *,
        services: Iterable[Service] = (),
        outbound: str = ALLOW_ANY,
        previous: Traffic | None = None,
    ) -> None:
        added = tuple(services)
        self._registered: tuple[Resource | Service, ...] = (
            *_of_kind(resources, SERVICE),
            *_of_kind(resources, SERVICE_ENTRY),
            *added,
        )
        self._services: dict[str, list[Service]]
        self._names: dict[str, list[Service]] = {}
        if previous is not None and _same(self._registered, previous._registered):
            self._services, self._names = previous._services, previous._names
        else:
            self._register(added)
        self._outbound = outbound
        self._read: _Read = _virtual_services(resources, previous._read if previous else {})
        self._sources: dict[str, list[VirtualService]] = {}
        for _, source in self._read.values():
            for host in source.hosts:
                self._sources.setdefault(host, []).append(source)
        self._sidecars = read_sidecars(_of_kind(resources, SIDECAR))
        self._sidecar_of: dict[tuple[str, frozenset[tuple[str, str]]], Sidecar | None] = {}
        self._at_gateway = GatewayRules(_of_kind(resources, GATEWAY), self._sources, self.port_of)

    def answer(self, request: Request, caller: Caller = CLIENT) -> Answer:
        """Return what takes a request, and why."""
        if caller.is_gateway:
            return self._at_gateway.answer(request, caller)
        sidecar = self._sidecar(caller)
        port = request.port or self._port_meant(request.host, caller, sidecar)
        scope = Scope.of(caller, sidecar, port)
        service = scope.first_service(self._called(request.host, caller))
        if service is not None and service.port(port) is not None:
            return self._at_service(request, scope, port, service)
        match self._by_wildcard(request.host, scope, port):
            case Service() as found:
                return self._at_service(request, scope, port, found)
            case LiteralHost(host):
                sources = scope.heard(self._sources.get(host, ()))
                return self._by_rules(request, scope, port, host, sources, [])
            case None:
                return self._outside(request, scope, port)

    def port_of(self, host: str, listener: int) -> int:
        """Return the port that a destination without one has at a gateway: the only one of the service, else
        the listener's.
        """
        services = self._services.get(host, ())
        ports = services[0].ports if services else ()
        return ports[0].number if len(ports) == 1 else listener

    def _register(self, services: Iterable[Service]) -> None:
        self._services = read_services(r for r in self._registered if isinstance(r, Resource))
        for service in services:
            self._services.setdefault(service.host, []).append(service)
        for found in self._services.values():
            for service in found:
                self._name(service)

    def _name(self, service: Service) -> None:
        for name in service.names_in(service.namespace):
            if name != service.host:
                self._names.setdefault(name.lower(), []).append(service)
            if service.is_headless and service.name:
                self._names.setdefault(f"*.{name}".lower(), []).append(service)

    def _called(self, host: str, caller: Caller) -> list[Service]:
        """Return the services that a client means by a host: a whole name, else a short one or an address."""
        return self._services.get(host) or [
            service
            for service in self._names.get(host, ())
            if host != service.name or service.namespace == caller.namespace
        ]

    def _port_meant(self, host: str, caller: Caller, sidecar: Sidecar | None) -> int:
        """Return the port that a host without one means: 80, else the first of HTTP that the caller sees."""
        numbers = ports_seen(self._called(host, caller), caller, sidecar)
        return LITERAL_PORT if LITERAL_PORT in numbers or not numbers else numbers[0]

    def _sidecar(self, caller: Caller) -> Sidecar | None:
        key = (caller.namespace, frozenset(caller.labels.items()))
        if key not in self._sidecar_of:
            if len(self._sidecar_of) >= SIDECARS_KEPT:
                self._sidecar_of.clear()
            self._sidecar_of[key] = sidecar_of(self._sidecars, caller)
        return self._sidecar_of[key]

    def _by_wildcard(self, host: str, scope: Scope, port: int) -> Service | LiteralHost | None:
        """Return what serves a host that no service has by name, the most precise first."""
        literal = port == LITERAL_PORT
        is_known = any(ports_seen(self._services.get(host, ()), scope.caller, scope.sidecar))
        if literal and not is_known and self._any_rules(self._sources.get(host, ()), scope, port):
            return LiteralHost(host)
        for pattern in wildcards_for(host):
            services = [*self._services.get(pattern, ()), *self._headless(pattern, scope.caller)]
            service = scope.first_service(services)
            if service is not None and service.port(port) is not None:
                return service
            sources = self._sources.get(pattern, ()) if literal else ()
            is_free = sources and not self._covers_a_service(pattern, scope)
            if is_free and self._any_rules(sources, scope, port):
                return LiteralHost(pattern)
        return None

    def _headless(self, pattern: str, caller: Caller) -> list[Service]:
        services = self._names.get(pattern, ()) if pattern.startswith("*.") else ()
        return [s for s in services if pattern[2:] != s.name or s.namespace == caller.namespace]

    def _covers_a_service(self, pattern: str, scope: Scope) -> bool:
        return any(
            covers(pattern, host) and (found := scope.first_service(services)) and found.port(LITERAL_PORT)
            for host, services in self._services.items()
        )

    def _any_rules(self, sources: Iterable[VirtualService], scope: Scope, port: int) -> bool:
        place = Place(MESH, port, scope.caller)
        return any(any_present(source.candidates(place)) for source in scope.heard(sources))

    def _at_service(self, request: Request, scope: Scope, port: int, service: Service) -> Answer:
        entry = service.port(port)
        assert entry is not None
        if not entry.is_http:
            why = f"port {port} of {service.host} speaks {entry.protocol}, so no request is looked at"
            return Answer(request, scope.caller, service.host, port, Action(NoRoute(why, status=0)))
        first, later = speakers(service.host, self._sources, scope)
        return self._by_rules(request, scope, port, service.host, first, later)

    def _by_rules(
        self,
        request: Request,
        scope: Scope,
        port: int,
        host: str,
        sources: list[VirtualService],
        later: list[VirtualService],
    ) -> Answer:
        """Ask the VirtualServices in order: the first that has any route for this caller has the say."""
        unheard = list(scope.unheard(self._sources.get(host, ())))
        place = Place(MESH, port, scope.caller)
        for index, source in enumerate(sources):
            candidates = source.candidates(place)
            if not any_present(candidates):
                passed = evaluate(candidates, request).passed
                why = f"none of its rules is for this caller and port{_first_reason(passed)}"
                unheard.append(Unheard(source.key, why))
                continue
            for other in [*sources[index + 1 :], *later]:
                unheard.append(Unheard(other.key, _why_later(other, source, host)))
            found = evaluate(candidates, request)
            action = Action(NoRoute(f"no rule of {source.key} takes it"))
            if found.candidate is not None:
                # Inside the mesh a destination without a port has the caller's, whatever its service has.
                action = action_of(found.candidate, request, port, lambda _: port)
            return Answer(
                request=request,
                caller=scope.caller,
                host=host,
                port=port,
                action=action,
                taken=where_of(found.candidate) if found.candidate else None,
                held=found.held,
                passed=found.passed,
                unheard=tuple(unheard[:UNHEARD_MAX]),
            )
        share = Share(Destination(host, "", port), 1, 100.0)
        action = Action(Forward((share,)))
        return Answer(request, scope.caller, host, port, action, unheard=tuple(unheard[:UNHEARD_MAX]))

    def _outside(self, request: Request, scope: Scope, port: int) -> Answer:
        policy = (scope.sidecar.outbound if scope.sidecar else "") or self._outbound
        called = self._called(request.host, scope.caller)
        notes = [why] if (why := scope.why_unseen(called)) and scope.first_service(called) is None else []
        if called and called[0].port(port) is None:
            known = ", ".join(str(entry.number) for entry in called[0].ports)
            notes.append(f"{called[0].host} has no port {port}; it has {known or 'none'}")
        unheard = tuple(scope.unheard(self._sources.get(request.host, ())))
        action = Action(Outside(blocked=policy != ALLOW_ANY))
        return Answer(
            request, scope.caller, "", port, action, unheard=unheard[:UNHEARD_MAX], notes=tuple(notes)
        )


def _why_later(other: VirtualService, chosen: VirtualService, host: str) -> str:
    if host in chosen.hosts and host not in other.hosts:
        return f"{chosen.key} names the host itself, not by a wildcard"
    if host in other.hosts and host in chosen.hosts:
        return f"{chosen.key} has this host too and comes first (the older one, then by name)"
    return f"{chosen.key} comes first"


def _first_reason(passed: Iterable[Passed]) -> str:
    return next((f" ({entry.reasons[0]})" for entry in passed if entry.reasons), "")


def _of_kind(resources: ResourceSet, kind: Kind) -> list[Resource]:
    return [r for key, r in resources.items() if (key.group, key.kind) == (kind.group, kind.kind)]


_Read = dict[ResourceKey, tuple[Resource, VirtualService]]


def _virtual_services(resources: ResourceSet, known: _Read) -> _Read:
    """Read those with hosts. Of `known` is taken over what rests on the same object and delegates."""
    every = _of_kind(resources, VIRTUAL_SERVICE)
    delegates: Mapping[ResourceKey, Resource] = {
        resource.key: resource for resource in every if not texts(resource.spec.get("hosts"))
    }
    found: _Read = {}
    for resource in every:
        if resource.key in delegates:
            continue
        old = known.get(resource.key)
        if old is None or old[0] is not resource or not old[1].rests_on(delegates):
            old = resource, VirtualService(resource, delegates)
        found[resource.key] = old
    return found


def _same(first: Sequence[object], second: Sequence[object]) -> bool:
    return len(first) == len(second) and all(map(is_, first, second))
