"""Gateways, Sidecars, services and endpoints, as Istio's admission judges them."""

from __future__ import annotations

import pytest
from fakes.examined import findings

from gitmesh.model.resource import resource_from_body
from gitmesh.validate.objects import check_object

HEAD = "apiVersion: networking.istio.io/v1\nkind: {}\nmetadata: {}\nspec: "


def codes(kind: str, spec: str, metadata: str = "{name: a}") -> list[str]:
    """Return what is found in the object itself; what others make of it (GM2xx) apart."""
    found = findings(HEAD.format(kind, metadata) + "{" + spec + "}\n")
    return [d.code for d in found if not d.code.startswith("GM2")]


def server(rest: str, port: str = "number: 443, name: p, protocol: HTTPS", hosts: str = "[a.b]") -> str:
    return f"selector: {{a: b}}, servers: [{{hosts: {hosts}, port: {{{port}}}, {rest}}}]"


FILES = "serverCertificate: a, privateKey: b"


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (f"mode: SIMPLE, {FILES}", []),
        ("mode: SIMPLE, credentialName: a", []),
        ("mode: MUTUAL, credentialNames: [a, b]", []),
        (f"mode: MUTUAL, {FILES}", ["GM128"]),
        (f"mode: OPTIONAL_MUTUAL, {FILES}, caCertificates: c", []),
        ("mode: SIMPLE, tlsCertificates: [{serverCertificate: a, privateKey: b}]", []),
        ("mode: SIMPLE, tlsCertificates: [{serverCertificate: a}]", ["GM128"]),
        (f"mode: SIMPLE, {FILES}, credentialName: a", ["GM105"]),
        (f"mode: SIMPLE, {FILES}, caCrl: c", ["GM128"]),
        ("mode: ISTIO_MUTUAL", []),
        ("mode: ISTIO_MUTUAL, credentialName: a, caCertificates: b", ["GM128", "GM128"]),
        ("mode: PASSTHROUGH", []),
        ("mode: PASSTHROUGH, credentialName: a", ["GM144"]),
        ("mode: AUTO_PASSTHROUGH, caCrl: a", ["GM144"]),
        ("mode: PASSTHROUGH, credentialName: a, caCrl: b", ["GM128"]),
        ("credentialName: a, caCrl: b", ["GM128"]),
        ("mode: PASSTHROUGH, credentialNames: [a], caCrl: b", ["GM144"]),
        ("mode: SIMPLE, credentialName: a, caCrl: b", []),
        ("mode: PASSTHROUGH, httpsRedirect: true", ["GM144"]),
        ("mode: SIMPLE, credentialName: a, minProtocolVersion: TLSV1_1", ["GM145"]),
        ("mode: SIMPLE, credentialName: a, minProtocolVersion: TLSV1_1, cipherSuites: [AES128-SHA]", []),
        ("mode: SIMPLE, credentialName: a, cipherSuites: [AES128-SHA, AES128-SHA, foo]", ["GM145", "GM145"]),
        ("mode: SIMPLE, credentialName: a, cipherSuites: [ALL, '+HIGH', '']", []),
    ],
)
def test_tls_of_a_gateway(tls: str, expected: list[str]):
    assert codes("Gateway", server(f"tls: {{{tls}}}")) == expected


