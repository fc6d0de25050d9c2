"""GM120 to GM130: what Istio demands of one object beyond its shape.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, destination_rule, reviews_rule, traffic_object, virtual_service

_ROUTE = "route: [{destination: {host: reviews}}]\n"
_HTTP = "http: [{route: [{destination: {host: reviews}}]}]\n"
_SERVER = "servers: [{hosts: [a.example.com], port: {number: 443, name: https, protocol: HTTPS}"

OBJECT_RULES = (
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
)
