"""GM2xx: references between objects. GM3xx: policies.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, destination_rule, documents, policy, reviews_rule, virtual_service

_ROUTE = "route: [{destination: {host: reviews}}]\n"
_HTTP = "http: [{route: [{destination: {host: reviews}}]}]\n"
_TO_V1 = reviews_rule("route: [{destination: {host: reviews, subset: v1}}]")
_V1 = destination_rule("host: reviews\nsubsets: [{name: v1, labels: {version: v1}}]")
_GATEWAY = (
    "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: entry}\nspec:\n"
    "  servers: [{hosts: [a.example.com], port: {number: 80, name: http, protocol: HTTP}}]\n"
)
_STEPS = "steps: [{progress: 10, hold: 10m}, {progress: 100}]"
_PLAIN = reviews_rule(_ROUTE)

REFERENCE_RULES = (
    Rule(
        "GM201",
        Severity.ERROR,
        "A subset is not defined",
        "Requests to a subset that no DestinationRule defines are answered with 503. Short host names stand "
        "for the namespace of the object that has them.",
        documents(_V1, _TO_V1.replace("v1}}]", "v3}}]")),
        documents(_V1, _TO_V1),
    ),
    Rule(
        "GM202",
        Severity.WARNING,
        "A host is not known",
        "Neither a Service of the cluster nor a ServiceEntry of the repository has this host. It is checked "
        "where the cluster's Services are known.",
        reviews_rule("route: [{destination: {host: reviewz}}]"),
        _PLAIN,
    ),
    Rule(
        "GM203",
        Severity.WARNING,
        "A Gateway is not in the repository",
        "Without its Gateway the VirtualService takes no traffic. It may be in the cluster all the same.",
        virtual_service("hosts: [a.example.com]\ngateways: [entry]\n" + _HTTP),
        documents(_GATEWAY, virtual_service("hosts: [a.example.com]\ngateways: [entry]\n" + _HTTP)),
    ),
    Rule(
        "GM204",
        Severity.ERROR,
        "A subset is defined twice",
        "The names of the subsets of a DestinationRule must differ.",
        destination_rule("host: reviews\nsubsets: [{name: v1}, {name: v1}]"),
        destination_rule("host: reviews\nsubsets: [{name: v1}, {name: v2}]"),
    ),
    Rule(
        "GM205",
        Severity.WARNING,
        "Two VirtualServices have rules for one host",
        "Inside the mesh Istio takes the rules of one of them and ignores the other's, by age. (IST0109)",
        documents(_PLAIN, _PLAIN.replace("name: reviews}", "name: reviews-canary}")),
        _PLAIN,
    ),
    Rule(
        "GM301",
        Severity.ERROR,
        "A policy contradicts itself",
        "Steps must climb and end at 100; the window must not be shorter than the interval; percentages are "
        "0 to 100 and durations like 10s or 5m.",
        documents(_PLAIN, policy("steps: [{progress: 50}, {progress: 25}, {progress: 100}]")),
        documents(_PLAIN, policy(_STEPS)),
    ),
    Rule(
        "GM302",
        Severity.ERROR,
        "Several policies select one VirtualService",
        "It would be a matter of chance which of them moves it. Narrow spec.select until only one fits.",
        documents(_PLAIN, policy(_STEPS), policy(_STEPS, name="fast")),
        documents(_PLAIN, policy(_STEPS), policy("select: {names: [ratings]}\n" + _STEPS, name="fast")),
    ),
    Rule(
        "GM303",
        Severity.WARNING,
        "A policy selects nothing",
        "No VirtualService of the repository has such a namespace, name and hosts: the policy moves nothing.",
        documents(_PLAIN, policy("select: {names: [review]}\n" + _STEPS)),
        documents(_PLAIN, policy("select: {names: [reviews]}\n" + _STEPS)),
    ),
)
