"""GM423 to GM442: conditions that are never met, and settings that do less, or more, than they say.

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
_HOST = "host: reviews\ntrafficPolicy: "
_BALANCED = _HOST + "{loadBalancer: {%s}}"
_HASHED = _BALANCED % "consistentHash: {%s}"
_EJECTS = "outlierDetection: {consecutive5xxErrors: 5}"
_KNOWN = "loadBalancer: {localityLbSetting: {enabled: true}}"


def _match(condition: str) -> str:
    return reviews_rule(f"match: [{{{condition}}}]\n" + _ROUTE)


def _bound(to: str) -> str:
    spec = "hosts: [reviews]\ngateways: [mesh]\nhttp:\n"
    return virtual_service(f"{spec}- match: [{{gateways: [{to}]}}]\n  {_ROUTE}")


def _ejecting(conditions: str) -> str:
    return destination_rule(_HOST + f"{{{_KNOWN}, outlierDetection: {{{conditions}}}}}")


def _external(protocol: str) -> str:
    port = f"{{number: 443, name: https, protocol: {protocol}}}"
    entry = f"hosts: [ext.example.com]\nports: [{port}]\nresolution: DNS\nlocation: MESH_EXTERNAL"
    rule = "hosts: [ext.example.com]\nhttp: [{timeout: 5s, route: [{destination: {host: ext.example.com}}]}]"
    return documents(traffic_object("ServiceEntry", entry), virtual_service(rule))


MATCH_RULES = (
    Rule(
        "GM423",
        Severity.WARNING,
        "A path that no request has",
        "Every path begins with /. Before it is compared, . and .. are resolved, and letters, digits and the "
        "marks -._~ are no longer written with %.",
        _match("uri: {prefix: api}"),
        _match("uri: {prefix: /api}"),
    ),
    Rule(
        "GM424",
        Severity.WARNING,
        "A method or scheme in the wrong case",
        "Methods are written in upper case, schemes in lower case, and they are compared letter by letter.",
        _match("method: {exact: get}"),
        _match("method: {exact: GET}"),
    ),
    Rule(
        "GM425",
        Severity.WARNING,
        "One header under two names",
        "Names of headers that differ in upper and lower case only are the same header. In a match both "
        "conditions must hold; of two changes it is a matter of order which one is left.",
        _match("headers: {X-User: {exact: a}, x-user: {exact: b}}"),
        _match('headers: {x-user: {regex: "a|b"}}'),
    ),
    Rule(
        "GM426",
        Severity.WARNING,
        "A header is wanted and refused",
        "headers and withoutHeaders of one match ask for the opposite, so that no request meets both.",
        _match("headers: {x-user: {exact: a}}, withoutHeaders: {x-user: {exact: a}}"),
        _match("headers: {x-user: {exact: a}}, withoutHeaders: {x-group: {exact: a}}"),
    ),
    Rule(
        "GM427",
        Severity.WARNING,
        "A match names a gateway without the rules",
        "Proxies of a gateway have the rules of the VirtualServices that are bound to it, in spec.gateways. "
        "Without spec.gateways that is mesh, all sidecars.",
        _bound("edge"),
        _bound("mesh"),
    ),
)

ACTION_RULES = (
    Rule(
        "GM428",
        Severity.ERROR,
        "A number that Envoy refuses",
        "Istio accepts the status 600, rings of any size and any sum of weights; Envoy does not, and with "
        "the number it refuses everything else of the same update.",
        reviews_rule("directResponse: {status: 600}"),
        reviews_rule("directResponse: {status: 503}"),
    ),
    Rule(
        "GM429",
        Severity.WARNING,
        "A share of requests is mirrored nowhere",
        "mirrorPercentage belongs to mirror. Each of mirrors has a percentage of its own.",
        reviews_rule(_ROUTE + "mirrorPercentage: {value: 10}"),
        reviews_rule(_ROUTE + "mirror: {host: reviews-next}\nmirrorPercentage: {value: 10}"),
    ),
    Rule(
        "GM430",
        Severity.WARNING,
        "Retries on statuses that are not named",
        "retriable-status-codes stands for the numbers beside it, as in retriable-status-codes,503. Requests "
        "can name some as well, in a header.",
        reviews_rule(_ROUTE + "retries: {attempts: 2, retryOn: retriable-status-codes}"),
        reviews_rule(_ROUTE + 'retries: {attempts: 2, retryOn: "retriable-status-codes,503"}'),
    ),
    Rule(
        "GM431",
        Severity.WARNING,
        "A header is set for the rule and for a destination",
        "With one destination its own value wins. With several destinations that of the rule wins.",
        reviews_rule(
            "headers: {request: {set: {x-from: rule}}}\n"
            "route: [{destination: {host: reviews}, headers: {request: {set: {x-from: part}}}}]"
        ),
        reviews_rule("route: [{destination: {host: reviews}, headers: {request: {set: {x-from: part}}}}]"),
    ),
    Rule(
        "GM432",
        Severity.WARNING,
        "A CORS policy without origins",
        "Without allowOrigins no origin is allowed, and the other fields are never used.",
        reviews_rule(_ROUTE + "corsPolicy: {allowMethods: [GET]}"),
        reviews_rule(
            _ROUTE + "corsPolicy: {allowMethods: [GET], allowOrigins: [{exact: https://a.example}]}"
        ),
    ),
    Rule(
        "GM433",
        Severity.WARNING,
        "A destination is there twice",
        "Both shares go to the same host, subset and port. Mostly one of them is meant for another subset.",
        reviews_rule(
            "route: [{destination: {host: reviews}, weight: 90}, {destination: {host: reviews}, weight: 10}]"
        ),
        reviews_rule(
            "route: [{destination: {host: reviews}, weight: 90}, {destination: {host: ratings}, weight: 10}]"
        ),
    ),
    Rule(
        "GM434",
        Severity.INFO,
        "The whole path is replaced",
        "rewrite.uri replaces a matched prefix. With a regular expression, as with exact, it replaces "
        "everything up to the query.",
        reviews_rule('match: [{uri: {regex: "/v[12]/.*"}}]\nrewrite: {uri: /api}\n' + _ROUTE),
        reviews_rule(
            'match: [{uri: {regex: "/v[12]/.*"}}]\n'
            'rewrite: {uriRegexRewrite: {match: "^/v[12]", rewrite: /api}}\n' + _ROUTE
        ),
    ),
)

OTHER_RULES = (
    Rule(
        "GM435",
        Severity.INFO,
        "Settings of a port replace those of the policy",
        "portLevelSettings add nothing to the policy around them: for that port they stand instead of its "
        "loadBalancer, connectionPool, outlierDetection and tls.",
        destination_rule(
            _HOST + "\n  connectionPool: {tcp: {maxConnections: 9}}\n"
            "  portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]"
        ),
        destination_rule(
            _HOST + "\n  connectionPool: {tcp: {maxConnections: 9}}\n  portLevelSettings:\n"
            "  - port: {number: 80}\n    loadBalancer: {simple: RANDOM}\n"
            "    connectionPool: {tcp: {maxConnections: 9}}"
        ),
    ),
    Rule(
        "GM436",
        Severity.INFO,
        "Taking endpoints out keeps requests in their zone",
        "Where endpoints are known to fail, Istio prefers those in the zone and region of the caller, unless "
        "the mesh has that switched off. What loadBalancer says holds inside a zone, and a zone with few "
        "endpoints gets all requests of its callers.",
        destination_rule(_HOST + f"{{{_EJECTS}, loadBalancer: {{simple: ROUND_ROBIN}}}}"),
        destination_rule(
            _HOST
            + f"{{{_EJECTS}, loadBalancer: {{simple: ROUND_ROBIN, localityLbSetting: {{enabled: false}}}}}}"
        ),
    ),
    Rule(
        "GM437",
        Severity.WARNING,
        "A warm-up that does nothing",
        "Envoy gives new endpoints less than their share with ROUND_ROBIN and LEAST_REQUEST only.",
        destination_rule(_BALANCED % "simple: RANDOM, warmup: {duration: 60s}"),
        destination_rule(_BALANCED % "simple: ROUND_ROBIN, warmup: {duration: 60s}"),
    ),
    Rule(
        "GM438",
        Severity.WARNING,
        "Places for a balancing that is switched off",
        "With enabled: false neither distribute nor failover is looked at.",
        destination_rule(
            _BALANCED % "localityLbSetting: {enabled: false, distribute: [{from: a/*, to: {a/*: 100}}]}"
        ),
        destination_rule(_BALANCED % "localityLbSetting: {distribute: [{from: a/*, to: {a/*: 100}}]}"),
    ),
    Rule(
        "GM439",
        Severity.WARNING,
        "A number of errors that is never reached",
        "consecutive5xxErrors is 5 where it is not set, and counts errors of gateways as well: a larger "
        "consecutiveGatewayErrors is never reached. 0 switches a count off.",
        _ejecting("consecutive5xxErrors: 5, consecutiveGatewayErrors: 10"),
        _ejecting("consecutive5xxErrors: 0, consecutiveGatewayErrors: 10"),
    ),
    Rule(
        "GM440",
        Severity.INFO,
        "A cookie that no proxy sets",
        "Requests without the cookie go anywhere. With a ttl the proxy sets one; 0s is for the session.",
        destination_rule(_HASHED % "httpCookie: {name: user}"),
        destination_rule(_HASHED % "httpCookie: {name: user, ttl: 0s}"),
    ),
    Rule(
        "GM441",
        Severity.WARNING,
        "Rules for a protocol that the host does not speak",
        "Rules for HTTP need a port where requests can be seen: those of a host whose ports are all HTTPS or "
        "TLS are encrypted by the client. tls rules need such a port, and tcp rules one that is not HTTP.",
        _external("HTTPS"),
        _external("HTTP"),
    ),
    Rule(
        "GM442",
        Severity.WARNING,
        "Envoy knows no such command for a header",
        "Istio looks at the percent signs of a value only. Envoy refuses a command that it does not know, "
        "and everything else of the same update.",
        reviews_rule(_ROUTE + 'headers: {request: {set: {x-client: "%DOWNSTREAM_ADDRESS%"}}}'),
        reviews_rule(_ROUTE + 'headers: {request: {set: {x-client: "%DOWNSTREAM_REMOTE_ADDRESS%"}}}'),
    ),
)

UNMET_RULES = (*MATCH_RULES, *ACTION_RULES, *OTHER_RULES)
