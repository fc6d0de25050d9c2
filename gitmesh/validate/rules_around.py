"""GM241 to GM290: findings about objects of other kinds, about what Istio says, and what was not checked.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, documents, traffic_object, virtual_service
from gitmesh.validate.rule_context import pod, service


def _patch(target: str, operation: str, rest: str = "", version: str = "") -> str:
    match = f"match: {{proxy: {{proxyVersion: '{version}'}}}}, " if version else ""
    patch = f"patch: {{operation: {operation}, value: {{name: lua}}}}"
    spec = f"configPatches: [{{applyTo: {target}, {match}{patch}}}]\n{rest}"
    return traffic_object("EnvoyFilter", spec).replace(
        "networking.istio.io/v1\n", "networking.istio.io/v1alpha3\n"
    )


_API_ROUTE = (
    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: reviews}\n"
    "spec: {parentRefs: [{name: entry}]}\n"
)
_STATUS = "status: {parents: [{conditions: [{type: Accepted, status: 'False', reason: NoMatchingParent}]}]}\n"

AROUND_RULES = (
    Rule(
        "GM241",
        Severity.WARNING,
        "An EnvoyFilter depends on an order that nobody has chosen",
        "REMOVE, REPLACE, INSERT_BEFORE and INSERT_AFTER change what other EnvoyFilters have left. Without "
        "spec.priority those are applied by age, which is another one in each cluster.",
        _patch("HTTP_FILTER", "INSERT_BEFORE"),
        _patch("HTTP_FILTER", "INSERT_BEFORE", "priority: 10\n"),
        istio="IST0151",
    ),
    Rule(
        "GM242",
        Severity.ERROR,
        "An EnvoyFilter replaces what cannot be replaced",
        "REPLACE is for NETWORK_FILTER, HTTP_FILTER and VIRTUAL_HOST; for anything else it does nothing.",
        _patch("CLUSTER", "REPLACE"),
        _patch("CLUSTER", "MERGE"),
        istio="IST0152",
    ),
    Rule(
        "GM243",
        Severity.ERROR,
        "An EnvoyFilter adds what cannot be added",
        "ADD does nothing for ROUTE_CONFIGURATION and HTTP_ROUTE.",
        _patch("HTTP_ROUTE", "ADD"),
        _patch("HTTP_ROUTE", "INSERT_FIRST"),
        istio="IST0153",
    ),
    Rule(
        "GM244",
        Severity.ERROR,
        "An EnvoyFilter removes what cannot be removed",
        "REMOVE does nothing for ROUTE_CONFIGURATION and HTTP_ROUTE.",
        _patch("ROUTE_CONFIGURATION", "REMOVE"),
        _patch("VIRTUAL_HOST", "REMOVE", "priority: 10\n"),
        istio="IST0154",
    ),
    Rule(
        "GM245",
        Severity.WARNING,
        "An EnvoyFilter depends on the order of others for one version of proxies",
        "As GM241. Another patch of the same filter is for proxies of one version, so that the order differs "
        "from proxy to proxy.",
        documents(
            _patch("HTTP_FILTER", "INSERT_BEFORE"),
            _patch("HTTP_FILTER", "INSERT_BEFORE", "priority: 10\n", version="^1[.]30.*").replace(
                "name: example", "name: older"
            ),
        ),
        documents(
            _patch("HTTP_FILTER", "INSERT_BEFORE", "priority: 20\n"),
            _patch("HTTP_FILTER", "INSERT_BEFORE", "priority: 10\n", version="^1[.]30.*").replace(
                "name: example", "name: older"
            ),
        ),
        istio="IST0155",
    ),
    Rule(
        "GM246",
        Severity.WARNING,
        "Services give a port of the same Pods different protocols",
        "The sidecar of a Pod has one listener for a port, which speaks one protocol.",
        documents(
            pod("dns", "app: dns"),
            service("dns", "selector: {app: dns}\nports: [{name: tcp-dns, port: 53}]"),
            service("dns-udp", "selector: {app: dns}\nports: [{name: udp-dns, port: 53, protocol: UDP}]"),
        ),
        documents(
            pod("dns", "app: dns"),
            service("dns", "selector: {app: dns}\nports: [{name: tcp-dns, port: 53}]"),
            service("dns-udp", "selector: {app: dns}\nports: [{name: udp-dns, port: 54, protocol: UDP}]"),
        ),
        istio="IST0116",
    ),
    Rule(
        "GM247",
        Severity.WARNING,
        "Services send to a port of the same Pods from different ports",
        "The settings of the sidecar for a port of a Pod are those of one Service port, and the other's are "
        "lost.",
        documents(
            pod("reviews", "app: reviews"),
            service("reviews", "selector: {app: reviews}\nports: [{name: http, port: 80, targetPort: 9080}]"),
            service("admin", "selector: {app: reviews}\nports: [{name: http, port: 81, targetPort: 9080}]"),
        ),
        documents(
            pod("reviews", "app: reviews"),
            service("reviews", "selector: {app: reviews}\nports: [{name: http, port: 80, targetPort: 9080}]"),
            service("admin", "selector: {app: reviews}\nports: [{name: http, port: 80, targetPort: 9080}]"),
        ),
        istio="IST0137",
    ),
    Rule(
        "GM248",
        Severity.WARNING,
        "The status says that something is not in effect",
        "Istio writes into the status of an object when it could not do what the object asks for. It is read "
        "from the cluster (--cluster), or from a file that holds it.",
        _API_ROUTE + _STATUS,
        _API_ROUTE,
        istio="IST0171",
    ),
    Rule(
        "GM249",
        Severity.WARNING,
        "A destination keeps a port that it does not have",
        "Inside the mesh a destination without a port gets requests at the port that was called, also where "
        "its only port is another one: then they are answered with 503. At a gateway the only port is taken.",
        documents(
            service("reviews", "ports: [{name: http, port: 9080}]"),
            virtual_service("hosts: [api.example.com]\nhttp: [{route: [{destination: {host: reviews}}]}]"),
        ),
        documents(
            service("reviews", "ports: [{name: http, port: 9080}]"),
            virtual_service(
                "hosts: [api.example.com]\n"
                "http: [{route: [{destination: {host: reviews, port: {number: 9080}}}]}]"
            ),
        ),
    ),
    Rule(
        "GM290",
        Severity.INFO,
        "Something was not checked",
        "Rules that need Services, Pods or Secrets use those of the repository and of the cluster "
        "(--cluster). Without them they say nothing, which is said here, once for each kind.",
        "a VirtualService in a repository without Services",
        "the same, with --cluster",
        file="",
    ),
)