@pytest.mark.parametrize(
    ("port", "rest", "expected"),
    [
        ("number: 80, name: p, protocol: HTTP", "tls: {mode: PASSTHROUGH, httpsRedirect: true}", []),
        ("number: 80, name: p, protocol: HTTP", f"tls: {{{FILES}}}", ["GM128"]),
        ("number: 80, name: p, protocol: TCP", "tls: {mode: PASSTHROUGH}", ["GM128"]),
        ("number: 80, name: p, protocol: HTTP_PROXY", "bind: 0.0.0.0", []),
        ("number: 80, name: p, protocol: UDP", "bind: '::1'", []),
        ("number: 80, name: p, protocol: HTTP", "bind: localhost", ["GM108"]),
        ("number: 0, name: p, protocol: HTTP", "bind: unix:///a/b", []),
        ("number: 0, name: p, protocol: HTTP", "bind: 'unix://@a'", []),
        ("number: 0, name: p, protocol: HTTP", "bind: unix://a", ["GM108"]),
        ("number: 80, name: p, protocol: HTTP", "bind: unix:///a", ["GM109"]),
        ("number: 80, name: p, protocol: HTTP, targetPort: 8080", "bind: 0.0.0.0", ["GM109"]),
        ("number: 80, name: '', protocol: HTTP", "bind: 0.0.0.0", ["GM126"]),
        ("number: 65536, name: p, protocol: HTTP", "bind: 0.0.0.0", ["GM106"]),
    ],
)
def test_ports_of_a_gateway(port: str, rest: str, expected: list[str]):
    assert codes("Gateway", server(rest, port)) == expected


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("a.b", True),
        ("'*'", True),
        ("'*.b'", True),
        ("10.0.0.1", True),
        ("'*/a.b'", True),
        ("./a.b", True),
        ("ns/*", True),
        ("'~/a.b'", False),
        ("n.s/a.b", False),
        ("/a.b", False),
        ("ns/", False),
        ("short", False),
        ("'*a.b'", False),
        ("a.*.b", False),
        ("a/b/c.d", False),
    ],
)
def test_hosts_of_a_gateway(host: str, right: bool):
    port = "number: 80, name: p, protocol: HTTP"
    assert codes("Gateway", server("bind: 0.0.0.0", port, f"[{host}]")) == ([] if right else ["GM108"])


def test_a_gateway_without_a_selector_is_for_all():
    assert codes("Gateway", server("bind: 0.0.0.0").replace("selector: {a: b}, ", "")) == ["GM420", "GM128"]


@pytest.mark.parametrize(
    ("first", "second", "right"),
    [
        ("HTTP", "GRPC", True),
        ("HTTPS", "TLS", True),
        ("HTTP", "HTTPS", False),
        ("HTTP", "TCP", False),
        ("TCP", "TCP", False),
    ],
)
def test_servers_that_share_a_port(first: str, second: str, right: bool):
    def one(name: str, protocol: str, bind: str) -> str:
        tls = ", tls: {mode: PASSTHROUGH}" if protocol in ("HTTPS", "TLS") else ""
        port = f"{{number: 80, name: {name}, protocol: {protocol}}}"
        return f"{{hosts: [{name}.b], bind: {bind}, port: {port}{tls}}}"

    def told(second_bind: str) -> list[str]:
        servers = f"{one('p', first, '10.0.0.1')}, {one('q', second, second_bind)}"
        return codes("Gateway", f"selector: {{a: b}}, servers: [{servers}]")

    assert told("10.0.0.1") == ([] if right else ["GM422"])
    assert told("10.0.0.2") == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("ingress: [{port: {number: 80, protocol: HTTP, name: a}}]", []),
        ("ingress: [{port: {protocol: HTTP}}]", ["GM106"]),
        ("ingress: [{port: {number: 80, targetPort: 81}}]", ["GM109"]),
        ("ingress: [{port: {number: 80, name: a_b}}]", ["GM108"]),
        ("ingress: [{port: {number: 80, protocol: HTPT}}]", ["GM104"]),
        ("ingress: [{port: {number: 80}, bind: a}]", ["GM108"]),
        ("ingress: [{port: {number: 80}, bind: unix:///a}]", ["GM108"]),
        ("ingress: [{port: {number: 80}}, {port: {number: 80}}]", ["GM110"]),
        ("ingress: [{port: {number: 80}, defaultEndpoint: '127.0.0.1:8080'}]", []),
        ("ingress: [{port: {number: 80}, defaultEndpoint: '[::1]:8080'}]", []),
        ("ingress: [{port: {number: 80}, defaultEndpoint: ':8080'}]", []),
        ("ingress: [{port: {number: 80}, defaultEndpoint: 'unix:///a'}]", []),
        ("ingress: [{port: {number: 80}, defaultEndpoint: 'unix://a'}]", ["GM108"]),
        ("ingress: [{port: {number: 80}, defaultEndpoint: '10.0.0.1:8080'}]", ["GM108"]),
        ("ingress: [{port: {number: 80}, defaultEndpoint: '127.0.0.1'}]", ["GM108"]),
        ("ingress: [{port: {number: 80}, defaultEndpoint: '127.0.0.1:70000'}]", ["GM108"]),
        (f"ingress: [{{port: {{number: 80, protocol: HTTPS}}, tls: {{mode: SIMPLE, {FILES}}}}}]", []),
        (f"ingress: [{{port: {{number: 80, protocol: HTTP}}, tls: {{mode: SIMPLE, {FILES}}}}}]", ["GM128"]),
        ("ingress: [{port: {number: 80, protocol: HTTPS}, tls: {mode: ISTIO_MUTUAL}}]", ["GM109"]),
        (
            "ingress: [{port: {number: 80, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: a}}]",
            ["GM109"],
        ),
        (
            "ingress: [{port: {number: 80, protocol: TCP}, connectionPool: {http: {maxRetries: 1}}}]",
            ["GM152"],
        ),
        ("inboundConnectionPool: {}", ["GM126"]),
        ("inboundConnectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}", ["GM105"]),
        ("outboundTrafficPolicy: {mode: REGISTRY_ONLY}", []),
        ("outboundTrafficPolicy: {egressProxy: {host: a.b, port: {number: 1}}}", ["GM109", "GM141"]),
        ("outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: '*.b'}}", ["GM103", "GM108", "GM141"]),
        ("workloadSelector: {labels: {a: b}}, egress: [{hosts: [./*]}]", []),
        ("workloadSelector: {labels: {}}, egress: [{hosts: [./*]}]", ["GM142"]),
        ("workloadSelector: {labels: {'a*': b}}, egress: [{hosts: [./*]}]", ["GM112"]),
    ],
)
def test_sidecars(spec: str, expected: list[str]):
    assert sorted(codes("Sidecar", spec)) == expected


