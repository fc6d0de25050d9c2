"""The HTTP listeners of sidecars, the probes, and what their connection managers have in common.

Stage: playground translation (pure). A listener names its route configuration, and the data plane says in
which file that is: so that a change of routes drains no connection.
Source: istio/istio pilot/pkg/networking/core, listener.go, for the defaults of the connection manager.
"""

from __future__ import annotations

import hashlib

from gitmesh.playground.translate.actions import CORS, FAULT
from gitmesh.playground.translate.doors import Address
from gitmesh.playground.translate.naming import Envoy, typed
from gitmesh.playground.translate.passthrough import forward_proxy_filter
from gitmesh.playground.translate.proxies import CLIENT, Proxy
from gitmesh.playground.translate.telemetry import SOURCE_HEADER, request_counter

__all__ = ["SOURCE_HEADER", "Address"]

PROBE = "gitmesh.probe"
# The answer of a probe: the route's name, the cluster, the object that the route is from, and the rule in it.
PROBE_HEADERS = ("x-gitmesh-route", "x-gitmesh-cluster", "x-gitmesh-origin", "x-gitmesh-rule")
_FILTERS = "envoy.extensions.filters.http"
_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def outbound_name(proxy: Proxy) -> str:
    """Return the name of a sidecar's listener."""
    return f"outbound|{proxy.name}"


def outbound_listener(proxy: Proxy, address: Address, routes: str) -> Envoy:
    """Return the listener of a sidecar: an HTTP proxy for all hosts that its workload sees."""
    manager = outbound_manager(routes, workload="" if proxy.name == CLIENT else proxy.workload)
    return http_listener(outbound_name(proxy), address, manager)


def outbound_manager(routes: str, *, workload: str = "") -> Envoy:
    """Return the connection manager of a sidecar. Without a workload the request itself says who calls."""
    manager = connection_manager("outbound", routes)
    manager["http2_protocol_options"] = {"allow_connect": True}
    manager["upgrade_configs"].append({"upgrade_type": "CONNECT"})
    header = source_header(workload, overwrite=True) if workload else source_header("unknown")
    manager["early_header_mutation_extensions"] = [header]
    return {**manager, "access_log": [request_counter()]}


def probe_name(routes: str) -> str:
    """Return the name of the listener that answers for a route configuration."""
    return f"probe|{routes}"


def probe_address(routes: str) -> Address:
    """Return where the probe of a route configuration listens: an address of its own, on any free port.

    A new listener takes over the socket of one that is going, if both have the same address, and any free
    port counts as the same one; two probes would then share a socket, and answer for one another.
    """
    digest = hashlib.sha256(routes.encode()).digest()
    # 127.128.0.1 to 127.255.255.254: away from the addresses of Pods.
    return Address(f"127.{128 + digest[0] % 128}.{digest[1]}.{1 + digest[2] % 254}", 0)


def probe_listener(address: Address, routes: str) -> Envoy:
    """Return the listener that answers which route takes a request, without sending it anywhere.

    Its first filter ends every request after the route is known, and the reply is written from the route.
    """
    manager = connection_manager("probe", routes)
    stop = typed(
        PROBE, f"{_FILTERS}.fault.v3.HTTPFault", abort={"http_status": 200, "percentage": {"numerator": 100}}
    )
    answer = {
        "route": "%ROUTE_NAME%",
        "cluster": "%UPSTREAM_CLUSTER_RAW%",
        "source": "%METADATA(ROUTE:gitmesh:source)%",
        "rule": "%METADATA(ROUTE:gitmesh:rule)%",
    }
    manager["http_filters"] = [stop, *manager["http_filters"]]
    # In headers too, for who asks about HEAD: its answer has no body.
    added = [
        {"header": {"key": name, "value": text}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, text in zip(PROBE_HEADERS, answer.values(), strict=True)
    ]
    every = {"comparison": {"op": "GE", "value": {"default_value": 200, "runtime_key": PROBE}}}
    manager["local_reply_config"] = {
        "mappers": [{"filter": {"status_code_filter": every}, "headers_to_add": added}],
        "body_format": {"json_format": answer},
    }
    return http_listener(probe_name(routes), address, manager)


def http_listener(name: str, address: Address, manager: Envoy) -> Envoy:
    """Return a plain HTTP listener."""
    return {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": name,
        "address": {"socket_address": {"address": address.host, "port_value": address.port}},
        "filter_chains": [{"filters": [manager_filter(manager)]}],
        # Otherwise a second Envoy on the same port starts without a word, and takes half of the connections.
        "enable_reuse_port": False,
    }


def manager_filter(manager: Envoy) -> Envoy:
    """Return a connection manager as the network filter that it is."""
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {"@type": f"type.googleapis.com/{_MANAGER}", **manager},
    }


def connection_manager(stat_prefix: str, routes: str) -> Envoy:
    """Return what all connection managers have. `routes` names a route configuration."""
    return {
        "stat_prefix": stat_prefix,
        "rds": {"route_config_name": routes},
        "http_filters": [
            typed(CORS, f"{_FILTERS}.cors.v3.Cors"),
            typed(FAULT, f"{_FILTERS}.fault.v3.HTTPFault"),
            forward_proxy_filter(),
            typed("envoy.filters.http.router", f"{_FILTERS}.router.v3.Router"),
        ],
        "normalize_path": True,
        "merge_slashes": False,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "stream_idle_timeout": "0s",
        "server_header_transformation": "PASS_THROUGH",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
    }


def source_header(value: str, *, overwrite: bool = False) -> Envoy:
    """Return what writes the caller's name into a request before it is routed."""
    action = "OVERWRITE_IF_EXISTS_OR_ADD" if overwrite else "ADD_IF_ABSENT"
    append = {"header": {"key": SOURCE_HEADER, "value": value}, "append_action": action}
    return typed(
        "envoy.http.early_header_mutation.header_mutation",
        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=[{"append": append}],
    )
