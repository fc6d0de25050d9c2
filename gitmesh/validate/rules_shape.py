"""GM101 to GM110: findings about the shape of a spec.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, reviews_rule, traffic_object

_ROUTE = "route: [{destination: {host: reviews}}]\n"

SHAPE_RULES = (
    Rule(
        "GM101",
        Severity.ERROR,
        "A field does not exist",
        "An API server drops unknown fields silently: what was meant would never take effect. "
        "The fields are those of Istio 1.30.",
        reviews_rule(_ROUTE + "timeOut: 10s"),
        reviews_rule(_ROUTE + "timeout: 10s"),
        istio="IST0106",
    ),
    Rule(
        "GM102",
        Severity.ERROR,
        "A value has the wrong type",
        'Types are never converted: "90" is text, not a number. The message says what was found.',
        reviews_rule('route: [{destination: {host: reviews}, weight: "90"}]'),
        reviews_rule("route: [{destination: {host: reviews}, weight: 90}]"),
        istio="IST0106",
    ),
    Rule(
        "GM103",
        Severity.ERROR,
        "A field is missing",
        "The field is required where it is named.",
        reviews_rule("route: [{destination: {}}]"),
        reviews_rule(_ROUTE),
        istio="IST0106",
    ),
    Rule(
        "GM104",
        Severity.ERROR,
        "A value is not one of those that exist",
        "The message lists the values. They are written exactly so, with capital letters where shown.",
        traffic_object("DestinationRule", "host: reviews\ntrafficPolicy: {loadBalancer: {simple: random}}"),
        traffic_object("DestinationRule", "host: reviews\ntrafficPolicy: {loadBalancer: {simple: RANDOM}}"),
        istio="IST0106",
    ),
    Rule(
        "GM105",
        Severity.ERROR,
        "Fields exclude each other",
        "Only one of these fields can be set in one place.",
        reviews_rule("match: [{uri: {exact: /a, prefix: /a}}]\n" + _ROUTE),
        reviews_rule("match: [{uri: {prefix: /a}}]\n" + _ROUTE),
        istio="IST0106",
    ),
    Rule(
        "GM106",
        Severity.ERROR,
        "A number or a length is out of range",
        "The message says the bound. Ports are 1 to 65535, percentages 0 to 100.",
        reviews_rule("route: [{destination: {host: reviews, port: {number: 70000}}}]"),
        reviews_rule("route: [{destination: {host: reviews, port: {number: 9080}}}]"),
        istio="IST0106",
    ),
    Rule(
        "GM107",
        Severity.ERROR,
        "A duration cannot be used",
        "Durations are text such as 250ms, 10s or 1m30s, in whole milliseconds and at least 1ms. "
        "There are no days. `timeout: 0s` is refused by Istio: leave the field out for no timeout.",
        reviews_rule(_ROUTE + "timeout: 0s"),
        reviews_rule(_ROUTE + "timeout: 10s"),
        istio="IST0106",
    ),
    Rule(
        "GM108",
        Severity.ERROR,
        "A text has the wrong form",
        "Host names, names of subsets, ports, namespaces and gateways, and regular expressions have rules; "
        "the message says which one is broken.",
        reviews_rule("route: [{destination: {host: reviews, subset: 'v1!'}}]"),
        reviews_rule(_ROUTE),
        istio="IST0106",
    ),
    Rule(
        "GM109",
        Severity.ERROR,
        "Istio refuses this combination",
        "Each field is fine by itself; together, or at this place, Istio's own validation refuses them.",
        traffic_object(
            "ServiceEntry",
            "hosts: [a.example.com]\nports: [{number: 80, name: http, protocol: HTTP}]\nresolution: NONE\n"
            "endpoints: [{address: 10.0.0.1}]",
        ),
        traffic_object(
            "ServiceEntry",
            "hosts: [a.example.com]\nports: [{number: 80, name: http, protocol: HTTP}]\nresolution: STATIC\n"
            "endpoints: [{address: 10.0.0.1}]",
        ),
        istio="IST0106",
    ),
    Rule(
        "GM110",
        Severity.ERROR,
        "Two elements of a list must differ",
        "Names and numbers of ports identify them, so each can be there only once.",
        traffic_object(
            "ServiceEntry",
            "hosts: [a.example.com]\nresolution: DNS\n"
            "ports: [{number: 80, name: http}, {number: 8080, name: http}]",
        ),
        traffic_object(
            "ServiceEntry",
            "hosts: [a.example.com]\nresolution: DNS\n"
            "ports: [{number: 80, name: http}, {number: 8080, name: http-alt}]",
        ),
        istio="IST0106",
    ),
)
