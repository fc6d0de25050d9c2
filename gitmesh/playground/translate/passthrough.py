"""What happens to a request for a host that the mesh does not know: it goes there, or it is refused.

Stage: playground translation (pure). Source: istio/istio pilot/pkg/networking/core, httproute.go
(buildCatchAllVirtualHost). Istio sends it to the address that the client had connected to; a forward proxy
has no such address, so Envoy looks the host up.
"""

from __future__ import annotations

from gitmesh.playground.translate.naming import Envoy, typed

PASSTHROUGH = "PassthroughCluster"
NO_SUCH_HOST_STATUS = 502  # what a mesh with outboundTrafficPolicy REGISTRY_ONLY answers
_NO_SUCH_HOST = "The mesh knows no Service and no ServiceEntry of this host, and lets nothing else out.\n"
_LOOP_STATUS = 508
_LOOP = "This request has left the mesh once, and came back to it.\n"
# Source: RFC 8586. A request that came back would go out again, and so on until nothing is left.
_LOOP_HEADER = "cdn-loop"
_LOOP_MARK = "gitmesh-playground"
_HOSTS_MAX = 1024
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def dns_cache() -> Envoy:
    """Return the cache of addresses: the filter and the clusters that share it must describe it alike."""
    return {"name": "hosts", "dns_lookup_family": "V4_PREFERRED", "max_hosts": _HOSTS_MAX}


def forward_proxy_filter() -> Envoy:
    """Return the HTTP filter that looks up the host of a request, for routes to such clusters only."""
    message = "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig"
    return typed("envoy.filters.http.dynamic_forward_proxy", message, dns_cache_config=dns_cache())


def passthrough_cluster() -> Envoy:
    """Return the cluster of all hosts that the mesh does not know."""
    proxy = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"
    protocols: Envoy = {"http_protocol_options": {}, "http2_protocol_options": {}}
    options = {
        "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
        "use_downstream_protocol_config": protocols,
    }
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": PASSTHROUGH,
        "connect_timeout": "10s",
        "lb_policy": "CLUSTER_PROVIDED",
        # Nothing is encrypted here, but Envoy asks what would be if it were.
        "cluster_type": typed(
            "envoy.clusters.dynamic_forward_proxy",
            proxy,
            dns_cache_config=dns_cache(),
            allow_insecure_cluster_options=True,
        ),
        "typed_extension_protocol_options": {_HTTP_OPTIONS: options},
        "metadata": {"filter_metadata": {"istio": {"host": PASSTHROUGH, "service": PASSTHROUGH}}},
    }


def asked_address(host: str, port: int) -> list[Envoy]:
    """Return the network filters that look up where a connection goes which is not HTTP.

    For a wildcard that is what the client says by TLS (SNI).
    """
    name = "%REQUESTED_SERVER_NAME%" if host.startswith("*") else host
    values = {"envoy.upstream.dynamic_host": name, "envoy.upstream.dynamic_port": str(port)}
    asked = [
        {"object_key": key, "format_string": {"text_format_source": {"inline_string": value}}}
        for key, value in values.items()
    ]
    filters = "envoy.extensions.filters.network"
    return [
        typed(
            "envoy.filters.network.set_filter_state",
            f"{filters}.set_filter_state.v3.Config",
            on_new_connection=asked,
        ),
        typed(
            "envoy.filters.network.sni_dynamic_forward_proxy",
            f"{filters}.sni_dynamic_forward_proxy.v3.FilterConfig",
            port_value=port,
            dns_cache_config=dns_cache(),
        ),
    ]


def allow_any(cluster: str = PASSTHROUGH) -> Envoy:
    """Return the virtual host that lets every other request out, to where it asks to go."""
    returned = {"name": _LOOP_HEADER, "string_match": {"contains": _LOOP_MARK}}
    mark = {"header": {"key": _LOOP_HEADER, "value": _LOOP_MARK}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}
    out = {"cluster": cluster, "timeout": "0s"}
    connect = {"upgrade_type": "CONNECT", "connect_config": {}}
    routes = [
        _answer("loop", {"prefix": "/", "headers": [returned]}, _LOOP_STATUS, _LOOP),
        {"name": "allow_any", "match": {"prefix": "/"}, "route": out, "request_headers_to_add": [mark]},
        {
            "name": "allow_any",
            "match": {"connect_matcher": {}},
            "route": {**out, "upgrade_configs": [connect]},
        },
    ]
    return {"name": "allow_any", "domains": ["*"], "routes": routes}


def block_all() -> Envoy:
    """Return the virtual host that refuses every other request."""
    matches: tuple[Envoy, ...] = ({"prefix": "/"}, {"connect_matcher": {}})
    routes = [_answer("block_all", match, NO_SUCH_HOST_STATUS, _NO_SUCH_HOST) for match in matches]
    return {"name": "block_all", "domains": ["*"], "routes": routes}


def _answer(name: str, match: Envoy, status: int, text: str) -> Envoy:
    response = {"status": status, "body": {"inline_string": text}}
    return {"name": name, "match": match, "direct_response": response}
