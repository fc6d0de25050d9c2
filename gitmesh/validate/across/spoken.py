"""Rules of a VirtualService for a protocol that no port of its hosts speaks.

Stage: validate (pure). Source: istio/istio pilot/pkg/networking/core/listener.go: a sidecar's listener
takes HTTP rules where the port is plain HTTP, and tls and tcp rules where it is not; and
pkg/config/kube/conversion.go for the protocols of Services.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gitmesh.istio.hosts import fully_qualified
from gitmesh.istio.models.virtual_service import HTTPMatch, L4Match, VirtualServiceSpec
from gitmesh.model.context import ContextPort
from gitmesh.validate.across.found import Found
from gitmesh.validate.across.world import World
from gitmesh.validate.ports import ON_TCP, PLAIN_HTTP
from gitmesh.validate.subject import Subject
from gitmesh.validate.virtual_services import MESH

_Ports = Mapping[int, frozenset[str]]  # number -> its protocols in capital letters; empty: not known


def check_spoken(subject: Subject, spec: VirtualServiceSpec, world: World) -> Iterator[Found]:
    """Yield rules that no connection of a sidecar meets. What gateways serve is another matter."""
    if not spec.hosts or any(name != MESH for name in spec.gateways):
        return
    ports = _ports_of(subject, spec.hosts, world)
    if not ports:
        return
    rules: list[tuple[str, int, Sequence[HTTPMatch | L4Match]]] = [
        ("http", index, rule.match) for index, rule in enumerate(spec.http)
    ]
    rules += [("tls", index, rule.match) for index, rule in enumerate(spec.tls)]
    rules += [("tcp", index, rule.match) for index, rule in enumerate(spec.tcp)]
    for field, index, matches in rules:
        asked = _asked(ports, matches)
        if asked and not any(_takes(field, ports[number]) for number in asked):
            shown = ", ".join(f"{number} {'/'.join(sorted(ports[number]))}" for number in asked[:5])
            message = f"no port of the hosts is for {field} rules: {shown}"
            hint = _HINTS[field]
            yield subject.finding("GM441", message, ("spec", field, index), hint=hint)


_HINTS = {
    "http": "use tls with sniHosts; or let clients speak HTTP, and a DestinationRule encrypt",
    "tls": "use http for plain HTTP",
    "tcp": "use http for plain HTTP",
}


def _ports_of(subject: Subject, hosts: Sequence[str], world: World) -> _Ports:
    """Return the ports of all hosts together; none where one of the hosts is not known."""
    together: dict[int, frozenset[str]] = {}
    for host in hosts:
        name = fully_qualified(host, subject.namespace)
        service = world.service(name)
        if service is not None:
            found = {port.number: _of_service(port) for port in service.ports or ()}
        else:
            found = {}
            for entry in world.entries(name):
                for port in entry.ports:
                    found[port.number] = found.get(port.number, frozenset()) | {port.protocol}
        if not found:
            return {}
        for number, protocols in found.items():
            unknown = not protocols <= _KNOWN or not together.get(number, _KNOWN)
            together[number] = frozenset() if unknown else together.get(number, frozenset()) | protocols
    return together


_KNOWN = frozenset((*PLAIN_HTTP, *ON_TCP))


def _of_service(port: ContextPort) -> frozenset[str]:
    if port.app_protocol:
        name = port.app_protocol.upper()
    else:
        upper = port.name.upper()
        name = "GRPC-WEB" if upper.startswith("GRPC-WEB") else upper.partition("-")[0]
    return frozenset((name,))


def _asked(ports: _Ports, matches: Sequence[HTTPMatch | L4Match]) -> list[int]:
    """Return the ports that a rule is for: all of them, unless each match names one."""
    if matches and all(match.port for match in matches):
        return sorted({match.port or 0 for match in matches if match.port in ports})
    return sorted(ports)


def _takes(field: str, protocols: frozenset[str]) -> bool:
    """Say whether a port takes rules of a field. Where a protocol is not known, proxies look at the bytes."""
    if not protocols:
        return True
    plain = any(protocol in PLAIN_HTTP for protocol in protocols)
    return plain if field == "http" else any(protocol not in PLAIN_HTTP for protocol in protocols)
