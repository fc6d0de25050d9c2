"""GM401 to GM422: what Istio accepts although it does nothing, or fails later.

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

_ROUTE = "route: [{destination: {host: reviews}}]\n"
_TO = "route: [{destination: {host: %s}}]"
_HALVES = "route: [{destination: {host: reviews}, weight: %s}, {destination: {host: ratings}, weight: %s}]"
_SERVERS = "servers: [{hosts: [a.example.com], port: {number: 80, name: http, protocol: HTTP}}]\n"
_TWO_SERVERS = (
    "selector: {istio: ingressgateway}\nservers:\n"
    "- {hosts: [a.example.com], port: {number: 80, name: http, protocol: HTTP}}\n"
    "- {hosts: [a.example.com], port: {number: %s, name: https, protocol: HTTPS}, "
    "tls: {mode: SIMPLE, credentialName: a-cert}}"
)
_SPLIT = "route:\n- {destination: {host: reviews%s}, weight: 90}\n"
_V2 = "- {destination: {host: reviews, subset: v2}, weight: 10}"
_SUBSETS = destination_rule(
    "host: reviews\nsubsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]"
)
_POLICY = "host: reviews\ntrafficPolicy: "


def _two_rules(first: str, second: str) -> str:
    return virtual_service(f"hosts: [reviews]\nhttp:\n- {{{first}}}\n- {{{second}}}")


EFFECT_RULES = (
    Rule(
        "GM401",
        Severity.WARNING,
        "An abort never aborts",
        "The percentage of an abort that names none is 0, whatever the documentation says of 100.",
        reviews_rule(_ROUTE + "fault: {abort: {httpStatus: 503}}"),
        reviews_rule(_ROUTE + "fault: {abort: {httpStatus: 503, percentage: {value: 100}}}"),
    ),
    Rule(
        "GM402",
        Severity.WARNING,
        "A delay never delays",
        "The percentage of a delay that names none is 0.",
        reviews_rule(_ROUTE + "fault: {delay: {fixedDelay: 5s}}"),
        reviews_rule(_ROUTE + "fault: {delay: {fixedDelay: 5s, percentage: {value: 100}}}"),
    ),
    Rule(
        "GM403",
        Severity.ERROR,
        "Envoy has no redirect with this code",
        "Istio accepts every code from 300 to 399; Envoy has 301, 302, 303, 307 and 308. For another one "
        "Istio makes a route without an action, and Envoy refuses all routes of the port because of it.",
        reviews_rule("redirect: {uri: /new, redirectCode: 304}"),
        reviews_rule("redirect: {uri: /new, redirectCode: 308}"),
    ),
    Rule(
        "GM404",
        Severity.WARNING,
        "The weight of an only destination does nothing",
        "A single destination gets every request, with weight 0 as well. To send a part of the requests "
        "elsewhere, name the other destination.",
        reviews_rule("route: [{destination: {host: reviews}, weight: 10}]"),
        reviews_rule(_HALVES % (10, 90)),
    ),
    Rule(
        "GM405",
        Severity.WARNING,
        "Retries do not fit into the timeout",
        "The timeout of a rule is for all tries together. When each may take perTryTimeout, it ends "
        "before the last one.",
        reviews_rule(_ROUTE + "timeout: 5s\nretries: {attempts: 3, perTryTimeout: 2s}"),
        reviews_rule(_ROUTE + "timeout: 10s\nretries: {attempts: 3, perTryTimeout: 2s}"),
    ),
    Rule(
        "GM406",
        Severity.WARNING,
        "A delay does not use up the timeout beside it",
        "Envoy starts the clock of the timeout after the delay, so requests are slow and do not time out. "
        "What is to be seen are the timeouts of the callers.",
        reviews_rule(_ROUTE + "timeout: 2s\nfault: {delay: {fixedDelay: 5s, percentage: {value: 100}}}"),
        reviews_rule(_ROUTE + "fault: {delay: {fixedDelay: 5s, percentage: {value: 100}}}"),
    ),
    Rule(
        "GM407",
        Severity.INFO,
        "Weights do not add up to 100",
        "Weights are shares of their sum. People read them as percent. Sums of 1000 and 10000 are taken for "
        "what they are: shares below one percent.",
        reviews_rule(_HALVES % (75, 75)),
        reviews_rule(_HALVES % (75, 25)),
    ),
    Rule(
        "GM408",
        Severity.WARNING,
        "A path with ? or # never matches",
        "Paths are compared without the query. Match the query with queryParams.",
        reviews_rule("match: [{uri: {exact: '/list?page=1'}}]\n" + _ROUTE),
        reviews_rule("match: [{uri: {exact: /list}, queryParams: {page: {exact: '1'}}}]\n" + _ROUTE),
    ),
    Rule(
        "GM409",
        Severity.WARNING,
        "Two rules have one name",
        "Metrics, access logs and rollouts tell rules apart by their name.",
        _two_rules(
            "name: main, match: [{uri: {prefix: /a}}], " + _TO % "reviews", "name: main, " + _TO % "ratings"
        ),
        _two_rules(
            "name: a, match: [{uri: {prefix: /a}}], " + _TO % "reviews", "name: main, " + _TO % "ratings"
        ),
    ),
    Rule(
        "GM410",
        Severity.WARNING,
        "Requests are mirrored to where they go",
        "The destination gets every request twice, and its answers to the copies are thrown away.",
        reviews_rule(_ROUTE + "mirror: {host: reviews}"),
        reviews_rule(_ROUTE + "mirror: {host: ratings}"),
    ),
    Rule(
        "GM411",
        Severity.INFO,
        "A subset is every endpoint",
        "A subset without labels has all endpoints of its host, those of the other subsets included. One "
        "that only carries a trafficPolicy, or that leads to an egress gateway, is meant so.",
        destination_rule("host: reviews\nsubsets: [{name: v1}]"),
        destination_rule("host: reviews\nsubsets: [{name: v1, labels: {version: v1}}]"),
    ),
    Rule(
        "GM412",
        Severity.WARNING,
        "A consistent hash of nothing",
        "Without a header, cookie, address or parameter to hash, Envoy picks an endpoint at random.",
        destination_rule(_POLICY + "{loadBalancer: {consistentHash: {ringHash: {minimumRingSize: 1024}}}}"),
        destination_rule(_POLICY + "{loadBalancer: {consistentHash: {useSourceIp: true}}}"),
    ),
    Rule(
        "GM413",
        Severity.WARNING,
        "No request is left for a match or rule",
        "An earlier match takes all of its requests: it has any path (prefix /), or a prefix of an exact "
        "path, and no condition that could let one through. Istio warns of the same match and of prefixes "
        "only (GM131).",
        _two_rules("match: [{uri: {prefix: /}}], " + _TO % "reviews", _TO % "ratings"),
        _two_rules("match: [{uri: {prefix: /a}}], " + _TO % "reviews", _TO % "ratings"),
    ),
    Rule(
        "GM414",
        Severity.WARNING,
        "A rewrite glues two parts of a path together",
        "Only the text of the matched prefix is replaced. /api/ replaced by /v2 makes /v2list of /api/list; "
        "without a match the prefix is /.",
        reviews_rule("match: [{uri: {prefix: /api/}}]\n" + _ROUTE + "rewrite: {uri: /v2}"),
        reviews_rule("match: [{uri: {prefix: /api/}}]\n" + _ROUTE + "rewrite: {uri: /v2/}"),
    ),
    Rule(
        "GM415",
        Severity.WARNING,
        "A port has settings twice",
        "Only one element of portLevelSettings counts for a port.",
        destination_rule(
            _POLICY + "{portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}, "
            "{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}"
        ),
        destination_rule(
            _POLICY + "{portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}, "
            "loadBalancer: {simple: RANDOM}}]}"
        ),
    ),
    Rule(
        "GM416",
        Severity.WARNING,
        "A setting does nothing without a route",
        "Envoy answers a redirect or a fixed response itself. Timeouts, retries and mirrors are for requests "
        "that are sent on.",
        reviews_rule("redirect: {uri: /new}\ntimeout: 5s"),
        reviews_rule("redirect: {uri: /new}"),
    ),
    Rule(
        "GM417",
        Severity.WARNING,
        "The caller is not looked at beside gateways",
        "A match with gateways holds for all callers of those gateways: sourceLabels and sourceNamespace are "
        "not compared.",
        reviews_rule("match: [{gateways: [mesh], sourceLabels: {app: a}}]\n" + _ROUTE),
        reviews_rule("match: [{sourceLabels: {app: a}}]\n" + _ROUTE),
    ),
    Rule(
        "GM418",
        Severity.WARNING,
        "ignoreUriCase does nothing for a regular expression",
        "It holds for exact and prefix. A regular expression says it itself, with (?i).",
        reviews_rule("match: [{uri: {regex: /a.*}, ignoreUriCase: true}]\n" + _ROUTE),
        reviews_rule("match: [{uri: {regex: (?i)/a.*}}]\n" + _ROUTE),
    ),
    Rule(
        "GM419",
        Severity.WARNING,
        "A limit of 0 is no limit",
        "Istio sends only limits above 0 to Envoy. The smallest one is 1.",
        destination_rule(_POLICY + "{connectionPool: {tcp: {maxConnections: 0}}}"),
        destination_rule(_POLICY + "{connectionPool: {tcp: {maxConnections: 1}}}"),
    ),
    Rule(
        "GM420",
        Severity.WARNING,
        "A Gateway for every gateway of the mesh",
        "Without a selector each gateway workload of every namespace serves it, egress gateways included.",
        traffic_object("Gateway", _SERVERS),
        traffic_object("Gateway", _SERVERS + "selector: {istio: ingressgateway}"),
    ),
    Rule(
        "GM421",
        Severity.WARNING,
        "A share goes to the whole host, beside one of its subsets",
        "A destination without a subset is every endpoint of the host. Beside a subset of the same host the "
        "subset gets its own share and a part of the other one.",
        documents(_SUBSETS, reviews_rule(_SPLIT % "" + _V2)),
        documents(_SUBSETS, reviews_rule(_SPLIT % ", subset: v1" + _V2)),
    ),
    Rule(
        "GM422",
        Severity.WARNING,
        "Servers with different protocols share a port",
        "Hosts tell servers apart that are all plain HTTP, or all TLS (HTTPS included). Any other server has "
        "its port alone; Istio takes the first one and drops the others.",
        traffic_object("Gateway", _TWO_SERVERS % 80),
        traffic_object("Gateway", _TWO_SERVERS % 443),
    ),
)
