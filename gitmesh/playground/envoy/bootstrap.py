"""Envoy's bootstrap: where it finds its configuration, where one asks it, which statistics it keeps.

Stage: playground (pure).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gitmesh.playground.translate.listeners import Address
from gitmesh.playground.translate.naming import Envoy

# The bounds of Istio's own histograms. Source: istio.io, Istio Standard Metrics.
_BUCKETS_MILLISECONDS = [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000]
# Not those of single clusters: many, and their names hold the host, so that no query can join them.
_KEPT_STATS = ("istio.", "cluster_manager.", "listener_manager.", "server.")
_CONNECTIONS_MAX = 10_000


def bootstrap(admin: Address, clusters_file: str, listeners_file: str) -> Envoy:
    """Return the bootstrap of an Envoy that reads clusters and listeners from files."""
    return {
        **_common(admin),
        "dynamic_resources": {
            "cds_config": _from_file(clusters_file),
            "lds_config": _from_file(listeners_file),
        },
        "stats_flush_interval": "1s",
        "stats_config": _stats(),
    }


def static_bootstrap(clusters: Iterable[Envoy], routes: Iterable[Envoy]) -> Envoy:
    """Return a bootstrap that holds clusters and routes themselves, for `envoy --mode validate`."""
    listeners = [_listener_of(config) for config in routes]
    plain = [_untyped(cluster) for cluster in clusters]
    return {
        **_common(Address("127.0.0.1", 0)),
        "static_resources": {"listeners": listeners, "clusters": plain},
    }


def _common(admin: Address) -> Envoy:
    monitor = "envoy.resource_monitors.global_downstream_max_connections"
    message = "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    limit = {"@type": f"type.googleapis.com/{message}", "max_active_downstream_connections": _CONNECTIONS_MAX}
    return {
        "node": {"id": "playground", "cluster": "gitmesh"},
        "admin": {"address": {"socket_address": {"address": admin.host, "port_value": admin.port}}},
        "overload_manager": {"resource_monitors": [{"name": monitor, "typed_config": limit}]},
    }


def _from_file(path: str) -> Envoy:
    return {"path_config_source": {"path": path}, "resource_api_version": "V3"}


def _stats() -> Envoy:
    patterns: list[dict[str, Any]] = [{"prefix": prefix} for prefix in _KEPT_STATS]
    patterns += [{"contains": ".rds."}, {"suffix": ".downstream_rq_active"}]
    buckets = {"match": {"prefix": "istio."}, "buckets": _BUCKETS_MILLISECONDS}
    return {
        "histogram_bucket_settings": [buckets],
        "stats_matcher": {"inclusion_list": {"patterns": patterns}},
    }


def _listener_of(route_config: Envoy) -> Envoy:
    name = route_config["name"]
    router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager"
        ".v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": _untyped(route_config),
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": router}}],
    }
    return {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _untyped(message: Envoy) -> Envoy:
    return {name: value for name, value in message.items() if name != "@type"}
