"""GM201 to GM216: findings about what one object names of others, and about Sidecars.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import (
    Rule,
    destination_rule,
    documents,
    reviews_rule,
    traffic_object,
    virtual_service,
)
from gitmesh.validate.rule_context import gateway, pod, secret, service

_ROUTE = "route: [{destination: {host: reviews}}]\n"
_HTTP = "http: [{route: [{destination: {host: reviews}}]}]\n"
_TO_V1 = reviews_rule("route: [{destination: {host: reviews, subset: v1}}]")
_V1 = destination_rule("host: reviews\nsubsets: [{name: v1, labels: {version: v1}}]")
_PLAIN = reviews_rule(_ROUTE)
_SERVERS = "servers: [{hosts: [a.example.com], port: {number: 80, name: http, protocol: HTTP}}]\n"
_GATEWAY = gateway(_SERVERS)
_BOUND = virtual_service("hosts: [a.example.com]\ngateways: [entry]\n" + _HTTP)
_REVIEWS = service("reviews", "ports: [{name: http, port: 9080}]")
_TWO_PORTS = service("reviews", "ports: [{name: http, port: 9080}, {name: http-admin, port: 9081}]")
_TO_9080 = "route: [{destination: {host: reviews, port: {number: 9080}}}]"
_ENTRY_POD = pod("entry", "istio: entry")
_TLS_SERVER = (
    "selector: {istio: entry}\n"
    "servers: [{hosts: [a.example.com], port: {number: 443, name: https, protocol: HTTPS}, "
    "tls: {mode: SIMPLE, credentialName: a-cert}}]\n"
)
_ROOT = reviews_rule("delegate: {name: parts}")
_PARTS = virtual_service(_HTTP).replace("name: reviews}", "name: parts}")
_EGRESS = "egress: [{hosts: ['./*']}]\n"
_WHOLE = traffic_object("Sidecar", _EGRESS)
_SELECTING = "workloadSelector: {labels: {app: reviews}}\n"

REFERENCE_RULES = (
    Rule(
        "GM201",
        Severity.ERROR,
        "A subset is not defined",
        "Requests to a subset that no DestinationRule defines are answered with 503. Short host names stand "
        "for the namespace of the object that has them. Unlike Istio's analyzer, a DestinationRule for a "
        "wildcard counts, and so does one of another namespace. Where there is no DestinationRule for the "
        "host at all, and neither its Service nor a cluster is known, the rest may be somewhere else, and "
        "it is a warning; Istio's analyzer calls that an error, too.",
        documents(_V1, _TO_V1.replace("v1}}]", "v3}}]")),
        documents(_V1, _TO_V1),
        istio="IST0101",
    ),
    Rule(
        "GM202",
        Severity.ERROR,
        "The host of a destination is not known",
        "No Service and no ServiceEntry that can be seen from this namespace has this host. It is checked "
        "where Services are known: those of the cluster, or of namespaces of which the repository has some. "
        "A daemon says it as a warning, for Services come and go without a commit.",
        documents(_REVIEWS, reviews_rule("route: [{destination: {host: reviewz}}]")),
        documents(_REVIEWS, _PLAIN),
        istio="IST0101",
    ),
    Rule(
        "GM203",
        Severity.ERROR,
        "A Gateway is not in the repository",
        "Without its Gateway the VirtualService takes no traffic. Where the cluster has not been read, and "
        "the repository has no other Gateway of that namespace, it may be there all the same, and this is a "
        "warning. So it is for a daemon.",
        _BOUND,
        documents(_GATEWAY, _BOUND),
        istio="IST0101",
    ),
    Rule(
        "GM204",
        Severity.ERROR,
        "A subset is defined twice",
        "The names of the subsets of a DestinationRule must differ.",
        destination_rule("host: reviews\nsubsets: [{name: v1}, {name: v1}]"),
        destination_rule("host: reviews\nsubsets: [{name: v1}, {name: v2}]"),
        istio="IST0106",
    ),
    Rule(
        "GM205",
        Severity.ERROR,
        "Two VirtualServices have rules for one host",
        "Inside the mesh Istio takes the rules of the older one and ignores the other's. Equal hosts "
        "conflict where both are seen; one that only some namespaces see also conflicts with a wildcard.",
        documents(_PLAIN, _PLAIN.replace("name: reviews}", "name: reviews-canary}")),
        _PLAIN,
        istio="IST0109",
    ),
    Rule(
        "GM206",
        Severity.WARNING,
        "The host of a DestinationRule is not known",
        "No Service and no ServiceEntry has this host, so that the rule applies to nothing. It is checked "
        "where Services are known.",
        documents(_REVIEWS, destination_rule("host: reviewz")),
        documents(_REVIEWS, destination_rule("host: reviews")),
        istio="IST0174",
    ),
    Rule(
        "GM207",
        Severity.ERROR,
        "A host does not have this port",
        "The number is that of the Service, or of the ServiceEntry, not that of the container (targetPort). "
        "Requests to a port that is not there are answered with 503.",
        documents(_REVIEWS, reviews_rule(_TO_9080.replace("9080", "80"))),
        documents(_REVIEWS, reviews_rule(_TO_9080)),
        istio="IST0101",
    ),
    Rule(
        "GM208",
        Severity.ERROR,
        "A destination behind a gateway needs a port",
        "The host has several ports, and without one Istio takes the port of the gateway, which the host "
        "need not have.",
        documents(_GATEWAY, _TWO_PORTS, _BOUND),
        documents(
            _GATEWAY, _TWO_PORTS, _BOUND.replace("{host: reviews}", "{host: reviews, port: {number: 9080}}")
        ),
        istio="IST0112",
    ),
    Rule(
        "GM209",
        Severity.ERROR,
        "No Pod is a gateway's",
        "The selector of a Gateway names the Pods that listen; it looks at all namespaces. Those of Istio's "
        "own installation need not be in the repository. Others may be installed apart, too, so that this is "
        "a warning unless the cluster has been read (--cluster).",
        documents(pod("reviews", "app: reviews"), gateway("selector: {istio: entry}\n" + _SERVERS)),
        documents(_ENTRY_POD, gateway("selector: {istio: entry}\n" + _SERVERS)),
        istio="IST0101",
    ),
    Rule(
        "GM210",
        Severity.ERROR,
        "The Secret of a certificate is not known",
        "It is looked for in the namespace of the gateway's Pods. Certificates of cert-manager, "
        "ExternalSecrets and SealedSecrets count as the Secret that they make. It may come from elsewhere, "
        "so that this is a warning unless the cluster has been read (--cluster).",
        documents(_ENTRY_POD, secret("another-cert"), gateway(_TLS_SERVER)),
        documents(_ENTRY_POD, secret("a-cert"), gateway(_TLS_SERVER)),
        istio="IST0101",
    ),
    Rule(
        "GM211",
        Severity.ERROR,
        "No Pod follows a Sidecar",
        "The selector of a Sidecar takes Pods of its own namespace. They may come from elsewhere, so that "
        "this is a warning unless the cluster has been read (--cluster).",
        documents(pod("ratings", "app: ratings"), traffic_object("Sidecar", _SELECTING + _EGRESS)),
        documents(pod("reviews", "app: reviews"), traffic_object("Sidecar", _SELECTING + _EGRESS)),
        istio="IST0101",
    ),
    Rule(
        "GM212",
        Severity.WARNING,
        "A delegate is not in the repository",
        "A rule whose delegate does not exist does nothing. It may be in the cluster all the same.",
        _ROOT,
        documents(_ROOT, _PARTS),
    ),
    Rule(
        "GM213",
        Severity.WARNING,
        "A VirtualService cannot be a delegate",
        "A delegate has no hosts, and is exported to the namespace of the VirtualService that names it. "
        "Otherwise the rule does nothing.",
        documents(_ROOT, _PARTS.replace("spec:\n", "spec:\n  hosts: [ratings]\n")),
        documents(_ROOT, _PARTS),
    ),
    Rule(
        "GM214",
        Severity.WARNING,
        "A rule of a delegate never applies",
        "Istio joins the match of the delegate with that of the rule which delegates, and drops what "
        "contradicts it. A prefix can be narrowed by a longer prefix or an exact path, a regex by nothing.",
        documents(
            reviews_rule("match: [{uri: {prefix: /api}}]\ndelegate: {name: parts}"),
            _PARTS.replace("[{route", "[{match: [{uri: {prefix: /login}}], route"),
        ),
        documents(
            reviews_rule("match: [{uri: {prefix: /api}}]\ndelegate: {name: parts}"),
            _PARTS.replace("[{route", "[{match: [{uri: {prefix: /api/login}}], route"),
        ),
    ),
    Rule(
        "GM215",
        Severity.ERROR,
        "Two Sidecars are for a whole namespace",
        "Of several Sidecars without a selector the proxies of a namespace follow only one, by age.",
        documents(_WHOLE, _WHOLE.replace("name: example", "name: another")),
        _WHOLE,
        istio="IST0111",
    ),
    Rule(
        "GM216",
        Severity.ERROR,
        "Two Sidecars select the same Pods",
        "A proxy follows only one Sidecar, the oldest of those that select its Pod.",
        documents(
            pod("reviews", "app: reviews, version: v1"),
            traffic_object("Sidecar", _SELECTING + _EGRESS),
            traffic_object("Sidecar", _SELECTING.replace("app: reviews", "version: v1") + _EGRESS).replace(
                "name: example", "name: another"
            ),
        ),
        documents(pod("reviews", "app: reviews"), traffic_object("Sidecar", _SELECTING + _EGRESS)),
        istio="IST0110",
    ),
)
