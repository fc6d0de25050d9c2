"""GM217 to GM240: findings about ports, gateways, TLS and routes of several objects together.

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
from gitmesh.validate.rule_context import gateway, namespace, pod, secret, service

_HTTP = "http: [{route: [{destination: {host: reviews}}]}]\n"
_SERVERS = "servers: [{hosts: [a.example.com], port: {number: 80, name: http, protocol: HTTP}}]\n"
_SELECTED = "selector: {istio: entry}\n"
_TLS_SERVER = (
    "servers: [{hosts: [a.example.com], port: {number: 443, name: https, protocol: HTTPS}, "
    "tls: {mode: SIMPLE, credentialName: a-cert}}]\n"
)
_ENTRY_POD = pod("entry", "istio: entry")
_BOUND = virtual_service("hosts: [a.example.com]\ngateways: [entry]\n" + _HTTP)
_ORIGIN = "host: ext.example.com\ntrafficPolicy: {tls: {mode: SIMPLE, caCertificates: /etc/ca.pem}}\n"
_CLAIM = _BOUND.replace(
    "[{route", '[{match: [{headers: {"@request.auth.claims.group": {exact: admin}}}], route'
)


def _entry(port: str, rest: str = "", name: str = "example") -> str:
    spec = f"hosts: [ext.example.com]\nports: [{{{port}}}]\nresolution: DNS\nlocation: MESH_EXTERNAL\n{rest}"
    return traffic_object("ServiceEntry", spec).replace("name: example", f"name: {name}")


def _authentication(labels: str) -> str:
    return (
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: tokens}\n"
        f"spec: {{selector: {{matchLabels: {{{labels}}}}}, jwtRules: [{{issuer: example.com}}]}}\n"
    )


_PORT_443 = "number: 443, name: https, protocol: HTTPS"
_PORT_80 = "number: 80, name: http, protocol: HTTP"
_TO_443 = "number: 80, name: http, protocol: HTTP, targetPort: 443"

ACROSS_RULES = (
    Rule(
        "GM217",
        Severity.INFO,
        "The port of a Service does not say its protocol",
        "Proxies then look at the first bytes to find out. The name of the port, up to its first -, or "
        "appProtocol says it: http, http2, https, grpc, grpc-web, tcp, tls, mongo, mysql, redis or udp.",
        service("reviews", "ports: [{name: web, port: 9080}]"),
        service("reviews", "ports: [{name: http-web, port: 9080}]"),
        istio="IST0118",
    ),
    Rule(
        "GM218",
        Severity.WARNING,
        "The port of an ExternalName Service does not say its protocol",
        "Without a protocol, or with tcp, Istio opens a listener for the port that takes all its traffic.",
        service("reviews", "type: ExternalName\nexternalName: a.example.com\nports: [{name: web, port: 80}]"),
        service(
            "reviews", "type: ExternalName\nexternalName: a.example.com\nports: [{name: http, port: 80}]"
        ),
        istio="IST0150",
    ),
    Rule(
        "GM219",
        Severity.WARNING,
        "TLS without a CA",
        "mode SIMPLE or MUTUAL without caCertificates trusts what the proxy's image trusts, or anything, "
        "depending on the installation. insecureSkipVerify says that this is wanted.",
        destination_rule("host: reviews\ntrafficPolicy: {tls: {mode: SIMPLE}}"),
        destination_rule("host: reviews\ntrafficPolicy: {tls: {mode: SIMPLE, caCertificates: /etc/ca.pem}}"),
        istio="IST0128",
    ),
    Rule(
        "GM220",
        Severity.WARNING,
        "TLS without a CA for a port",
        "As GM219, for one port.",
        destination_rule(
            "host: reviews\ntrafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE}}]}"
        ),
        destination_rule(
            "host: reviews\ntrafficPolicy: {portLevelSettings: [{port: {number: 443}, "
            "tls: {mode: SIMPLE, caCertificates: /etc/ca.pem}}]}"
        ),
        istio="IST0129",
    ),
    Rule(
        "GM221",
        Severity.WARNING,
        "A Gateway serves none of the hosts",
        "A VirtualService takes traffic of a Gateway only for hosts that a server of it has, and that "
        "`namespace/` before them leaves to its namespace.",
        documents(gateway(_SERVERS), _BOUND.replace("a.example.com", "b.example.com")),
        documents(gateway(_SERVERS), _BOUND),
        istio="IST0132",
    ),
    Rule(
        "GM222",
        Severity.INFO,
        "A TCP port of a ServiceEntry has no address",
        "TCP has no host names, so that proxies know the service by its address only. istiod allocates one "
        "by itself since 1.25, unless that is switched off or resolution is NONE.",
        _entry("number: 5432, name: db, protocol: TCP"),
        _entry("number: 5432, name: db, protocol: TCP", "addresses: [10.0.0.9]\n"),
        istio="IST0134",
    ),
    Rule(
        "GM223",
        Severity.WARNING,
        "Two Gateways have the same certificate",
        "A browser reuses a connection for every host of its certificate; the Gateway behind it knows only "
        "its own hosts and answers 404. Hosts of one certificate belong into one Gateway.",
        documents(
            gateway(_SELECTED + _TLS_SERVER),
            gateway(_SELECTED + _TLS_SERVER.replace("a.example", "b.example"), name="other"),
        ),
        documents(
            gateway(_SELECTED + _TLS_SERVER),
            gateway(
                _SELECTED + _TLS_SERVER.replace("a.example", "b.example").replace("a-", "b-"), name="other"
            ),
        ),
        istio="IST0138",
    ),
    Rule(
        "GM224",
        Severity.WARNING,
        "Rules of the mesh do not apply behind a gateway",
        "The requests of a gateway follow the rules that are bound to it. Another VirtualService routes the "
        "same host to subsets inside the mesh, which these requests do not follow.",
        documents(
            gateway(_SERVERS),
            _BOUND,
            destination_rule("host: reviews\nsubsets: [{name: v1}]"),
            reviews_rule("route: [{destination: {host: reviews, subset: v1}}]").replace(
                "name: reviews}", "name: inside}"
            ),
        ),
        documents(gateway(_SERVERS), _BOUND),
        istio="IST0140",
    ),
    Rule(
        "GM225",
        Severity.ERROR,
        "Two Gateways listen for the same host on the same port",
        "Both configure the same Pods, so that one of the servers is ignored.",
        documents(gateway(_SELECTED + _TLS_SERVER), gateway(_SELECTED + _TLS_SERVER, name="other")),
        gateway(_SELECTED + _TLS_SERVER),
        istio="IST0145",
    ),
    Rule(
        "GM226",
        Severity.ERROR,
        "Claims are matched where no token is read",
        "@request.auth.claims is set by a RequestAuthentication for the Pods of the gateway. It is checked "
        "where Pods are known and the repository holds RequestAuthentications.",
        documents(_ENTRY_POD, gateway(_SELECTED + _SERVERS), _authentication("app: reviews"), _CLAIM),
        documents(_ENTRY_POD, gateway(_SELECTED + _SERVERS), _authentication("istio: entry"), _CLAIM),
        istio="IST0149",
    ),
    Rule(
        "GM227",
        Severity.ERROR,
        "A Secret cannot hold a certificate",
        "The type of the Secret is for something else. What is in a Secret is never read.",
        documents(_ENTRY_POD, secret("a-cert", "kubernetes.io/ssh-auth"), gateway(_SELECTED + _TLS_SERVER)),
        documents(_ENTRY_POD, secret("a-cert"), gateway(_SELECTED + _TLS_SERVER)),
        istio="IST0161",
    ),
    Rule(
        "GM228",
        Severity.WARNING,
        "No Service offers the port of a Gateway",
        "Traffic comes to the gateway's Pods through a Service. Ports and target ports both count; Istio's "
        "analyzer looks at target ports only.",
        documents(
            _ENTRY_POD,
            service("entry", "selector: {istio: entry}\nports: [{name: https, port: 443}]"),
            gateway(_SELECTED + _SERVERS),
        ),
        documents(
            _ENTRY_POD,
            service("entry", "selector: {istio: entry}\nports: [{name: http, port: 80, targetPort: 8080}]"),
            gateway(_SELECTED + _SERVERS),
        ),
        istio="IST0162",
    ),
    Rule(
        "GM229",
        Severity.WARNING,
        "A VirtualService is bound to a Gateway that Istio made",
        "Istio turns Gateways of the Gateway API into such objects. Their names and content may change.",
        _BOUND.replace("[entry]", "[entry-istio-autogenerated-k8s-gateway-http]"),
        documents(gateway(_SERVERS), _BOUND),
        istio="IST0165",
    ),
    Rule(
        "GM230",
        Severity.ERROR,
        "No Pod belongs to a subset",
        "Requests to a subset without endpoints are answered with 503. Labels of regions and zones come from "
        "nodes and are left out. It is checked where the Pods of the host's namespace are known.",
        documents(
            service("reviews", "selector: {app: reviews}\nports: [{name: http, port: 9080}]"),
            pod("reviews", "app: reviews, version: v1"),
            destination_rule("host: reviews\nsubsets: [{name: v2, labels: {version: v2}}]"),
        ),
        documents(
            service("reviews", "selector: {app: reviews}\nports: [{name: http, port: 9080}]"),
            pod("reviews", "app: reviews, version: v1"),
            destination_rule("host: reviews\nsubsets: [{name: v1, labels: {version: v1}}]"),
        ),
        istio="IST0173",
    ),
    Rule(
        "GM231",
        Severity.WARNING,
        "ServiceEntries give a port different protocols",
        "Proxies that see both take one of them.",
        documents(_entry(_PORT_80), _entry(_PORT_80.replace("HTTP", "GRPC"), name="other")),
        documents(_entry(_PORT_80), _entry(_PORT_80.replace("HTTP", "HTTP"), name="other")),
        istio="IST0177",
    ),
    Rule(
        "GM232",
        Severity.WARNING,
        "ServiceEntries resolve a host in different ways",
        "For one host of one namespace istiod keeps one way to find endpoints, so that one of them is lost.",
        documents(_entry(_PORT_443), _entry(_PORT_443, name="other").replace("DNS", "NONE")),
        documents(_entry(_PORT_443), _entry(_PORT_443, name="other")),
    ),
    Rule(
        "GM233",
        Severity.WARNING,
        "Istio's own TLS towards something outside the mesh",
        "ISTIO_MUTUAL presents and expects certificates of the mesh, which an external service has not.",
        documents(_entry(_PORT_443), destination_rule(_ORIGIN.replace("SIMPLE", "ISTIO_MUTUAL"))),
        documents(_entry(_TO_443), destination_rule(_ORIGIN)),
    ),
    Rule(
        "GM234",
        Severity.WARNING,
        "TLS inside TLS",
        "The port is declared as HTTPS or TLS, so that clients encrypt by themselves, and the proxy encrypts "
        "again. Declare the port as HTTP with targetPort 443 if the proxy alone is to do it.",
        documents(_entry(_PORT_443), destination_rule(_ORIGIN)),
        documents(_entry(_TO_443), destination_rule(_ORIGIN)),
    ),
    Rule(
        "GM235",
        Severity.WARNING,
        "TLS to a plain port",
        "The proxy encrypts, and sends to port 80, where plain HTTP is spoken. targetPort says where TLS is.",
        documents(_entry(_PORT_80), destination_rule(_ORIGIN)),
        documents(_entry(_TO_443), destination_rule(_ORIGIN)),
    ),
    Rule(
        "GM236",
        Severity.WARNING,
        "Another VirtualService takes the same requests",
        "At a gateway the rules of all VirtualServices for a host are joined, those of the older object "
        "first and rules for everything last. Of two rules for the same requests only one is reached.",
        documents(gateway(_SERVERS), _BOUND, _BOUND.replace("name: reviews}", "name: again}")),
        documents(
            gateway(_SERVERS),
            _BOUND,
            _BOUND.replace("name: reviews}", "name: again}").replace(
                "[{route", "[{match: [{uri: {prefix: /a}}], route"
            ),
        ),
    ),
    Rule(
        "GM237",
        Severity.WARNING,
        "Two DestinationRules are for one host",
        "istiod joins their subsets, and takes a subset, and the trafficPolicy, of the older one only.",
        documents(
            destination_rule("host: reviews\nsubsets: [{name: v1}]"),
            destination_rule("host: reviews\nsubsets: [{name: v1}]").replace(
                "name: reviews}", "name: again}"
            ),
        ),
        documents(
            destination_rule("host: reviews\nsubsets: [{name: v1}]"),
            destination_rule("host: reviews\nsubsets: [{name: v2}]").replace(
                "name: reviews}", "name: again}"
            ),
        ),
    ),
    Rule(
        "GM238",
        Severity.WARNING,
        "A Sidecar in an ambient namespace",
        "Workloads of ambient mode have no sidecar that could follow it.",
        documents(
            namespace("default", "istio.io/dataplane-mode: ambient"),
            traffic_object("Sidecar", "egress: [{hosts: ['./*']}]"),
        ),
        documents(
            namespace("default", "istio-injection: enabled"),
            traffic_object("Sidecar", "egress: [{hosts: ['./*']}]"),
        ),
        istio="IST0167",
    ),
    Rule(
        "GM239",
        Severity.WARNING,
        "Two Gateways share a plain host and port",
        "Both configure the same Pods. Istio's analyzer calls it an error; servers for plain HTTP are "
        "merged, so that both work, and this is a warning.",
        documents(gateway(_SELECTED + _SERVERS), gateway(_SELECTED + _SERVERS, name="other")),
        gateway(_SELECTED + _SERVERS),
        istio="IST0145",
    ),
    Rule(
        "GM240",
        Severity.WARNING,
        "A destination leaves its port open",
        "The host has several ports. Without one Istio takes the port that the client called, which works "
        "inside the mesh as long as the client calls this very host. Istio's analyzer calls it an error.",
        documents(
            service("reviews", "ports: [{name: http, port: 9080}, {name: http-admin, port: 9081}]"),
            reviews_rule("route: [{destination: {host: reviews}}]"),
        ),
        documents(
            service("reviews", "ports: [{name: http, port: 9080}, {name: http-admin, port: 9081}]"),
            reviews_rule("route: [{destination: {host: reviews, port: {number: 9080}}}]"),
        ),
        istio="IST0112",
    ),
)
