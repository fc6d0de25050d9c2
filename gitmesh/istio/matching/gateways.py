"""Gateways: what the servers of all Gateways that a workload serves come to, at one port.

Stage: plan (pure). Source: istio/istio pilot/pkg/model/gateway.go and pilot/pkg/networking/core/gateway.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gitmesh.istio.hosts import covers
from gitmesh.istio.matching.reading import Spec, integer, items, labels, mapping, text, texts
from gitmesh.istio.matching.request import Caller
from gitmesh.istio.matching.virtual_services import VirtualService, age
from gitmesh.model.resource import Resource, ResourceKey

_HTTP = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB"})
_PASSTHROUGH = frozenset({"PASSTHROUGH", "AUTO_PASSTHROUGH"})


@dataclass(frozen=True, slots=True)
class Server:
    """One server of one Gateway. `hosts`: (namespace of the VirtualServices or *, host pattern)."""

    key: ResourceKey
    index: int
    port: int
    kind: str  # http, https, or another protocol that knows no requests
    hosts: tuple[tuple[str, str], ...]
    redirects_to_https: bool = False
    has_tls_settings: bool = False

    @property
    def gateway(self) -> str:
        """The Gateway as VirtualServices name it."""
        return f"{self.key.namespace}/{self.key.name}"

    def common_hosts(self, source: VirtualService) -> Iterator[str]:
        """Yield the hosts that a VirtualService and this server have in common."""
        for place, pattern in self.hosts:
            if place not in ("*", source.key.namespace):
                continue
            for host in source.hosts:
                if covers(pattern, host):
                    yield host
                elif covers(host, pattern):
                    yield pattern


def servers_of(gateways: Iterable[Resource], caller: Caller) -> tuple[Server, ...]:
    """Return every server of the Gateways that select this workload, the oldest first."""
    found: list[Server] = []
    for resource in sorted(gateways, key=age):
        selector = labels(resource.spec.get("selector"))
        if all(caller.labels.get(name) == value for name, value in selector.items()):
            entries = enumerate(items(resource.spec.get("servers")))
            found += [_read(resource.key, index, entry) for index, entry in entries]
    return tuple(found)


def servers_at(
    servers: Iterable[Server], port: int, ports: Mapping[int, int]
) -> tuple[tuple[Server, ...], tuple[Server, ...]]:
    """Return the servers that share a port, and those that lose it to an older one.

    That is one of another kind, or, where both have TLS settings (a redirect to https is one), one that has
    the same host. `ports` leads from the ports of Gateways to those of the Pods, which are what is shared.
    """
    bound = ports.get(port, port)
    at_port = [server for server in servers if ports.get(server.port, server.port) == bound]
    if port not in [server.port for server in at_port]:
        return (), ()
    shared: list[Server] = []
    known: set[object] = set()
    for server in at_port:
        hosts = set(server.hosts if server.kind == "http" else (host for _, host in server.hosts))
        if server.has_tls_settings and hosts & known:
            continue
        if server.has_tls_settings:
            known |= hosts
        if server.kind == at_port[0].kind:
            shared.append(server)
    return tuple(shared), tuple(server for server in at_port if server not in shared)


def server_for_sni(servers: Iterable[Server], name: str) -> Server | None:
    """Return the TLS server whose hosts have this name: the whole name, else the longest wildcard."""
    found = [
        (not host.startswith("*"), len(host), -place, server)
        for place, server in enumerate(servers)
        for _, host in server.hosts
        if covers(host, name)
    ]
    return max(found, key=lambda entry: entry[:3])[3] if found else None


def _read(key: ResourceKey, index: int, server: Spec) -> Server:
    port, tls = mapping(server.get("port")), mapping(server.get("tls"))
    hosts = []
    for written in texts(server.get("hosts")):
        place, slash, host = written.rpartition("/")
        hosts.append(((key.namespace if place == "." else place) if slash else "*", host.lower()))
    kind = _kind(text(port.get("protocol")).upper(), text(tls.get("mode")))
    redirects = tls.get("httpsRedirect") is True
    has_settings = server.get("tls") is not None
    return Server(key, index, integer(port.get("number")), kind, tuple(hosts), redirects, has_settings)


def _kind(protocol: str, mode: str) -> str:
    if protocol in _HTTP:
        return "http"
    if protocol == "HTTPS" and mode not in _PASSTHROUGH:
        return "https"
    return protocol.lower() or "tcp"
