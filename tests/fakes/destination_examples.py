"""Specs that use every translated field of DestinationRules, ServiceEntries and WorkloadEntries."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from fakes.certificates import Authority
from fakes.mesh_objects import istio, pod, service, virtual_service

_ATTRIBUTES = [{"name": "SameSite", "value": "Strict"}]
_COOKIE = {"name": "user", "path": "/", "ttl": "1h", "attributes": _ATTRIBUTES}
_FAILING = {
    "consecutive5xxErrors": 3,
    "consecutiveGatewayErrors": 4,
    "consecutiveLocalOriginFailures": 5,
    "splitExternalLocalOriginErrors": True,
    "interval": "6s",
    "baseEjectionTime": "7s",
    "maxEjectionPercent": 80,
    "minHealthPercent": 20,
}
_KEEP_ALIVE = {"probes": 3, "time": "10s", "interval": "5s"}
_WARMUP = {"duration": "10s", "minimumPercent": 20, "aggression": 2}
_FILES = {"clientCertificate": "/etc/certs/tls.crt", "privateKey": "/etc/certs/tls.key"}

# Each holds at every place where a policy may stand: host, port, subset, and port of a subset.
_POLICIES: tuple[dict[str, Any], ...] = (
    {"loadBalancer": {"simple": "RANDOM"}, "tls": {"mode": "ISTIO_MUTUAL"}},
    {
        "loadBalancer": {
            "consistentHash": {"httpHeaderName": "x-user", "ringHash": {"minimumRingSize": 7}},
            "localityLbSetting": {"distribute": [{"from": "eu/*", "to": {"eu/a": 100}}]},
        },
        "connectionPool": {
            "tcp": {
                "maxConnections": 1,
                "connectTimeout": "2s",
                "maxConnectionDuration": "4s",
                "tcpKeepalive": _KEEP_ALIVE,
            },
            "http": {
                "http1MaxPendingRequests": 5,
                "http2MaxRequests": 6,
                "maxRequestsPerConnection": 7,
                "maxRetries": 8,
                "idleTimeout": "9s",
                "h2UpgradePolicy": "UPGRADE",
                "maxConcurrentStreams": 10,
            },
        },
        "outlierDetection": _FAILING,
    },
    {
        "loadBalancer": {"consistentHash": {"httpCookie": _COOKIE, "maglev": {"tableSize": 11}}},
        "connectionPool": {"tcp": {"idleTimeout": "7s"}, "http": {"useClientProtocol": True}},
        "tls": {"mode": "SIMPLE", "credentialName": "away"},
    },
    {
        "loadBalancer": {
            "consistentHash": {"useSourceIp": True, "minimumRingSize": 7},
            "localityLbSetting": {"failover": [{"from": "eu", "to": "us"}]},
        },
        "outlierDetection": {"interval": "1s"},
        "tls": {"mode": "MUTUAL", "caCertificates": "/etc/certs/ca.crt", "subjectAltNames": ["b"], **_FILES},
    },
    {
        "loadBalancer": {
            "consistentHash": {"httpQueryParameterName": "user"},
            "localityLbSetting": {"enabled": False},
        },
        "outlierDetection": {"interval": "1s"},
        "tls": {"mode": "SIMPLE", "insecureSkipVerify": True},
    },
    {
        "loadBalancer": {
            "simple": "ROUND_ROBIN",
            "warmup": _WARMUP,
            "localityLbSetting": {"failoverPriority": ["version"]},
        },
        "outlierDetection": {"interval": "1s"},
    },
    {
        "loadBalancer": {"warmupDurationSecs": "10s"},
        "tls": {
            "mode": "SIMPLE",
            "sni": "a",
            "caCertificates": "/etc/certs/ca.crt",
            "caCrl": "/etc/certs/revoked",
        },
    },
)
_WHOLE = {
    "proxyProtocol": {"version": "V2"},
    "retryBudget": {"percent": 30, "minRetryConcurrency": 2},
}
_ENTRY: dict[str, Any] = {
    "hosts": ["api.test"],
    "addresses": ["10.9.9.9"],
    "location": "MESH_INTERNAL",
    "exportTo": ["."],
    "ports": [
        {"number": 80, "name": "grpc-api", "targetPort": 8080},
        {"number": 81, "name": "web", "protocol": "GRPC"},
    ],
}


def specs(kind: str) -> Iterator[dict[str, Any]]:
    """Yield specs of a kind; nothing for the kinds of other files."""
    if kind == "DestinationRule":
        yield from _rules()
    if kind == "ServiceEntry":
        endpoint = {
            "address": "10.0.0.1",
            "ports": {"grpc-api": 7},
            "labels": {"version": "v9"},
            "locality": "eu/a",
            "weight": 3,
        }
        endpoints = [endpoint, {"address": "10.0.0.2", "locality": "us/b"}]
        yield {
            **_ENTRY,
            "resolution": "STATIC",
            "endpoints": endpoints,
            "subjectAltNames": ["spiffe://a"],
        }
        yield {**_ENTRY, "resolution": "STATIC", "workloadSelector": {"labels": {"app": "vm"}}}
    if kind == "WorkloadEntry":
        labels = {"app": "vm", "version": "v9"}
        yield {
            "address": "10.0.0.3",
            "ports": {"http": 7},
            "labels": labels,
            "locality": "us/b",
            "weight": 3,
        }


def _rules() -> Iterator[dict[str, Any]]:
    for policy in _POLICIES:
        at_port = {"port": {"number": 9081}, **policy}
        whole = {**_WHOLE, **policy, "portLevelSettings": [at_port]}
        named = {"name": "v1", "labels": {"version": "v1"}, "trafficPolicy": whole}
        yield {"host": "reviews", "trafficPolicy": whole, "subsets": [named]}
    select = {"matchLabels": {"app": "reviews"}}
    yield {"host": "reviews", "exportTo": ["."], "trafficPolicy": _POLICIES[0]}
    yield {"host": "reviews", "workloadSelector": select, "trafficPolicy": _POLICIES[0]}


def around(kind: str) -> list[dict[str, Any]]:
    """Return what has to be there for the fields of a kind to have an effect."""
    if kind == "DestinationRule":
        return [*_placed_pods(), certificates(), _routes_to_each_place()]
    vm = {"address": "10.0.0.6", "labels": {"app": "vm"}, "locality": "eu/a"}
    no_names = {"tls": {"mode": "SIMPLE", "caCertificates": "/etc/certs/ca.crt"}}
    rule = istio("DestinationRule", "api", {"host": "api.test", "trafficPolicy": no_names})
    if kind == "ServiceEntry":
        return [certificates(), rule, istio("WorkloadEntry", "vm-1", vm)]
    return [service("vm")] if kind == "WorkloadEntry" else []


def _placed_pods() -> list[dict[str, Any]]:
    places = [("127.0.0.21", "eu.a"), ("10.0.0.22", "us.b")]
    placed = [pod("reviews", f"v1-{place[:2]}", address) for address, place in places]
    for body, (_, place) in zip(placed, places, strict=True):
        body["metadata"]["labels"] |= {"version": "v1", "istio-locality": place}
    return placed


def _routes_to_each_place() -> dict[str, Any]:
    """Return routes to the host and to the subset, with and without a port: what they hash differs."""
    places: list[dict[str, Any]] = [{}, {"subset": "v1"}]
    places += [{**place, "port": {"number": 9081}} for place in places]
    rules = [
        {"match": [{"uri": {"exact": f"/{n}"}}], "route": [{"destination": {"host": "reviews", **place}}]}
        for n, place in enumerate(places)
    ]
    return virtual_service("each.test", *rules)


@functools.cache
def certificates() -> dict[str, Any]:
    """Return a Secret whose keys are files of the Pods."""
    authority = Authority()
    own = authority.issue("client")
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "certs", "annotations": {"playground.gitmesh.dev/mount": "/etc/certs"}},
        "stringData": {"ca.crt": authority.pem, "tls.crt": own.certificate, "tls.key": own.key},
    }