@pytest.mark.parametrize(
    ("egress", "expected"),
    [
        ("{hosts: [./*]}", []),
        ("{hosts: ['~/*']}", []),
        ("{hosts: ['*/*', ./a.b]}", ["GM151"]),
        ("{hosts: [./a.b, '*/*']}", ["GM151"]),
        ("{hosts: [./*, default/a.b]}", ["GM151"]),
        ("{hosts: [./a.b, ./*]}", ["GM151"]),
        ("{hosts: [./a.b, other/a.b]}", []),
        ("{hosts: [./a]}", ["GM108"]),
        ("{hosts: [./*a.b]}", ["GM108"]),
        ("{hosts: [a.b]}", ["GM108"]),
        ("{hosts: ['a*/c.b']}", ["GM108"]),
        ("{hosts: []}", ["GM126"]),
        ("{hosts: [./*]}, {hosts: [a/*]}", ["GM109"]),
        ("{port: {number: 80}, hosts: [./*]}, {port: {number: 80}, hosts: [a/*]}", ["GM110"]),
        ("{port: {number: 80}, bind: unix:///a, hosts: [./*]}", ["GM109"]),
        ("{port: {number: 0}, bind: unix:///a, hosts: [./*]}", []),
        ("{port: {number: 0}, bind: unix:///a, captureMode: IPTABLES, hosts: [./*]}", ["GM109"]),
        (
            "{port: {number: 0}, bind: unix:///a, hosts: [./*]}, "
            "{port: {number: 0}, bind: unix:///a, hosts: [a/*]}",
            ["GM110"],
        ),
        ("{port: {protocol: HTTP}, hosts: [./*]}", ["GM106"]),
        ("{port: {number: 80}, bind: 10.0.0, hosts: [./*]}", ["GM108"]),
    ],
)
def test_what_leaves_through_a_sidecar(egress: str, expected: list[str]):
    assert codes("Sidecar", f"egress: [{egress}]") == expected


