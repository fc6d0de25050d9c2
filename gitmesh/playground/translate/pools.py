"""Bounds on connections and requests to a cluster (circuit breakers), and the HTTP that is spoken to it.

Stage: playground translation (pure). Source: istio.io, Destination Rule, ConnectionPoolSettings;
istio/istio pilot/pkg/networking/core, applyConnectionPool. The bounds hold for one Envoy, which in the
playground is that of all clients together.
"""

from __future__ import annotations

from typing import Any

from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.policies import Policy
from gitmesh.playground.translate.services import Protocol

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_UNLIMITED = 4_294_967_295
_CONNECT_TIMEOUT = "10s"
_RETRY_BUDGET_PERCENT, _RETRY_CONCURRENCY = 20.0, 3


def pool(cluster: Envoy, policy: Policy, protocol: Protocol) -> None:
    """Set the bounds and the protocol of a cluster."""
    limits = _thresholds()
    cluster["connect_timeout"] = _CONNECT_TIMEOUT
    cluster["circuit_breakers"] = {"thresholds": [limits]}
    common: dict[str, Any] = {}
    if "connectionPool" in policy:
        tcp, http = policy["connectionPool"]["tcp"], policy["connectionPool"]["http"]
        _set_if(limits, "max_connections", _limit(tcp["maxConnections"]))
        _set_if(limits, "max_pending_requests", _limit(http["http1MaxPendingRequests"]))
        _set_if(limits, "max_requests", _limit(http["http2MaxRequests"]))
        _set_if(limits, "max_retries", _limit(http["maxRetries"]))
        _set_if(cluster, "connect_timeout", tcp["connectTimeout"].duration())
        _set_if(common, "max_requests_per_connection", _limit(http["maxRequestsPerConnection"]))
        _set_if(common, "idle_timeout", tcp["idleTimeout"].duration())
        _set_if(common, "idle_timeout", http["idleTimeout"].duration())
        _set_if(common, "max_connection_duration", tcp["maxConnectionDuration"].duration())
        _keep_alive(cluster, tcp["tcpKeepalive"])
    if "retryBudget" in policy and policy["retryBudget"].present:
        limits["retry_budget"] = _retry_budget(policy["retryBudget"])
    spoken = _spoken(policy, protocol)
    if common or "http_protocol_options" not in spoken.get("explicit_http_config", {}):
        http_options(cluster, **spoken)
    if common:
        http_options(cluster, common_http_protocol_options=common)


def http_options(cluster: Envoy, **fields: Any) -> None:
    """Add fields to the HTTP options of a cluster."""
    extensions = cluster.setdefault("typed_extension_protocol_options", {})
    options = extensions.setdefault(HTTP_OPTIONS, {"@type": f"type.googleapis.com/{HTTP_OPTIONS}"})
    options |= fields
    # Envoy demands one of the ways to choose a protocol beside anything else.
    if not {"explicit_http_config", "use_downstream_protocol_config"} & options.keys():
        options["explicit_http_config"] = {"http_protocol_options": {}}


def speaks_http2(cluster: Envoy) -> bool:
    """Say whether HTTP/2 is all that is spoken to a cluster."""
    options = cluster.get("typed_extension_protocol_options", {}).get(HTTP_OPTIONS, {})
    return "http2_protocol_options" in options.get("explicit_http_config", {})


def _thresholds() -> Envoy:
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {**dict.fromkeys(names, _UNLIMITED), "track_remaining": True}


def _limit(field: Field) -> int | None:
    """Return a limit; zero means unset, as in Istio."""
    value = field.integer()
    if 0 <= value <= _UNLIMITED:
        return value or None
    field.report("is out of range")
    return None


def _keep_alive(cluster: Envoy, block: Field) -> None:
    if not block.present:
        return
    probes: Envoy = {}
    _set_if(probes, "keepalive_probes", _limit(block["probes"]))
    for name in ("time", "interval"):
        text = block[name].duration()
        if text is not None:
            probes[f"keepalive_{name}"] = max(1, round(float(text.removesuffix("s"))))
    cluster["upstream_connection_options"] = {"tcp_keepalive": probes}


def _retry_budget(block: Field) -> Envoy:
    percent, concurrency = block["percent"].number(), _limit(block["minRetryConcurrency"])
    return {
        "budget_percent": {"value": _RETRY_BUDGET_PERCENT if percent is None else percent},
        "min_retry_concurrency": _RETRY_CONCURRENCY if concurrency is None else concurrency,
    }


def _spoken(policy: Policy, protocol: Protocol) -> Envoy:
    """Return the field that chooses the HTTP version."""
    http = policy["connectionPool"]["http"] if "connectionPool" in policy else None
    upgrade = http["h2UpgradePolicy"].text() if http is not None else ""
    streams = _limit(http["maxConcurrentStreams"]) if http is not None else None
    http2 = {"max_concurrent_streams": streams} if streams else {}
    if protocol.is_http2 or (upgrade == "UPGRADE" and protocol.is_http):
        return {"explicit_http_config": {"http2_protocol_options": http2}}
    if protocol is Protocol.AUTO or (http is not None and http["useClientProtocol"].boolean()):
        both = {"http_protocol_options": {}, "http2_protocol_options": http2}
        return {"use_downstream_protocol_config": both}
    if streams is not None and http is not None:
        http["maxConcurrentStreams"].report("has no effect: HTTP/2 is not spoken to this host")
    return {"explicit_http_config": {"http_protocol_options": {}}}


def _set_if(message: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        message[name] = value
