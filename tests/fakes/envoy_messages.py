"""Small Envoy messages for tests of the data plane, which must hold whatever translation makes."""

from __future__ import annotations

import socket
from typing import Any

from fakes.certificates import Pair

from gitmesh.playground.envoy.snapshot import Snapshot

_TYPES = "type.googleapis.com/envoy"
_FILTERS = f"{_TYPES}.extensions.filters"


def free_port(host: str = "127.0.0.1") -> int:
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


def snapshot(*messages: dict[str, Any]) -> Snapshot:
    """Sort messages by their type."""
    kinds: dict[str, dict[str, Any]] = {
        "Cluster": {},
        "RouteConfiguration": {},
        "Listener": {},
        "Secret": {},
    }
    for message in messages:
        kinds[message["@type"].rpartition(".")[2]][message["name"]] = message
    return Snapshot(*kinds.values())


def cluster(name: str, address: str, port: int, **fields: Any) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": at(address, port)}}
    return {
        "@type": f"{_TYPES}.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        **fields,
    }


def at(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}


def routes(name: str, **clusters: str) -> dict[str, Any]:
    """Return a route configuration: host -> cluster."""
    hosts = [
        {
            "name": host,
            "domains": [host],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": to, "timeout": "0s"}}],
        }
        for host, to in clusters.items()
    ]
    return {
        "@type": f"{_TYPES}.config.route.v3.RouteConfiguration",
        "name": name,
        "virtual_hosts": hosts,
        "validate_clusters": False,
    }


def listener(name: str, port: int, to: str, **manager: Any) -> dict[str, Any]:
    """Return an HTTP listener that asks the route configuration `to`."""
    typed = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "rds": {"route_config_name": to},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"},
            }
        ],
        **manager,
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": typed}]}
    return {
        "@type": f"{_TYPES}.config.listener.v3.Listener",
        "name": name,
        "address": at("127.0.0.1", port),
        "filter_chains": [chain],
        "enable_reuse_port": False,
    }


def inside_tls(listener: dict[str, Any], secret: str) -> dict[str, Any]:
    context = {
        "@type": f"{_TYPES}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": secret}]},
    }
    [chain] = listener["filter_chains"]
    socket = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return {**listener, "filter_chains": [{**chain, "transport_socket": socket}]}


def secret(name: str, pair: Pair) -> dict[str, Any]:
    return {
        "@type": f"{_TYPES}.extensions.transport_sockets.tls.v3.Secret",
        "name": name,
        "tls_certificate": {
            "certificate_chain": {"inline_string": pair.certificate},
            "private_key": {"inline_string": pair.key},
        },
    }


def tcp_inside(name: str, to: str) -> dict[str, Any]:
    """Return a listener without a socket, which hands every connection to a cluster."""
    typed = {"@type": f"{_FILTERS}.network.tcp_proxy.v3.TcpProxy", "stat_prefix": name, "cluster": to}
    return {
        "@type": f"{_TYPES}.config.listener.v3.Listener",
        "name": name,
        "internal_listener": {},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": typed}]}],
    }


def leading_to(name: str, listener: str) -> dict[str, Any]:
    """Return a cluster whose connections go to a listener without a socket."""
    address = {"envoy_internal_address": {"server_listener_name": listener}}
    endpoint = {"endpoint": {"address": address}}
    return {
        "@type": f"{_TYPES}.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "transport_socket": {
            "name": "envoy.transport_sockets.internal_upstream",
            "typed_config": {
                "@type": f"{_TYPES}.extensions.transport_sockets.internal_upstream.v3"
                ".InternalUpstreamTransport",
                "transport_socket": {
                    "name": "envoy.transport_sockets.raw_buffer",
                    "typed_config": {
                        "@type": f"{_TYPES}.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
                    },
                },
            },
        },
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
