"""A translation made fit for tests: the routes as they are, and one server in the place of all endpoints.

Stage: playground (pure). Every reply says which route and cluster it came by. What is left to chance or takes
time is taken out: a delay, a fault for some of the requests, a copy; which of several weighted clusters gets
a request, the request itself says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gitmesh.playground.envoy.snapshot import Snapshot
from gitmesh.playground.envoy.virtual_hosts import clusters_of
from gitmesh.playground.translate.doors import HOST, Address
from gitmesh.playground.translate.fault_filter import FAULT
from gitmesh.playground.translate.gateway_listeners import gateway_manager
from gitmesh.playground.translate.listeners import http_listener, outbound_manager
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.passthrough import forward_proxy_filter
from gitmesh.playground.translate.translation import Translation

PICK = "x-gitmesh-pick"  # which share of a weighted route a request wants, counted from 0
ROUTE, CLUSTER, SOURCE, RULE = (f"x-gitmesh-test-{name}" for name in ("route", "cluster", "source", "rule"))
_FORMATS = {
    ROUTE: "%ROUTE_NAME%",
    CLUSTER: "%UPSTREAM_CLUSTER_RAW%",
    SOURCE: "%METADATA(ROUTE:gitmesh:source)%",
    RULE: "%METADATA(ROUTE:gitmesh:rule)%",
}
# An edge that has not ended TLS itself answers requests for https with 403, so these listeners are none.
_LEFT_OUT = frozenset({"access_log", "early_header_mutation_extensions", "use_remote_address"})
_ANY_STATUS = {"comparison": {"op": "GE", "value": {"default_value": 100, "runtime_key": "gitmesh.test"}}}
_DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}


def listener_name(routes: str) -> str:
    """Return the name of the listener that takes the tests of a route configuration."""
    return f"test|{routes}"


def stubbed(
    translation: Translation, sidecars: Iterable[str], gateways: Iterable[str], echo: Address
) -> Snapshot:
    """Return what Envoy is to serve: these route configurations, each with a listener of its own."""
    managers = {name: outbound_manager(name) for name in sidecars}
    managers |= {name: gateway_manager(name, "gateway") for name in gateways}
    routes = {name: _routes(translation.routes[name]) for name in managers}
    named = {
        cluster
        for config in routes.values()
        for host in config["virtual_hosts"]
        for route in host.get("routes", ())
        for cluster in clusters_of(route)
    }
    clusters = {name: _cluster(name, echo) for name in translation.clusters if name in named}
    listeners = {
        listener_name(name): http_listener(listener_name(name), Address(HOST, 0), _manager(manager))
        for name, manager in managers.items()
    }
    return Snapshot(clusters, routes, listeners)


def _manager(manager: Envoy) -> Envoy:
    """Return the connection manager without telemetry, with replies of its own that say their route."""
    kept = {name: value for name, value in manager.items() if name not in _LEFT_OUT}
    without = forward_proxy_filter()["name"]
    kept["http_filters"] = [found for found in manager["http_filters"] if found["name"] != without]
    mapper = {"filter": {"status_code_filter": _ANY_STATUS}, "headers_to_add": _marks()}
    return {**kept, "local_reply_config": {"mappers": [mapper]}}


def _marks() -> list[Envoy]:
    return [
        {"header": {"key": name, "value": text}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, text in _FORMATS.items()
    ]


def _cluster(name: str, echo: Address) -> Envoy:
    endpoint = {"address": {"socket_address": {"address": echo.host, "port_value": echo.port}}}
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
        },
    }


def _routes(config: Envoy) -> Envoy:
    hosts = [
        {**host, "routes": [_route(r) for r in host.get("routes", ())]} for host in config["virtual_hosts"]
    ]
    marks = [*config.get("response_headers_to_add", ()), *_marks()]
    return {**config, "virtual_hosts": hosts, "response_headers_to_add": marks}


def _route(route: Envoy) -> Envoy:
    action = route.get("route")
    if action is not None:
        changed = {k: v for k, v in action.items() if k not in ("request_mirror_policies", "hash_policy")}
        if "weighted_clusters" in action:
            changed["weighted_clusters"] = {**action["weighted_clusters"], "header_name": PICK}
        route = {**route, "route": changed}
    filters = route.get("typed_per_filter_config")
    if filters and FAULT in filters:
        fault = {k: v for k, v in filters[FAULT].items() if k != "delay"}
        if "abort" in fault and percent_of(fault["abort"].get("percentage")) < 100:
            del fault["abort"]
        rest = {name: found for name, found in filters.items() if name != FAULT}
        route = {**route, "typed_per_filter_config": rest | ({FAULT: fault} if len(fault) > 1 else {})}
    return route


def percent_of(fraction: Any) -> float:
    """Return a fraction of Envoy's as a percentage."""
    if not isinstance(fraction, dict):
        return 0.0
    return 100.0 * int(fraction.get("numerator", 0)) / _DENOMINATORS[fraction.get("denominator", "HUNDRED")]
