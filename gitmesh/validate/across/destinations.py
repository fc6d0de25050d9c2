"""Destinations of a VirtualService: hosts, subsets and ports that must exist.

Stage: validate (pure). Source: istio/istio pkg/config/analysis/analyzers/virtualservice (IST0101, IST0112).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gitmesh.istio.hosts import CLUSTER_DOMAIN, fully_qualified
from gitmesh.istio.models.common import Destination
from gitmesh.istio.models.virtual_service import VirtualServiceSpec
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.kinds import DESTINATION_RULE
from gitmesh.validate.across.facts import EVERYONE, Scope
from gitmesh.validate.across.found import SERVICES, Found, Unchecked, softened
from gitmesh.validate.across.traffic_facts import scope_of
from gitmesh.validate.across.world import World
from gitmesh.validate.subject import Path, Subject
from gitmesh.validate.virtual_services import MESH, bound_to_mesh, destinations

_LISTED_MAX = 10
_LITERAL_PORT = 80  # where hosts are called that no service has


def check_destinations(subject: Subject, spec: VirtualServiceSpec, world: World) -> Iterator[Found]:
    """Yield destinations that are not there, or that leave open which port is meant."""
    scope = scope_of(spec.export_to, subject.namespace)
    if EVERYONE in scope:
        scope |= {subject.namespace}
    through_gateway = any(name != MESH for name in spec.gateways)
    called = tuple(_called(subject, spec, world))
    for path, destination in destinations(spec):
        host = fully_qualified(destination.host, subject.namespace)
        if destination.subset:
            yield from _subset(subject, path, host, destination.subset, world)
        heard = called if _for_every_port(spec, path) else ()
        yield from _Place(subject, path, destination, host, scope, through_gateway, heard).findings(world)


def _called(subject: Subject, spec: VirtualServiceSpec, world: World) -> Iterator[tuple[str, int]]:
    """Yield each host that is known, with each port at which the mesh calls it."""
    for name in spec.hosts if bound_to_mesh(spec) else ():
        host = fully_qualified(name, subject.namespace)
        service = world.service(host)
        if service is not None:
            numbers = {port.number for port in service.ports or ()}
        elif entries := world.entries(host):
            numbers = {port.number for entry in entries for port in entry.ports}
        else:
            is_literal = not host.startswith("*") and not host.endswith(f".svc.{CLUSTER_DOMAIN}")
            numbers = {_LITERAL_PORT} if is_literal else set()
        yield from ((host, number) for number in sorted(numbers))


def _for_every_port(spec: VirtualServiceSpec, path: Path) -> bool:
    """Say whether a destination is one of requests, and of those at whatever port."""
    _, protocol, index, *_ = path
    return protocol == "http" and not any(match.port for match in spec.http[int(index)].match)


def _subset(subject: Subject, path: Path, host: str, subset: str, world: World) -> Iterator[Found]:
    if world.has_subset(host, subset):
        return
    defined = world.some_subsets(host)
    message = f'subset "{subset[:80]}" of host {host[:120]} is not defined by any DestinationRule'
    if defined is None:
        hint = f"add a DestinationRule for {host[:120]} with this subset"
    elif defined:
        hint = f"add it, or route to one of: {', '.join(defined)}"
    else:
        hint = "add it: the DestinationRule for this host has no subsets"
    finding = subject.finding("GM201", message, (*path, "subset"), hint=hint)
    # Of a file on its own nobody can say whether the cluster has the rest of it.
    alone = defined is None and world.service(host) is None and not world.knows_services(host)
    unread = world.may_not_read(DESTINATION_RULE.group, DESTINATION_RULE.kind)
    yield softened(finding) if alone or unread else finding


@dataclass(frozen=True, slots=True)
class _Place:
    """One destination; `scope` holds the namespaces whose clients it is for."""

    subject: Subject
    path: Path
    destination: Destination
    host: str
    scope: Scope
    through_gateway: bool
    called: tuple[tuple[str, int], ...]  # hosts and ports whose requests may come here inside the mesh

    def findings(self, world: World) -> Iterator[Found]:
        """Yield what is wrong with the host and its ports."""
        service = world.service(self.host)
        entries = world.entries(self.host) if service is None else ()
        visible = [entry for entry in entries if self._sees(entry.scope)]
        if service is not None and not self._sees(scope_of(service.export_to, service.namespace)):
            yield self._hidden(f"the Service is exported to {', '.join(service.export_to)[:120]} only")
        elif service is not None and service.ports is None:
            yield Unchecked(SERVICES, "GM207")
        elif service is not None and service.ports and service.type != "ExternalName":
            yield from self._port(tuple(port.number for port in service.ports))
        elif service is not None:
            return
        elif visible:
            yield from self._port(tuple(sorted({port.number for e in visible for port in e.ports})))
        elif entries:
            yield self._hidden(f"{entries[0].key} does not export it to this namespace")
        elif world.knows_services(self.host):
            where = (*self.path, "host")
            yield unknown_host(self.subject, where, "GM202", self.destination.host, world)
        else:
            yield Unchecked(SERVICES, "GM202")

    def _sees(self, scope: Scope) -> bool:
        return EVERYONE in scope or not self.scope.isdisjoint(scope)

    def _hidden(self, why: str) -> Diagnostic:
        message = f"the host {self.destination.host[:120]} cannot be seen from here: {why}"
        return self.subject.finding("GM202", message, (*self.path, "host"), hint="export it here, too")

    def _port(self, ports: tuple[int, ...]) -> Iterator[Found]:
        """Source: IST0101 for host:port; IST0112: with several ports Istio asks for one.

        Without it istiod takes the port that the client used: behind a gateway that is the gateway's own.
        """
        host = self.destination.host[:120]
        wanted = self.destination.port.number if self.destination.port else None
        listed = ", ".join(str(port) for port in ports[:_LISTED_MAX])
        if wanted is not None and ports and wanted not in ports:
            message = f"the host {host} has no port {wanted}"
            where: Path = (*self.path, "port", "number")
            yield self.subject.finding("GM207", message, where, hint=f"its ports are: {listed}")
        elif wanted is None and len(ports) > 1:
            message = f"the host {host} has several ports, and none is chosen"
            hint = f"add port: {{number: ...}} with one of: {listed}"
            code = "GM208" if self.through_gateway else "GM240"
            yield self.subject.finding(code, message, (*self.path, "host"), hint=hint)
        elif wanted is None and len(ports) == 1:
            yield from self._kept_port(ports[0])

    def _kept_port(self, only: int) -> Iterator[Diagnostic]:
        """Source: istio/istio pilot, BuildSidecarOutboundVirtualHosts, servicesByName."""
        for host, port in self.called:
            if port != only and host != self.host:
                message = (
                    f"requests for {host[:120]} keep their port {port} inside the mesh, and "
                    f"{self.destination.host[:120]} has no port but {only}"
                )
                hint = f"add port: {{number: {only}}}"
                yield self.subject.finding("GM249", message, (*self.path, "host"), hint=hint)
                return


def unknown_host(subject: Subject, path: Path, code: str, host: str, world: World) -> Diagnostic:
    """Return the finding for a host that does not exist."""
    message = f"there is no Service or ServiceEntry for the host {host[:120]}"
    if host.count(".") == 1 and world.service(f"{host}.svc.{CLUSTER_DOMAIN}") is not None:
        return subject.finding(code, message, path, hint=f"write {host}.svc.{CLUSTER_DOMAIN}")
    near = world.near_host(fully_qualified(host, subject.namespace), subject.namespace)
    return subject.finding(code, message, path, hint=f"did you mean {near}?" if near else "")
