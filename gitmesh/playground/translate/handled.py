"""Which fields of each Istio kind the translation reads. Every other present field is reported.

Stage: playground translation (pure). A test sets each field of the Istio models that is missing here and
demands a report, and another one shows that each field that stands here has an effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gitmesh.playground.translate.fields import Field

Tree = Mapping[str, Any]

WHOLE: Final[Tree] = {}  # this field and everything below it
ANY_NAME: Final = "*"  # stands for every key of a map


def _names(*names: str) -> dict[str, Tree]:
    return dict.fromkeys(names, WHOLE)


_STRING_MATCH = _names("exact", "prefix", "regex")
_HEADER_OPERATIONS = {"request": _names("set", "add", "remove"), "response": _names("set", "add", "remove")}
_PERCENT = _names("value")
_DESTINATION = {**_names("host", "subset"), "port": _names("number")}
_MATCH = {
    **_names("name", "port", "gateways", "ignoreUriCase", "sourceLabels", "sourceNamespace", "statPrefix"),
    **dict.fromkeys(("uri", "scheme", "method", "authority"), _STRING_MATCH),
    **{name: {ANY_NAME: _STRING_MATCH} for name in ("headers", "withoutHeaders", "queryParams")},
}
_HTTP_RULE = {
    **_names("name", "timeout", "mirrorPercent", "mirror_percent"),
    "match": _MATCH,
    "route": {"destination": _DESTINATION, "weight": WHOLE, "headers": _HEADER_OPERATIONS},
    "redirect": _names("uri", "authority", "port", "derivePort", "scheme", "redirectCode"),
    "directResponse": {"status": WHOLE, "body": _names("string", "bytes")},
    "rewrite": {**_names("uri", "authority"), "uriRegexRewrite": _names("match", "rewrite")},
    "retries": _names(
        "attempts",
        "perTryTimeout",
        "retryOn",
        "backoff",
        "retryIgnorePreviousHosts",
        "retryRemoteLocalities",
    ),
    "fault": {
        "delay": {**_names("fixedDelay", "percent"), "percentage": _PERCENT},
        "abort": {**_names("httpStatus", "grpcStatus"), "percentage": _PERCENT},
    },
    "mirror": _DESTINATION,
    "mirrorPercentage": _PERCENT,
    "mirrors": {"destination": _DESTINATION, "percentage": _PERCENT},
    "corsPolicy": {
        "allowOrigins": _STRING_MATCH,
        **_names("allowMethods", "allowHeaders", "exposeHeaders", "maxAge", "allowCredentials"),
        **_names("unmatchedPreflights", "allowOrigin"),
    },
    "headers": _HEADER_OPERATIONS,
    "delegate": _names("name", "namespace"),
}
_L4_MATCH = _names("destinationSubnets", "port", "sourceLabels", "gateways", "sourceNamespace")
_L4_ROUTE: Tree = {"destination": _DESTINATION, "weight": WHOLE}
L4_MATCH: Final[Tree] = {**_L4_MATCH, "sniHosts": WHOLE}

_POLICY_BLOCKS: Tree = {
    "loadBalancer": {
        **_names("simple", "warmupDurationSecs"),
        "consistentHash": {
            **_names("httpHeaderName", "useSourceIp", "httpQueryParameterName", "minimumRingSize"),
            "httpCookie": {**_names("name", "path", "ttl"), "attributes": _names("name", "value")},
            "ringHash": _names("minimumRingSize"),
            "maglev": _names("tableSize"),
        },
        "localityLbSetting": {
            **_names("enabled", "failoverPriority"),
            "distribute": _names("from", "to"),
            "failover": _names("from", "to"),
        },
        "warmup": _names("duration", "minimumPercent", "aggression"),
    },
    "connectionPool": {
        "tcp": {
            **_names("maxConnections", "connectTimeout", "idleTimeout", "maxConnectionDuration"),
            "tcpKeepalive": _names("probes", "time", "interval"),
        },
        "http": _names(
            "http1MaxPendingRequests",
            "http2MaxRequests",
            "maxRequestsPerConnection",
            "maxRetries",
            "idleTimeout",
            "h2UpgradePolicy",
            "useClientProtocol",
            "maxConcurrentStreams",
        ),
    },
    "outlierDetection": _names(
        "consecutive5xxErrors",
        "consecutiveGatewayErrors",
        "consecutiveLocalOriginFailures",
        "splitExternalLocalOriginErrors",
        "interval",
        "baseEjectionTime",
        "maxEjectionPercent",
        "minHealthPercent",
    ),
    "tls": _names(
        "mode",
        "clientCertificate",
        "privateKey",
        "caCertificates",
        "caCrl",
        "credentialName",
        "subjectAltNames",
        "sni",
        "insecureSkipVerify",
    ),
}
_TRAFFIC_POLICY: Tree = {
    **_POLICY_BLOCKS,
    "portLevelSettings": {"port": _names("number"), **_POLICY_BLOCKS},
    "proxyProtocol": _names("version"),
    "retryBudget": _names("percent", "minRetryConcurrency"),
}
_WORKLOAD = _names("address", "ports", "labels", "locality", "weight")

HANDLED: Final[Mapping[str, Tree]] = {
    "VirtualService": {
        **_names("hosts", "gateways", "exportTo"),
        "http": _HTTP_RULE,
        "tcp": {"match": _L4_MATCH, "route": _L4_ROUTE},
        "tls": {"match": L4_MATCH, "route": _L4_ROUTE},
    },
    "DestinationRule": {
        **_names("host", "exportTo"),
        "workloadSelector": _names("matchLabels"),
        "trafficPolicy": _TRAFFIC_POLICY,
        "subsets": {**_names("name", "labels"), "trafficPolicy": _TRAFFIC_POLICY},
    },
    "Sidecar": {
        "workloadSelector": _names("labels"),
        "egress": {"port": _names("number", "name", "protocol"), "hosts": WHOLE},
        "outboundTrafficPolicy": {"mode": WHOLE, "egressProxy": _DESTINATION},
    },
    "Gateway": {
        "selector": WHOLE,
        "servers": {
            **_names("name", "hosts"),
            "port": _names("number", "name", "protocol"),
            "tls": {
                **_names(
                    "httpsRedirect", "mode", "credentialName", "credentialNames", "caCertCredentialName"
                ),
                **_names("serverCertificate", "privateKey", "caCertificates", "caCrl"),
                "tlsCertificates": _names("serverCertificate", "privateKey"),
                **_names("subjectAltNames", "verifyCertificateSpki", "verifyCertificateHash"),
                **_names("minProtocolVersion", "maxProtocolVersion", "cipherSuites"),
            },
        },
    },
    "ServiceEntry": {
        **_names("hosts", "addresses", "location", "resolution", "exportTo", "subjectAltNames"),
        "ports": _names("number", "name", "protocol", "targetPort"),
        "endpoints": _WORKLOAD,
        "workloadSelector": _names("labels"),
    },
    "WorkloadEntry": _WORKLOAD,
}
UNTRANSLATED_KINDS: Final = frozenset({"EnvoyFilter", "WorkloadGroup", "ProxyConfig"})


def unhandled(field: Field, tree: Tree) -> Iterator[Field]:
    """Yield every present field below `field` that the tree does not name. An empty list says nothing."""
    if tree is WHOLE or field.value is None or field.value == []:
        return
    if isinstance(field.value, list):
        for item in field.items():
            yield from unhandled(item, tree)
    elif isinstance(field.value, Mapping):
        for name, child in field.entries():
            subtree = tree.get(name, tree.get(ANY_NAME))
            if subtree is not None:
                yield from unhandled(child, subtree)
            elif child.present and child.value != []:
                yield child


def report_unhandled(spec: Field) -> None:
    """Report every field of an Istio object that the translation does not read."""
    kind = spec.key.kind
    if kind in UNTRANSLATED_KINDS:
        spec.report(f"the playground makes nothing of objects of the kind {kind}")
        return
    for field in unhandled(spec, HANDLED[kind]):
        field.report("is not translated by the playground")
