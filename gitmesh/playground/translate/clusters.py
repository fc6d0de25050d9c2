"""Envoy clusters: one for each port of a Service, and one for each subset of it.

Stage: playground translation (pure). Endpoints stand in the cluster itself (type STATIC): replacing a cluster
under load loses no request, and the listener, not the cluster, keeps the statistics that GitMesh reads.
Source: istio/istio pilot/pkg/networking/core, cluster.go and cluster_traffic_policy.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gitmesh.playground.translate.destinations import Destination, Policy, Subset
from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.naming import Envoy, cluster_name
from gitmesh.playground.translate.services import Endpoint, Service, ServicePort, includes

_UNLIMITED = 4_294_967_295
_LB_POLICIES = {
    "": "LEAST_REQUEST",
    "UNSPECIFIED": "LEAST_REQUEST",
    "LEAST_CONN": "LEAST_REQUEST",
    "LEAST_REQUEST": "LEAST_REQUEST",
    "ROUND_ROBIN": "ROUND_ROBIN",
    "RANDOM": "RANDOM",
}
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def clusters_of(service: Service, destination: Destination) -> Iterator[Envoy]:
    """Yield the clusters of one service."""
    for port in service.ports:
        yield _cluster(service, port, None, destination.policy_of(port.number, None))
        for subset in destination.subsets:
            yield _cluster(service, port, subset, destination.policy_of(port.number, subset))


def _cluster(service: Service, port: ServicePort, subset: Subset | None, policy: Policy) -> Envoy:
    name = cluster_name(service.host, port.number, subset.name if subset else "")
    identity = {"host": service.host, "service": service.name, "namespace": service.namespace}
    if subset:
        identity |= {"subset": subset.name, "version": subset.version}
    chosen = [pod for pod in service.endpoints if not subset or includes(pod.labels, subset.labels)]
    cluster: Envoy = {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "lb_policy": "LEAST_REQUEST",
        "alt_stat_name": f"{name};",
        "circuit_breakers": {"thresholds": [_thresholds()]},
        "metadata": {"filter_metadata": {"istio": identity}},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [_endpoint(pod, p) for pod in chosen if (p := pod.port(port))]}],
        },
    }
    _balance(cluster, policy)
    _pool(cluster, policy, http2=port.http2)
    _outliers(cluster, policy)
    _check_tls(policy)
    return cluster


def _endpoint(pod: Endpoint, port: int) -> Envoy:
    about = {"workload": pod.pod, "version": pod.labels.get("version", "")}
    return {
        "endpoint": {"address": {"socket_address": {"address": pod.address, "port_value": port}}},
        "metadata": {"filter_metadata": {"istio": about}},
    }


def _thresholds() -> Envoy:
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {**dict.fromkeys(names, _UNLIMITED), "track_remaining": True}


def _balance(cluster: Envoy, policy: Policy) -> None:
    if "loadBalancer" in policy:
        simple = policy["loadBalancer"]["simple"]
        if simple.text() in _LB_POLICIES:
            cluster["lb_policy"] = _LB_POLICIES[simple.text()]
        else:
            simple.report(f"{simple.text()} is not translated: the playground balances by LEAST_REQUEST")


def _pool(cluster: Envoy, policy: Policy, *, http2: bool) -> None:
    common: dict[str, Any] = {}
    if "connectionPool" in policy:
        tcp, http = policy["connectionPool"]["tcp"], policy["connectionPool"]["http"]
        limits = cluster["circuit_breakers"]["thresholds"][0]
        _set_if(limits, "max_connections", _limit(tcp["maxConnections"]))
        _set_if(limits, "max_pending_requests", _limit(http["http1MaxPendingRequests"]))
        _set_if(limits, "max_requests", _limit(http["http2MaxRequests"]))
        _set_if(limits, "max_retries", _limit(http["maxRetries"]))
        _set_if(cluster, "connect_timeout", tcp["connectTimeout"].duration())
        _set_if(common, "max_requests_per_connection", _limit(http["maxRequestsPerConnection"]))
        _set_if(common, "idle_timeout", tcp["idleTimeout"].duration())
        _set_if(common, "idle_timeout", http["idleTimeout"].duration())
        _set_if(common, "max_connection_duration", tcp["maxConnectionDuration"].duration())
    if common or http2:
        protocol = "http2_protocol_options" if http2 else "http_protocol_options"
        options: Envoy = {
            "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
            "explicit_http_config": {protocol: {}},
        }
        if common:
            options["common_http_protocol_options"] = common
        cluster["typed_extension_protocol_options"] = {_HTTP_OPTIONS: options}


def _limit(field: Field) -> int | None:
    """Return a limit; zero means unset, as in Istio."""
    value = field.integer()
    if 0 <= value <= _UNLIMITED:
        return value or None
    field.report("is out of range")
    return None


def _outliers(cluster: Envoy, policy: Policy) -> None:
    if "outlierDetection" not in policy or not policy["outlierDetection"].present:
        return
    block = policy["outlierDetection"]
    detection: Envoy = {"enforcing_success_rate": 0}
    _enforced(detection, "consecutive_5xx", block["consecutive5xxErrors"])
    _enforced(detection, "consecutive_gateway_failure", block["consecutiveGatewayErrors"])
    _set_if(detection, "interval", block["interval"].duration())
    _set_if(detection, "base_ejection_time", block["baseEjectionTime"].duration())
    _set_if(detection, "max_ejection_percent", block["maxEjectionPercent"].integer() or None)
    if block["splitExternalLocalOriginErrors"].boolean():
        detection["split_external_local_origin_errors"] = True
        _enforced(detection, "consecutive_local_origin_failure", block["consecutiveLocalOriginFailures"])
    cluster["outlier_detection"] = detection
    panic = block["minHealthPercent"].integer()
    cluster["common_lb_config"] = {"healthy_panic_threshold": {"value": panic}}


def _enforced(detection: Envoy, name: str, field: Field) -> None:
    """Set a counter and enforce it wholly; zero switches it off."""
    if field.present:
        count = field.integer()
        if count > 0:
            detection[name] = count
        detection[f"enforcing_{name}"] = 100 if count > 0 else 0


def _check_tls(policy: Policy) -> None:
    if "tls" in policy and policy["tls"].present:
        mode = policy["tls"]["mode"].text("DISABLE")
        if mode != "DISABLE":
            policy["tls"]["mode"].report(
                f"{mode} is not translated: inside the playground traffic is plain text"
            )


def _set_if(message: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        message[name] = value
