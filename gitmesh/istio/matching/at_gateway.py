"""Which route takes a request at a gateway: the rules of all VirtualServices that are bound there, merged.

Stage: plan (pure). Source: istio/istio pilot/pkg/networking/core, gateway.go (buildGatewayHTTPRouteConfig).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from gitmesh.istio.hosts import covers
from gitmesh.istio.matching.actions import action_of
from gitmesh.istio.matching.answer import Answer, Unheard
from gitmesh.istio.matching.conditions import Place, is_catch_all
from gitmesh.istio.matching.evaluate import evaluate, where_of
from gitmesh.istio.matching.gateways import Server, server_for_sni, servers_at, servers_of
from gitmesh.istio.matching.outcome import Action, NoRoute, Redirect
from gitmesh.istio.matching.request import DEFAULT_PORTS, Caller, Request
from gitmesh.istio.matching.scope import Sources, wildcards_for
from gitmesh.istio.matching.virtual_services import Candidate, VirtualService, is_present
from gitmesh.model.resource import Resource, ResourceKey

UNHEARD_MAX = 20


@dataclass(slots=True)
class _Domain:
    """One virtual host: what each server and VirtualService add to it, in order."""

    parts: list[tuple[Server, VirtualService]] = field(default_factory=list)
    redirects_to_https: bool = False


class GatewayRules:
    """Answers for gateways. `port_of(host, listener)` says which port a destination has that names none."""

    def __init__(
        self, gateways: Iterable[Resource], sources: Sources, port_of: Callable[[str, int], int]
    ) -> None:
        self._gateways = tuple(gateways)
        self._sources = sources
        self._port_of = port_of

    def answer(self, request: Request, caller: Caller) -> Answer:
        """Return what takes a request that reached this gateway's workload."""
        port = request.port or DEFAULT_PORTS.get(request.scheme, 80)
        servers, lost = servers_at(servers_of(self._gateways, caller), port, caller.ports)
        notes = tuple(
            f"server {server.index + 1} of Gateway {server.gateway} has no effect: an older server, as of "
            f"{servers[0].gateway}, has port {port} or this host there"
            for server in lost
        )
        if not servers:
            return _nothing(request, caller, port, f"no Gateway of this workload has a server at port {port}")
        if servers[0].kind == "https":
            chosen = server_for_sni(servers, request.host)
            servers = (chosen,) if chosen else ()
        elif servers[0].kind != "http":
            why = f"port {port} speaks {servers[0].kind.upper()}, so no request is looked at"
            return _nothing(request, caller, port, why)
        if not servers:
            why = f"no server at port {port} has a certificate for {request.host}"
            return _nothing(request, caller, port, why)
        return self._at(servers, request, caller, port, notes)

    def _at(
        self, servers: tuple[Server, ...], request: Request, caller: Caller, port: int, notes: tuple[str, ...]
    ) -> Answer:
        sources = self._covering(request.host, caller)
        domains = _domains(servers, request.host, sources)
        gateways = " and ".join(dict.fromkeys(server.gateway for server in servers))
        if not domains:
            why = f"nothing is bound to {gateways} for {request.host}"
            unheard = tuple(self._unheard(request.host, caller, servers))[:UNHEARD_MAX]
            return Answer(request, caller, "", port, Action(NoRoute(why)), unheard=unheard, notes=notes)
        name = max(domains, key=_precision)
        domain = domains[name]
        if domain.redirects_to_https and request.scheme == "http":
            location = f"https://{request.host}{request.target}"
            action = Action(Redirect(301, location))
            said = (*notes, "the server says httpsRedirect")
            return Answer(request, caller, name, port, action, notes=said)
        merged = _merged(domain, caller)
        found = evaluate((candidate for candidate, _ in merged), request)
        action = Action(NoRoute(f"no rule that is bound to {gateways} for {name} takes it"))
        if found.candidate is not None:
            listener = next(port for candidate, port in merged if candidate is found.candidate)
            action = action_of(found.candidate, request, port, lambda host: self._port_of(host, listener))
        return Answer(
            request=request,
            caller=caller,
            host=name,
            port=port,
            action=action,
            taken=where_of(found.candidate) if found.candidate else None,
            held=found.held,
            passed=found.passed,
            unheard=tuple(self._unheard(request.host, caller, servers))[:UNHEARD_MAX],
            notes=notes,
        )

    def _naming(self, host: str) -> Iterator[VirtualService]:
        seen = set()
        for pattern in (host, *wildcards_for(host)):
            for source in self._sources.get(pattern, ()):
                if source.key not in seen:
                    seen.add(source.key)
                    yield source

    def _covering(self, host: str, caller: Caller) -> list[VirtualService]:
        """Return the visible VirtualServices with this host, in the order of their say."""
        seen = (s for s in self._naming(host) if s.is_visible_in(caller.namespace))
        return sorted(seen, key=lambda source: source.rank(caller.namespace))

    def _unheard(self, host: str, caller: Caller, servers: tuple[Server, ...]) -> Iterator[Unheard]:
        bound = {server.gateway for server in servers}
        for source in self._naming(host):
            if not source.is_visible_in(caller.namespace):
                yield Unheard(source.key, f"it is not exported to namespace {caller.namespace}")
            elif not source.gateways & bound:
                yield Unheard(source.key, f"it is bound to {', '.join(sorted(source.gateways))} only")
            elif not any(
                True for s in servers if s.gateway in source.gateways for _ in s.common_hosts(source)
            ):
                yield Unheard(source.key, "no server of the Gateway has its host for its namespace")


def _domains(servers: Iterable[Server], host: str, sources: Iterable[VirtualService]) -> dict[str, _Domain]:
    """Return the virtual hosts that have this host, by their domain."""
    ordered = tuple(sources)
    domains: dict[str, _Domain] = {}
    first: dict[tuple[str, ResourceKey], Server] = {}
    for server in servers:
        if server.redirects_to_https:
            for _, pattern in server.hosts:
                if covers(pattern, host):
                    domains.setdefault(pattern, _Domain()).redirects_to_https = True
        for source in ordered:
            if server.gateway not in source.gateways:
                continue
            for common in dict.fromkeys(server.common_hosts(source)):
                # Of several servers of one Gateway, the first says which port the rules are read for.
                reading = first.setdefault((server.gateway, source.key), server)
                if covers(common, host):
                    domain = domains.setdefault(common, _Domain())
                    domain.redirects_to_https |= server.redirects_to_https
                    if (reading, source) not in domain.parts:
                        domain.parts.append((reading, source))
    return domains


def _merged(domain: _Domain, caller: Caller) -> list[tuple[Candidate, int]]:
    """Return all alternatives in order, with the port for which they are read.

    One that takes everything comes after all conditions.
    """
    every = [
        (candidate, server.port)
        for server, source in domain.parts
        for candidate in source.candidates(Place(server.gateway, server.port, caller))
    ]
    return sorted(every, key=lambda pair: is_present(pair[0]) and is_catch_all(pair[0].conditions))


def _precision(host: str) -> tuple[bool, int]:
    return (not host.startswith("*"), len(host))


def _nothing(request: Request, caller: Caller, port: int, why: str) -> Answer:
    return Answer(request, caller, "", port, Action(NoRoute(why, status=0)))
