"""GM111 to GM133: what Istio demands of one object beyond its shape.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, destination_rule, reviews_rule, traffic_object, virtual_service

_ROUTE = "route: [{destination: {host: reviews}}]\n"
_HTTP = "http: [{route: [{destination: {host: reviews}}]}]\n"
_PLAIN = virtual_service("hosts: [reviews]\n" + _HTTP)
_CLAIM = "hosts: [a.example.com]\ngateways: [{}]\n" + (
    "http: [{{match: [{{headers: {{'@request.auth.claims.group': {{exact: beta}}}}}}], "
    "route: [{{destination: {{host: reviews}}}}]}}]"
)
_TLS_ROUTE = "hosts: [a.example.com]\ntls: [{{match: [{{sniHosts: [{}]}}], " + (
    "route: [{{destination: {{host: reviews}}}}]}}]"
)
_SHARES = "host: reviews\ntrafficPolicy: {{loadBalancer: {{localityLbSetting: {{distribute: [" + (
    "{{from: eu/*, to: {{eu/*: 80, us/*: {}}}}}]}}}}}}"
)
_SERVER = "servers: [{hosts: [a.example.com], port: {number: 443, name: https, protocol: HTTPS}"

OBJECT_RULES = (
    Rule(
        "GM111",
        Severity.ERROR,
        "An annotation is Istio's own",
        "Some annotations are set by Istio alone, and istio.io/dry-run holds for an AuthorizationPolicy "
        "only. Istio refuses a traffic object that has one.",
        _PLAIN.replace("{name: reviews}", "{name: reviews, annotations: {istio.io/dry-run: 'true'}}"),
        _PLAIN,
        istio="IST0106",
    ),
    Rule(
        "GM112",
        Severity.ERROR,
        "A label cannot exist",
        "Keys and values of labels have rules in Kubernetes: letters, digits, -, _ and ., at most 63. A "
        "selector with another one can never select anything, and wildcards are not known.",
        destination_rule("host: reviews\nsubsets: [{name: v1, labels: {version: '*'}}]"),
        destination_rule("host: reviews\nsubsets: [{name: v1, labels: {version: v1}}]"),
        istio="IST0106",
    ),
    Rule(
        "GM113",
        Severity.WARNING,
        "An annotation of GitMesh has no effect",
        "It begins with gitmesh.dev/, and GitMesh does not know it, or not with this value, or only on the "
        "live object. Whoever wrote it expects something that will not happen: that an object is left alone, "
        "say, or kept from pruning.",
        _PLAIN.replace("{name: reviews}", "{name: reviews, annotations: {gitmesh.dev/prune: 'false'}}"),
        _PLAIN.replace("{name: reviews}", "{name: reviews, annotations: {gitmesh.dev/prune: disabled}}"),
    ),
    Rule(
        "GM114",
        Severity.ERROR,
        "A header cannot be changed so",
        "Headers that begin with a colon cannot be changed, and the host of a request in one place only "
        "(rewrite.authority, headers.request.set or headers.request.add). In values % begins a command of "
        "Envoy, such as %HOSTNAME%; a percent sign is written %%.",
        reviews_rule(_ROUTE + "headers: {request: {set: {x-share: 50%}}}"),
        reviews_rule(_ROUTE + "headers: {request: {set: {x-share: 50%%}}}"),
        istio="IST0106",
    ),
    Rule(
        "GM120",
        Severity.ERROR,
        "A VirtualService has nothing to route",
        "It needs at least one of http, tcp or tls. Istio's own documentation has an example without.",
        virtual_service("hosts: [reviews]"),
        virtual_service("hosts: [reviews]\n" + _HTTP),
        istio="IST0106",
    ),
    Rule(
        "GM121",
        Severity.ERROR,
        "Two hosts of a VirtualService overlap",
        "The hosts are equal, or the wildcard of one covers the other, so a request would match both.",
        virtual_service("hosts: ['*.example.com', a.example.com]\n" + _HTTP),
        virtual_service("hosts: ['*.example.com']\n" + _HTTP),
        istio="IST0106",
    ),
    Rule(
        "GM122",
        Severity.ERROR,
        "The host * is bound to the mesh",
        "Rules for every host can be bound to a gateway only: inside the mesh they would take all traffic.",
        virtual_service("hosts: ['*']\n" + _HTTP),
        virtual_service("hosts: [reviews]\n" + _HTTP),
        istio="IST0106",
    ),
    Rule(
        "GM123",
        Severity.ERROR,
        "A rule does not say what happens",
        "An HTTP rule needs route, redirect or directResponse; a TCP or TLS rule needs route.",
        reviews_rule("timeout: 10s"),
        reviews_rule(_ROUTE + "timeout: 10s"),
        istio="IST0106",
    ),
    Rule(
        "GM124",
        Severity.ERROR,
        "Weights send no traffic, or less than none",
        "With several destinations at least one needs a weight above 0, and none may be negative. "
        "Weights need not add up to 100, but people read them as percentages.",
        reviews_rule("route:\n- {destination: {host: reviews}}\n- {destination: {host: ratings}}"),
        reviews_rule(
            "route:\n- {destination: {host: reviews}, weight: 75}\n"
            "- {destination: {host: ratings}, weight: 25}"
        ),
        istio="IST0106",
    ),
    Rule(
        "GM125",
        Severity.ERROR,
        "A delegate has more than HTTP rules",
        "A VirtualService without hosts is a delegate of another one. It has neither gateways nor tcp or "
        "tls, and does not delegate further.",
        virtual_service("gateways: [mesh]\n" + _HTTP),
        virtual_service("hosts: [reviews]\ngateways: [mesh]\n" + _HTTP),
        istio="IST0106",
    ),
    Rule(
        "GM126",
        Severity.ERROR,
        "Something is empty that must not be",
        "A policy, fault, rewrite, redirect or list without content has no effect, and Istio refuses it.",
        destination_rule("host: reviews\ntrafficPolicy: {}"),
        destination_rule("host: reviews\ntrafficPolicy: {loadBalancer: {simple: RANDOM}}"),
        istio="IST0106",
    ),
    Rule(
        "GM127",
        Severity.ERROR,
        "Retries are configured without attempts",
        "attempts: 0 switches retries off, and so does leaving it out when other fields of retries are set.",
        reviews_rule(_ROUTE + "retries: {perTryTimeout: 2s}"),
        reviews_rule(_ROUTE + "retries: {attempts: 3, perTryTimeout: 2s}"),
        istio="IST0106",
    ),
    Rule(
        "GM128",
        Severity.ERROR,
        "TLS settings do not fit",
        "HTTPS and TLS need tls with a mode; SIMPLE and MUTUAL need certificates, as files or as the name of "
        "a Secret (credentialName); plain protocols take no tls.",
        traffic_object("Gateway", _SERVER + "}]"),
        traffic_object("Gateway", _SERVER + ", tls: {mode: SIMPLE, credentialName: a-cert}}]"),
        istio="IST0106",
    ),
    Rule(
        "GM129",
        Severity.ERROR,
        "Claims of a token are matched inside the mesh",
        "Headers of the form @request.auth.claims.NAME stand for claims of a verified token. Only "
        "gateways know them: bind the VirtualService to gateways, and not to the mesh.",
        virtual_service(_CLAIM.format("mesh")),
        virtual_service(_CLAIM.format("entry")),
        istio="IST0106",
    ),
    Rule(
        "GM130",
        Severity.WARNING,
        "No request reaches a rule",
        "Rules are tried from first to last. One without a match takes every request, so it must be last.",
        virtual_service(
            "hosts: [reviews]\nhttp:\n- route: [{destination: {host: reviews}}]\n"
            "- match: [{uri: {prefix: /a}}]\n  route: [{destination: {host: ratings}}]"
        ),
        virtual_service(
            "hosts: [reviews]\nhttp:\n- match: [{uri: {prefix: /a}}]\n"
            "  route: [{destination: {host: ratings}}]\n- route: [{destination: {host: reviews}}]"
        ),
        istio="IST0130",
    ),
    Rule(
        "GM131",
        Severity.WARNING,
        "A match is never used",
        "An earlier match takes all of its requests: it is the same, or it has a shorter prefix of the "
        "path and no other condition that could let one through.",
        virtual_service(
            "hosts: [reviews]\nhttp:\n- match: [{uri: {prefix: /a}}]\n"
            "  route: [{destination: {host: ratings}}]\n- match: [{uri: {prefix: /a/b}}]\n"
            "  route: [{destination: {host: reviews}}]"
        ),
        virtual_service(
            "hosts: [reviews]\nhttp:\n- match: [{uri: {prefix: /a/b}}]\n"
            "  route: [{destination: {host: reviews}}]\n- match: [{uri: {prefix: /a}}]\n"
            "  route: [{destination: {host: ratings}}]"
        ),
        istio="IST0131",
    ),
    Rule(
        "GM132",
        Severity.ERROR,
        "The name of a server is not among the hosts",
        "Each of sniHosts must be one of the hosts of the VirtualService, or be covered by one with a "
        "wildcard.",
        virtual_service(_TLS_ROUTE.format("b.example.com")),
        virtual_service(_TLS_ROUTE.format("a.example.com")),
        istio="IST0106",
    ),
    Rule(
        "GM133",
        Severity.ERROR,
        "Load balancing by place contradicts itself",
        "The shares of one place add up to 100, no place is included in another, and failover leads from one "
        "region to another one.",
        destination_rule(_SHARES.format(30)),
        destination_rule(_SHARES.format(20)),
        istio="IST0106",
    ),
)
