"""The listeners of a gateway Pod: one for each port, with a filter chain for each way to end a connection.

Stage: playground translation (pure). Source: istio/istio pilot/pkg/networking/core, gateway.go,
buildGatewayListeners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gitmesh.playground.translate.doors import Address
from gitmesh.playground.translate.downstream_tls import DownstreamTls
from gitmesh.playground.translate.gateway_routes import Bound, ContextOf, common_hosts
from gitmesh.playground.translate.gateway_servers import BoundPort, Server, Tls
from gitmesh.playground.translate.l4_routes import gateway_tcp_chains, gateway_tls_chains
from gitmesh.playground.translate.listeners import connection_manager, manager_filter, source_header
from gitmesh.playground.translate.naming import Envoy, typed
from gitmesh.playground.translate.routes import VirtualService
from gitmesh.playground.translate.telemetry import request_counter

_TLS_INSPECTOR = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"

TlsOf = Callable[[Server], DownstreamTls | None]  # None: a certificate is missing


@dataclass(slots=True)
class Chains:
    """The filter chains of one port, and the secrets that they name."""

    chains: list[Envoy] = field(default_factory=list)
    secrets: dict[str, Envoy] = field(default_factory=dict, repr=False)
    inspects_tls: bool = False


def port_chains(
    port: BoundPort, bound: Bound, context_of: ContextOf, tls_of: TlsOf, workload: str, prefix: str = ""
) -> Chains:
    """Return the filter chains of one port. `prefix` stands before the names of route configurations."""
    found = Chains(inspects_tls=port.has_tls)
    taken: set[str] = set()
    names = {id(server): name for name, group in port.route_names().items() for server in group}
    answered: set[str] = set()
    for server in port.servers:
        if server.is_http and server.tls is not Tls.ENDED and names[id(server)] in answered:
            continue  # they share one chain and its routes
        answered.add(names.get(id(server), ""))
        sources = [s for s in bound.get(server.gateway, ()) if common_hosts(server, s)]
        if server.is_http:
            manager = gateway_manager(prefix + names[id(server)], workload)
            chains = [{"name": names[id(server)], "filters": [manager_filter(manager)]}]
        else:
            chains = _connections(server, sources, context_of)
        for chain in _with_tls(server, chains, tls_of, found):
            if _is_first(chain, taken):
                found.chains.append(chain)
    return found


def gateway_manager(routes: str, workload: str) -> Envoy:
    """Return the connection manager of a gateway: it is the first proxy that a client meets."""
    manager = connection_manager("gateway", routes)
    manager["early_header_mutation_extensions"] = [source_header(workload)]
    manager |= {"use_remote_address": True, "access_log": [request_counter()]}
    # Who the client is, as its certificate says, goes on in x-forwarded-client-cert.
    details = {"subject": True, "cert": True, "uri": True, "dns": True}
    return {
        **manager,
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": details,
    }


def _connections(server: Server, sources: list[VirtualService], context_of: ContextOf) -> list[Envoy]:
    if server.tls is Tls.PASSED:
        return gateway_tls_chains(sources, context_of(server))
    return gateway_tcp_chains(sources, context_of(server))


def _with_tls(server: Server, chains: list[Envoy], tls_of: TlsOf, found: Chains) -> Iterator[Envoy]:
    if server.tls is Tls.MESH:
        yield from ({**chain, "filter_chain_match": {"transport_protocol": "raw_buffer"}} for chain in chains)
    elif server.tls is Tls.ENDED:
        tls, names = tls_of(server), _server_names(server)
        for chain in chains if tls is not None and names is not None else ():
            assert tls is not None
            found.secrets.update(tls.secrets)
            match = {"filter_chain_match": {"server_names": names}} if names else {}
            yield {**chain, **match, "transport_socket": tls.socket}
    else:
        yield from chains


def _server_names(server: Server) -> list[str] | None:
    """Return the names in SNI that lead to a server. Empty: every name; None: no name that Envoy knows."""
    names = []
    if "*" in server.names:
        return []
    for name in server.names:
        if "*" in name and not name.startswith("*."):
            server.spec["hosts"].report(
                f"{name} is not translated: Envoy knows wildcards such as *.example.com"
            )
        else:
            names.append(name)
    return names or None


def _is_first(chain: Envoy, taken: set[str]) -> bool:
    """Leave out the names that another chain has, as Envoy would refuse both; say whether any is left."""
    match = chain.get("filter_chain_match", {})
    names = ["plain text"] if "transport_protocol" in match else match.get("server_names", ["*"])
    fresh = [name for name in names if name not in taken]
    taken.update(fresh)
    if "server_names" in match:
        chain["filter_chain_match"] = {**match, "server_names": fresh}
    return bool(fresh)


def chains_listener(name: str, address: Address, chains: Chains) -> Envoy:
    """Return a listener for the filter chains of one port."""
    listener: Envoy = {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": name,
        "address": {"socket_address": {"address": address.host, "port_value": address.port}},
        "filter_chains": chains.chains,
        "enable_reuse_port": False,
    }
    if chains.inspects_tls:
        listener["listener_filters"] = [typed("envoy.filters.listener.tls_inspector", _TLS_INSPECTOR)]
    return listener