def entry(rest: str, protocol: str = "HTTP", hosts: str = "a.b") -> str:
    return f"hosts: [{hosts}], ports: [{{number: 80, name: p, protocol: {protocol}}}], {rest}"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (entry("resolution: NONE, addresses: [10.0.0.0/8]"), []),
        (entry("resolution: NONE, addresses: [10.0.0.0/33]"), ["GM108"]),
        (entry("resolution: NONE, addresses: [10.0.0.0/08]"), ["GM108"]),
        (entry("resolution: NONE", "TCP"), ["GM149"]),
        (entry("resolution: STATIC, endpoints: [{address: 10.0.0.1}]", "TCP"), []),
        (entry("resolution: NONE, workloadSelector: {labels: {a: b}}"), ["GM150"]),
        (entry("resolution: STATIC, workloadSelector: {}"), ["GM142"]),
        (entry("resolution: NONE", hosts="'*a.b'"), ["GM148"]),
        (entry("resolution: DYNAMIC_DNS", hosts="'*a.b'"), []),
        (entry("resolution: DYNAMIC_DNS", hosts="a.b"), ["GM109"]),
        (entry("resolution: DYNAMIC_DNS, addresses: [10.0.0.1]", hosts="'*.b'"), ["GM109"]),
        (entry("resolution: DYNAMIC_DNS", "HTTPS", hosts="'*.b'"), ["GM109"]),
        (entry("resolution: STATIC, endpoints: [{address: a.b}]"), ["GM108"]),
        (entry("resolution: STATIC, endpoints: [{network: net}]"), ["GM149"]),
        (entry("resolution: STATIC, endpoints: [{address: unix:///a}]"), []),
        (entry("resolution: STATIC, endpoints: [{address: 10.0.0.1, ports: {p: 80}}]"), []),
        (entry("resolution: STATIC, endpoints: [{address: 10.0.0.1, ports: {q: 80}}]"), ["GM109"]),
        (entry("resolution: STATIC, endpoints: [{address: 10.0.0.1, labels: {a: 'b c'}}]"), ["GM112"]),
        (entry("resolution: DNS, endpoints: [{address: a.b}, {address: 10.0.0.1}]"), []),
        (entry("resolution: DNS, endpoints: [{address: 'a b'}]"), ["GM108"]),
        (entry("resolution: DNS, endpoints: [{address: unix:///a}]"), ["GM108"]),
        (entry("resolution: DNS, addresses: [10.0.0.1]", "TLS", "a.b, c.d"), ["GM150"]),
        (entry("resolution: DNS, exportTo: ['~']"), []),
        (entry("resolution: DNS, exportTo: ['~', a]"), ["GM109"]),
    ],
)
def test_service_entries(spec: str, expected: list[str]):
    assert codes("ServiceEntry", spec) == expected


def test_labels_of_a_service_entry_count_as_well():
    opted_out = "{name: a, labels: {networking.istio.io/enable-autoallocate-ip: 'false'}}"
    spec = entry("resolution: STATIC, endpoints: [{address: 10.0.0.1}]", "TCP")
    assert codes("ServiceEntry", spec, opted_out) == ["GM149"]
    waypoint = "{name: a, labels: {istio.io/use-waypoint: w}}"
    dynamic = entry("resolution: DYNAMIC_DNS, location: MESH_INTERNAL", hosts="'*.b'")
    assert codes("ServiceEntry", dynamic, waypoint) == ["GM109"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"address": "10.0.0.1", "labels": {"app": "a"}}, []),
        ({"address": "a.example.com"}, []),
        ({"address": "*.example.com"}, ["GM108"]),
        ({"address": ""}, ["GM109"]),
        ({"network": "n"}, ["GM149"]),
        ({"address": "unix:///a", "ports": {"p": 1}}, ["GM109"]),
        ({"address": "10.0.0.1", "ports": {"p_q": 1}}, ["GM108"]),
        ({"address": "10.0.0.1", "ports": {"p": 70000}}, ["GM106"]),
        ({"address": "10.0.0.1", "labels": {"a b": "c"}}, ["GM112"]),
    ],
)
def test_workload_entries(spec: dict, expected: list[str]):
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {"name": "vm", "namespace": "default"},
        "spec": spec,
    }
    assert [d.code for d in check_object(resource_from_body(body))[1]] == expected


@pytest.mark.parametrize("name", ["istio.io/dry-run", "internal.istio.io/parents"])
def test_annotations_that_istio_sets_are_refused(name: str):
    metadata = f"{{name: a, annotations: {{{name}: 'true'}}}}"
    assert codes("Sidecar", "egress: [{hosts: [./*]}]", metadata) == ["GM111"]
