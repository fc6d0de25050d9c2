"""The servers of all Gateways that select one gateway Pod, merged by port as pilot merges them.

Stage: playground translation (pure). Source: istio/istio pilot/pkg/model, gateway.go, mergeGateways;
pkg/config/gateway. What does not go with a server that came before it is dropped, and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from gitmesh.model.kinds import GATEWAY
from gitmesh.model.resource import ResourceSet
from gitmesh.playground.translate.destinations import age
from gitmesh.playground.translate.downstream_tls import ENDING_MODES
from gitmesh.playground.translate.fields import Field, Reports, spec_of

_HTTP = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB"})
_TCP = frozenset({"TCP", "MONGO", "MYSQL", "REDIS"})
_TLS = frozenset({"HTTPS", "TLS"})


class Tls(Enum):
    """What a server does with TLS."""

    NONE = "plain"
    ENDED = "ended here"
    PASSED = "passed through"
    MESH = "the mesh's own"  # ISTIO_MUTUAL; the playground has no certificates for it, and sends plain text


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a Gateway.

    `hosts` are pairs: the namespace whose VirtualServices may speak for it (`*`: any), and the name.
    """

    spec: Field
    gateway: str  # namespace/name
    number: int  # as written, and as a VirtualService's `port` sees it
    is_http: bool
    tls: Tls
    hosts: tuple[tuple[str, str], ...]
    redirects_to_https: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts without namespaces, each once."""
        return tuple(dict.fromkeys(name for _, name in self.hosts))

    def names_for(self, namespace: str) -> tuple[str, ...]:
        """Return the hosts for which VirtualServices of a namespace may speak."""
        return tuple(name for place, name in self.hosts if place in ("*", namespace))

    def route_name(self, port: int) -> str:
        """Name the route configuration of an HTTP server. Source: istio/istio, gatewayRDSRouteName."""
        if self.tls is Tls.NONE:
            return f"http.{port}"
        namespace, _, name = self.gateway.partition("/")
        return f"https.{self.number}.{self.spec['port']['name'].text()}.{name}.{namespace}"


@dataclass(frozen=True, slots=True)
class Gateway:
    """One Gateway: whom it selects, and its servers."""

    spec: Field
    selector: Mapping[str, str]
    servers: tuple[Server, ...]

    @property
    def name(self) -> str:
        """`namespace/name`, as VirtualServices name it."""
        return f"{self.spec.key.namespace}/{self.spec.key.name}"


@dataclass(frozen=True, slots=True)
class BoundPort:
    """A port on which the gateway Pod listens, and the servers that share it."""

    number: int
    servers: tuple[Server, ...]

    @property
    def has_tls(self) -> bool:
        """Say whether connections are told apart by what TLS says."""
        return self.servers[0].tls is not Tls.NONE

    def route_names(self) -> dict[str, list[Server]]:
        """Return the HTTP servers by the route configuration that they share."""
        named: dict[str, list[Server]] = {}
        plain_name = ""  # without certificates there is no SNI: servers of the mesh's own TLS are one
        for server in self.servers:
            if server.is_http:
                name = server.route_name(self.number)
                if server.tls is Tls.MESH:
                    plain_name = name = plain_name or name
                named.setdefault(name, []).append(server)
        return named


def read_gateways(resources: ResourceSet, reports: Reports) -> tuple[Gateway, ...]:
    """Return every Gateway, oldest first: what came first keeps its port."""
    group_kind = (GATEWAY.group, GATEWAY.kind)
    chosen = sorted((r for k, r in resources.items() if (k.group, k.kind) == group_kind), key=age)
    return tuple(_read(spec_of(resource, reports)) for resource in chosen)


def _read(spec: Field) -> Gateway:
    selector = {name: value.text() for name, value in spec["selector"].entries()}
    return Gateway(spec, selector, tuple(_servers(spec)))


def _servers(spec: Field) -> Iterator[Server]:
    named: set[str] = set()
    for item in spec["servers"].items():
        name = item["name"].text()
        if name and name in named:
            item["name"].report("another server of this Gateway has the name, so this one is left out")
            continue
        named.add(name)
        server = _server(item)
        if server is not None:
            yield server


def _server(item: Field) -> Server | None:
    port, key = item["port"], item.key
    number, protocol = port["number"].integer(), port["protocol"].text().upper()
    tls = _tls(item, protocol)
    if not 0 < number < 65536:
        port["number"].report("is not a port number, so the server is left out")
        return None
    if tls is None:
        return None
    if item["bind"].present:
        item["bind"].report("is not translated: the server listens on the address of the gateway's Pod")
    if port["targetPort"].present:
        port["targetPort"].report("has no effect on a Gateway, as in Istio")
    is_http = protocol in _HTTP or (protocol == "HTTPS" and tls is not Tls.PASSED)
    redirects = item["tls"]["httpsRedirect"].boolean()
    return Server(item, f"{key.namespace}/{key.name}", number, is_http, tls, tuple(_hosts(item)), redirects)


def _tls(item: Field, protocol: str) -> Tls | None:
    """Say what a server does with TLS; None, with a report, for one that cannot be served."""
    if protocol in _HTTP:
        return Tls.NONE
    if protocol not in _TCP | _TLS:
        item["port"]["protocol"].report(
            f"no gateway serves {protocol or 'no protocol'}; the server is left out"
        )
        return None
    tls = item["tls"]
    if not tls.present:
        if protocol in _TLS:
            item.report(f"a server for {protocol} needs `tls`; it is left out")
        return None if protocol in _TLS else Tls.NONE
    mode = tls["mode"].text("PASSTHROUGH")
    if mode == "ISTIO_MUTUAL":
        tls["mode"].note("the playground sends plain text between its own proxies, and takes it here")
        return Tls.MESH
    if mode == "PASSTHROUGH":
        return Tls.PASSED
    if mode in ENDING_MODES:
        return Tls.ENDED
    tls["mode"].report(f"{mode} is not translated: the playground is one mesh; the server is left out")
    return None


def _hosts(item: Field) -> Iterator[tuple[str, str]]:
    for text in item["hosts"].texts():
        namespace, slash, name = text.rpartition("/")
        place = (item.key.namespace if namespace == "." else namespace) if slash else "*"
        if name:
            yield place, name.lower()


class _Port:
    """The servers that were admitted to one port so far."""

    def __init__(self) -> None:
        self.servers: list[Server] = []
        self.hosts: set[str] = set()

    def admit(self, server: Server) -> str:
        """Take a server in; return why not."""
        if server.spec["tls"].present:
            # Of TLS names are enough, as Envoy would refuse one twice; of HTTP the namespace counts too.
            plain = server.tls is Tls.NONE
            hosts = [f"{place}/{name}" for place, name in server.hosts] if plain else list(server.names)
            twice = [name for name in hosts if name in self.hosts]
            if twice:
                return f"an earlier server of this port has the host {twice[0].removeprefix('*/')} too"
            self.hosts.update(hosts)
        if self.servers:
            first = self.servers[0]
            here = f"servers of {first.gateway} have the port already"
            if (first.tls is Tls.NONE) != (server.tls is Tls.NONE):
                return f"{here}, and plain text does not go with TLS"
            if server.tls is Tls.NONE and not (first.is_http and server.is_http):
                return f"{here}, and only HTTP shares a port"
            if server.tls is Tls.MESH and not self._agrees(server):
                return f"{here}, and without certificates HTTP and TCP cannot be told apart"
        self.servers.append(server)
        return ""

    def _agrees(self, server: Server) -> bool:
        return all(s.is_http and server.is_http for s in self.servers if s.tls is Tls.MESH)


def merged(gateways: Iterable[Gateway], port_of: Callable[[int], int]) -> tuple[BoundPort, ...]:
    """Return the ports of one gateway Pod. `port_of` says where the Pod takes what is sent to a port."""
    ports: dict[int, _Port] = {}
    for gateway in gateways:
        for server in gateway.servers:
            number = port_of(server.number)
            problem = ports.setdefault(number, _Port()).admit(server)
            if problem:
                server.spec.report(f"has no effect on port {number}, as in Istio: {problem}")
    return tuple(BoundPort(number, tuple(port.servers)) for number, port in ports.items() if port.servers)
