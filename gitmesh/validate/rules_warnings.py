"""GM140 to GM152: what Istio's admission accepts with a warning.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, destination_rule, reviews_rule, traffic_object, virtual_service

_ROUTE = "route: [{destination: {host: reviews}}]\n"
_HTTP = "http: [{route: [{destination: {host: reviews}}]}]\n"
_SNI = "tls: [{match: [{sniHosts: [%s]}], route: [{destination: {host: reviews}}]}]"
_FAILOVER = "loadBalancer: {localityLbSetting: {failover: [{from: eu, to: us}]}}"
_EJECT = "outlierDetection: {consecutive5xxErrors: 5}"
_GATEWAY = "selector: {istio: ingressgateway}\nservers:\n- hosts: [a.example.com]\n  port: "
_HTTPS = _GATEWAY + "{number: 443, name: https, protocol: HTTPS}\n  tls: "
_ENTRY = (
    "hosts: [%s]\nlocation: MESH_EXTERNAL\nresolution: %s\nports: [{number: 80, name: p, protocol: %s}]\n"
)
_SELECT_A = "workloadSelector: {labels: {app: a}}"
_LARGE = "directResponse: {status: 200, body: {string: '%s'}}"
_INGRESS = (
    "ingress: [{port: {number: 80, name: p, protocol: %s}, "
    "connectionPool: {http: {http1MaxPendingRequests: 10}}}]"
)

WARNING_RULES = (
    Rule(
        "GM140",
        Severity.WARNING,
        "A Gateway is named in an old form",
        "Names with dots were host names of Gateways once. Write namespace/name.",
        virtual_service("hosts: [a.example.com]\ngateways: [entry.default.svc.cluster.local]\n" + _HTTP),
        virtual_service("hosts: [a.example.com]\ngateways: [default/entry]\n" + _HTTP),
        istio="IST0133",
    ),
    Rule(
        "GM141",
        Severity.WARNING,
        "A field or value is deprecated",
        "It works today, or is ignored already; the hint says what to write instead.",
        reviews_rule(_ROUTE + "fault: {delay: {percent: 10, fixedDelay: 5s}}"),
        reviews_rule(_ROUTE + "fault: {delay: {percentage: {value: 10}, fixedDelay: 5s}}"),
        istio="IST0002",
    ),
    Rule(
        "GM142",
        Severity.WARNING,
        "A selector selects by nothing",
        "Without labels a selector stands for every workload of the namespace. Leave it out to say so.",
        traffic_object("Sidecar", "workloadSelector: {}\negress: [{hosts: [./*]}]"),
        traffic_object("Sidecar", "workloadSelector: {labels: {app: a}}\negress: [{hosts: [./*]}]"),
        istio="IST0133",
    ),
    Rule(
        "GM143",
        Severity.WARNING,
        "Failover without a sign of failure",
        "Traffic goes to another place when endpoints were taken out, and only outlierDetection takes "
        "them out.",
        destination_rule(f"host: reviews\ntrafficPolicy: {{{_FAILOVER}}}"),
        destination_rule(f"host: reviews\ntrafficPolicy: {{{_FAILOVER}, {_EJECT}}}"),
        istio="IST0133",
    ),
    Rule(
        "GM144",
        Severity.WARNING,
        "A TLS setting has no effect here",
        "Certificates do nothing where TLS is passed through, and httpsRedirect nothing where no plain HTTP "
        "comes in.",
        traffic_object("Gateway", _HTTPS + "{mode: PASSTHROUGH, credentialName: a-cert}"),
        traffic_object("Gateway", _HTTPS + "{mode: PASSTHROUGH}"),
        istio="IST0133",
    ),
    Rule(
        "GM145",
        Severity.WARNING,
        "Versions and cipher suites do not fit",
        "Old versions of TLS need cipher suites that are not among the default ones. Names that Envoy "
        "does not know are ignored, and so are repeated ones.",
        traffic_object("Gateway", _HTTPS + "{mode: SIMPLE, credentialName: a, cipherSuites: [AES-256]}"),
        traffic_object("Gateway", _HTTPS + "{mode: SIMPLE, credentialName: a, cipherSuites: [AES256-SHA]}"),
        istio="IST0133",
    ),
    Rule(
        "GM146",
        Severity.WARNING,
        "An address as the name of a server",
        "Clients send the name of the server (SNI) when they asked for a name, not for an address.",
        virtual_service("hosts: [10.0.0.1]\n" + _SNI % "10.0.0.1"),
        virtual_service("hosts: [a.example.com]\n" + _SNI % "a.example.com"),
        istio="IST0133",
    ),
    Rule(
        "GM147",
        Severity.WARNING,
        "A fixed answer is large",
        "The body is part of the configuration of every proxy: from 100 KiB on it costs, from 1 MiB on it is "
        "refused.",
        reviews_rule(_LARGE % ("x" * 102_500)),
        reviews_rule(_LARGE % "gone"),
        file="",
        istio="IST0133",
    ),
    Rule(
        "GM148",
        Severity.WARNING,
        "A wildcard stands for a part of a label",
        "Write *.example.com. A wildcard inside a label does not do what it looks like.",
        traffic_object("ServiceEntry", _ENTRY % ("'*a.example.com'", "NONE", "HTTP")),
        traffic_object("ServiceEntry", _ENTRY % ("'*.example.com'", "NONE", "HTTP")),
        istio="IST0133",
    ),
    Rule(
        "GM149",
        Severity.WARNING,
        "An address is missing",
        "Connections that are not HTTP are told apart by their address. A service without one takes "
        "everything on its port, and an endpoint without one is reached through a gateway of its network "
        "only.",
        traffic_object("ServiceEntry", _ENTRY % ("a.example.com", "NONE", "TCP")),
        traffic_object("ServiceEntry", _ENTRY % ("a.example.com", "NONE", "TCP") + "addresses: [192.0.2.1]"),
        istio="IST0133",
    ),
    Rule(
        "GM150",
        Severity.WARNING,
        "Fields of a ServiceEntry do not go together",
        "Resolution NONE sends a connection where it was going, so no workloads are selected. Hosts that "
        "share addresses cannot be told apart on a port that is not HTTP.",
        traffic_object("ServiceEntry", _ENTRY % ("a.example.com", "NONE", "HTTP") + _SELECT_A),
        traffic_object("ServiceEntry", _ENTRY % ("a.example.com", "STATIC", "HTTP") + _SELECT_A),
        istio="IST0133",
    ),
    Rule(
        "GM151",
        Severity.WARNING,
        "A host is listed twice for a Sidecar",
        "namespace/* includes every host of the namespace, and */* every host there is.",
        traffic_object("Sidecar", "egress: [{hosts: [./*, ./reviews.default.svc.cluster.local]}]"),
        traffic_object("Sidecar", "egress: [{hosts: [./*, istio-system/*]}]"),
        istio="IST0133",
    ),
    Rule(
        "GM152",
        Severity.WARNING,
        "HTTP settings on a port that is not HTTP",
        "Bounds on requests need a port on which requests are seen.",
        traffic_object("Sidecar", _INGRESS % "TCP"),
        traffic_object("Sidecar", _INGRESS % "HTTP"),
        istio="IST0133",
    ),
)
