"""TCP and TLS inside the mesh: `CONNECT host:port` leads to an internal listener for that port.

Stage: playground translation (pure). What pilot makes a listener on the service's address and port is here an
internal listener, which only the outbound listeners of its scope reach.
Source: envoyproxy.io, Internal Listeners, and HTTP upgrades (CONNECT).
"""

from __future__ import annotations

from gitmesh.playground.translate.l4_routes import tcp_chains, tls_chains
from gitmesh.playground.translate.naming import Envoy, typed
from gitmesh.playground.translate.passthrough import asked_address
from gitmesh.playground.translate.scopes import Scope
from gitmesh.playground.translate.services import Protocol, Service, ServicePort

_TLS_INSPECTOR = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"


def tunnel_name(scope: Scope, service: Service, port: ServicePort) -> str:
    """Return the name of an internal listener, and of the cluster that leads to it."""
    return f"tunnel|{scope.name}|{service.host}|{port.number}"


def web_tunnel_name(scope: Scope) -> str:
    """Return the name of the internal listener for HTTP inside of CONNECT."""
    return f"tunnel|{scope.name}"


def tunnel_listener(scope: Scope, service: Service, port: ServicePort) -> Envoy:
    """Return the internal listener for one port that is not HTTP."""
    sources = scope.view(port.number).virtual_services
    context = scope.context(port.number)
    make = tls_chains if port.protocol is Protocol.TLS else tcp_chains
    chains = make(service, sources, context)
    if service.resolution.is_as_asked:
        first = asked_address(service.host, port.number)
        chains = [{**chain, "filters": [*first, *chain["filters"]]} for chain in chains]
    listener = internal_listener(tunnel_name(scope, service, port), chains)
    if port.protocol is Protocol.TLS:
        listener["listener_filters"] = [typed("envoy.filters.listener.tls_inspector", _TLS_INSPECTOR)]
    return listener


def internal_listener(name: str, chains: list[Envoy]) -> Envoy:
    """Return a listener that only this Envoy itself can reach."""
    return {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": name,
        "internal_listener": {},
        "filter_chains": chains,
    }


def tunnel_cluster(listener: str) -> Envoy:
    """Return the cluster that leads to an internal listener."""
    address = {"envoy_internal_address": {"server_listener_name": listener}}
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": listener,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": listener,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def connect_route(cluster: str) -> Envoy:
    """Return the route of `CONNECT`: what comes after it goes to a cluster byte by byte."""
    upgrade = {"upgrade_type": "CONNECT", "connect_config": {}}
    return {
        "name": "connect",
        "match": {"connect_matcher": {}},
        "route": {"cluster": cluster, "timeout": "0s", "upgrade_configs": [upgrade]},
    }
