"""Envoy's bootstrap: where it finds its configuration, where one asks it, which statistics it keeps.

Stage: playground (pure).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gitmesh.playground.envoy.snapshot import Snapshot
from gitmesh.playground.envoy.sources import from_file, standing_alone
from gitmesh.playground.translate.listeners import Address
from gitmesh.playground.translate.naming import Envoy, typed

# The bounds of Istio's own histograms. Source: istio.io, Istio Standard Metrics.
_BUCKETS_MILLISECONDS = [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000]
# Of single clusters only what came back: copies of requests are counted nowhere else.
_KEPT_STATS = ("istio.", "cluster_manager.", "listener_manager.", "server.")
_CLUSTER_STATS = r"cluster\..+;\.upstream_rq_([0-9]{3}|time)"
# The whole name as one label: Envoy's own rule takes it up to the first dot. Source: Istio's bootstrap.
_CLUSTER_TAG = {"tag_name": "cluster_name", "regex": r"^cluster\.((.+?);\.)"}
_CONNECTIONS_MAX = 10_000


def bootstrap(
    admin: Address, clusters_file: str, listeners_file: str, *, dns: Sequence[Address] = ()
) -> Envoy:
    """Return the bootstrap of an Envoy that reads clusters and listeners from files.

    `dns`: the name servers to ask; none: those of the machine.
    """
    return {
        **_common(admin),
        **({"typed_dns_resolver_config": _resolver(dns)} if dns else {}),
        "dynamic_resources": {
            "cds_config": from_file(clusters_file),
            "lds_config": from_file(listeners_file),
        },
        "stats_flush_interval": "1s",
        "stats_config": _stats(),
    }


def static_bootstrap(snapshot: Snapshot) -> Envoy:
    """Return a bootstrap that holds a snapshot itself, for `envoy --mode validate`.

    Each route configuration gets a listener of its own; the listeners that name it have an empty one.
    """
    listeners = [_listener_of(config) for config in snapshot.routes.values()]
    listeners += [standing_alone(listener) for listener in snapshot.listeners.values()]
    return {
        **_common(Address("127.0.0.1", 0)),
        "static_resources": {
            "listeners": listeners,
            "clusters": [_untyped(cluster) for cluster in snapshot.clusters.values()],
            "secrets": [_untyped(secret) for secret in snapshot.secrets.values()],
        },
    }


def _common(admin: Address) -> Envoy:
    monitor = typed(
        "envoy.resource_monitors.global_downstream_max_connections",
        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=_CONNECTIONS_MAX,
    )
    # Listeners without a socket: where a CONNECT leads to.
    inside = typed(
        "envoy.bootstrap.internal_listener",
        "envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
    )
    return {
        "node": {"id": "playground", "cluster": "gitmesh"},
        "admin": {"address": _socket(admin)},
        "bootstrap_extensions": [inside],
        "overload_manager": {"resource_monitors": [monitor]},
    }


def _resolver(dns: Sequence[Address]) -> Envoy:
    return typed(
        "envoy.network.dns_resolver.cares",
        "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
        resolvers=[_socket(address) for address in dns],
        dns_resolver_options={"no_default_search_domain": True},
    )


def _socket(address: Address) -> Envoy:
    return {"socket_address": {"address": address.host, "port_value": address.port}}


def _stats() -> Envoy:
    patterns: list[dict[str, Any]] = [{"prefix": prefix} for prefix in _KEPT_STATS]
    patterns += [{"safe_regex": {"regex": _CLUSTER_STATS}}]
    patterns += [{"contains": ".rds."}, {"contains": "sds."}, {"suffix": ".downstream_rq_active"}]
    buckets = [
        {"match": {"prefix": prefix}, "buckets": _BUCKETS_MILLISECONDS} for prefix in ("istio.", "cluster.")
    ]
    return {
        "stats_tags": [_CLUSTER_TAG],
        "histogram_bucket_settings": buckets,
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
        "address": _socket(Address("127.0.0.1", 0)),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _untyped(message: Envoy) -> Envoy:
    return {name: value for name, value in message.items() if name != "@type"}
