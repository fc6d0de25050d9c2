"""What Istio's admission refuses is found before anything is sent."""

from __future__ import annotations

import pytest
from fakes.examined import findings, told

HEAD = "apiVersion: networking.istio.io/v1\nkind: {}\nmetadata: {{name: {}}}\nspec: "
HTTP = "http: [{route: [{destination: {host: a}}]}]"
ALL = "percentage: {value: 100}"
OK = "route: [{destination: {host: a}}]"


def codes(kind: str, spec: str, name: str = "a") -> list[str]:
    return [d.code for d in findings(HEAD.format(kind, name) + "{" + spec + "}\n")]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (f"hosts: [a], {HTTP}", []),
        ("hosts: [ext.example.com], gateways: [mesh]", ["GM120"]),
        (f"hosts: [a, A.example.com, a], {HTTP}", ["GM121"]),
        (f"hosts: ['*.b.c', '*.c'], {HTTP}", ["GM121"]),
        (f"hosts: ['*'], {HTTP}", ["GM122"]),
        (f"hosts: [a b], {HTTP}", ["GM108"]),
        (f"hosts: ['a.*.b'], {HTTP}", ["GM108"]),
        (f"hosts: [10.0.0.1], {HTTP}", []),
        (HTTP, []),
        (f"gateways: [mesh], {HTTP}", ["GM125"]),
        ("http: [{delegate: {name: b}}]", ["GM125"]),
        ("hosts: [a], http: [{delegate: {name: b}}]", ["GM212"]),
        ("hosts: [a], http: [{delegate: {name: b}, " + OK + "}]", ["GM212", "GM105"]),
        ("hosts: [a], http: [{}]", ["GM123"]),
        ("hosts: [a], http: [{redirect: {uri: /}, " + OK + "}]", ["GM105"]),
        ("hosts: [a], http: [{redirect: {}}]", ["GM126"]),
        (
            "hosts: [a], http: [{directResponse: {status: 200}, fault: {abort: {httpStatus: 500, "
            + ALL
            + "}}}]",
            ["GM105"],
        ),
        (
            "hosts: [a], http: [{mirror: {host: b}, mirrors: [{destination: {host: c}}], " + OK + "}]",
            ["GM105"],
        ),
        ("hosts: [a], http: [{rewrite: {}, " + OK + "}]", ["GM126"]),
        ("hosts: [a], http: [{fault: {}, " + OK + "}]", ["GM126"]),
        ("hosts: [a], http: [{fault: {abort: {http2Error: x, " + ALL + "}}, " + OK + "}]", ["GM109"]),
        (
            "hosts: [a], http: [{fault: {abort: {grpcStatus: UNAVAILABEL, " + ALL + "}}, " + OK + "}]",
            ["GM104"],
        ),
        ("hosts: [a], http: [{retries: {attempts: 0, retryOn: 5xx}, " + OK + "}]", ["GM127"]),
        ("hosts: [a], http: [{retries: {attempts: 2, retryOn: '5xx, reset'}, " + OK + "}]", ["GM104"]),
        ("hosts: [a], http: [{route: [{destination: {host: a}, weight: -1}]}]", ["GM124"]),
        ("hosts: [a], http: [{route: [{destination: {host: a}}, {destination: {host: b}}]}]", ["GM124"]),
        ("hosts: [a], http: [{route: [{destination: {host: a}, weight: 0}]}]", ["GM404"]),
        ("hosts: [a], http: [{route: [{destination: {host: a}, weight: 700}]}]", ["GM404"]),
        ("hosts: [a], http: [{route: [{destination: {host: '*'}}]}]", ["GM108"]),
        ("hosts: [a], tcp: [{}]", ["GM123"]),
        ("hosts: [a], http: [{match: [{authority: {prefix: ''}}], " + OK + "}]", ["GM108"]),
        ("hosts: [a], http: [{match: [{uri: {prefix: ''}}], " + OK + "}]", []),
        ("hosts: [a], http: [{match: [{uri: {regex: '(?=a)'}}], " + OK + "}]", ["GM108"]),
        ("hosts: [a], http: [{" + OK + "}, {" + OK + "}]", ["GM130"]),
        (f"hosts: [a], exportTo: ['.', default], {HTTP}", ["GM110"]),
        (f"hosts: [a], exportTo: ['*', b], {HTTP}", ["GM109"]),
        (f"hosts: [a], gateways: [a/b/c], {HTTP}", ["GM108", "GM203"]),
    ],
)
def test_virtual_services(spec: str, expected: list[str]):
    assert codes("VirtualService", spec) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("host: a", []),
        ("host: ''", ["GM108"]),
        ("{}"[1:-1], ["GM103"]),
        ("host: a, trafficPolicy: {}", ["GM126"]),
        ("host: a, trafficPolicy: {connectionPool: {}}", ["GM126"]),
        ("host: a, trafficPolicy: {portLevelSettings: [{tls: {mode: DISABLE}}]}", ["GM103"]),
        ("host: a, trafficPolicy: {portLevelSettings: [{port: {number: 80}}]}", ["GM126"]),
        ("host: a, subsets: [{name: v1, labels: {v: a}}, {name: v1, labels: {v: a}}]", ["GM204"]),
        ("host: a, subsets: [{name: v_1, labels: {v: a}}]", ["GM108"]),
        ("host: a, trafficPolicy: {tls: {mode: MUTUAL}}", ["GM128", "GM128", "GM219"]),
        ("host: a, trafficPolicy: {tls: {mode: MUTUAL, credentialName: x}}", ["GM219"]),
        (
            "host: a, trafficPolicy: {tls: {mode: SIMPLE, credentialName: x, privateKey: k}}",
            ["GM219", "GM105"],
        ),
        ("host: a, trafficPolicy: {connectionPool: {tcp: {maxConnections: -1}}}", ["GM106"]),
        ("host: a, workloadSelector: {matchLabels: {'a*': b}}", ["GM108"]),
        ("host: a, workloadSelector: {matchLabels: {a: 'b*'}}", ["GM108"]),
    ],
)
def test_destination_rules(spec: str, expected: list[str]):
    assert codes("DestinationRule", spec) == expected


def server(port: str, rest: str = "", hosts: str = "[a.example.com]") -> str:
    return f"selector: {{a: b}}, servers: [{{hosts: {hosts}, port: {{{port}}}{rest}}}]"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (server("number: 80, name: http, protocol: HTTP"), []),
        (server("number: 80, name: http, protocol: http"), []),
        ("selector: {a: b}", ["GM126"]),
        (server("number: 80, name: http, protocol: HTTPS"), ["GM128"]),
        (server("number: 80, name: http, protocol: HTTPSS"), ["GM104"]),
        (server("number: 0, name: http, protocol: HTTP"), ["GM106"]),
        (server("number: 0, name: http, protocol: HTTP", ", bind: unix:///run/a"), []),
        (server("number: 80, name: http, protocol: HTTP", ", tls: {mode: SIMPLE}"), ["GM128"]),
        (server("number: 80, name: http, protocol: HTTP", ", tls: {httpsRedirect: true}"), []),
        (server("number: 1, name: a, protocol: TLS", ", tls: {mode: PASSTHROUGH}"), []),
        (server("number: 1, name: a, protocol: TLS", ", tls: {mode: SIMPLE}"), ["GM128", "GM128"]),
        (
            server(
                "number: 1, name: a, protocol: TLS",
                ", tls: {mode: SIMPLE, credentialName: a, credentialNames: [b]}",
            ),
            ["GM105"],
        ),
        (server("number: 80, name: http, protocol: HTTP", hosts="[short]"), ["GM108"]),
        (server("number: 80, name: http, protocol: HTTP", hosts="[]"), ["GM126"]),
        (server("number: 80, protocol: HTTP"), ["GM103"]),
    ],
)
def test_gateways(spec: str, expected: list[str]):
    assert codes("Gateway", spec) == expected


def test_a_gateway_has_no_dots_in_its_name():
    assert codes("Gateway", server("number: 80, name: http, protocol: HTTP"), name="a.b") == ["GM108"]


PORT = "ports: [{number: 80, name: http, protocol: HTTP}]"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (f"hosts: [a.b], resolution: DNS, {PORT}", []),
        (PORT, ["GM103"]),
        (f"hosts: [], {PORT}", ["GM106"]),
        (f"hosts: ['*'], {PORT}", ["GM108"]),
        (f"hosts: ['*.b'], resolution: DNS, {PORT}", ["GM109"]),
        (f"hosts: [a.b], addresses: [10.0.0.0/8], resolution: DNS, {PORT}", ["GM109"]),
        (f"hosts: [a.b], endpoints: [{{address: 1.2.3.4}}], {PORT}", ["GM109"]),
        (f"hosts: [a.b], resolution: STATIC, endpoints: [{{labels: {{}}}}], {PORT}", ["GM109"]),
        (f"hosts: [a.b], resolution: STATIC, endpoints: [{{address: unix://a}}], {PORT}", ["GM108"]),
        (
            "hosts: [a.b], resolution: STATIC, "
            f"workloadSelector: {{labels: {{}}}}, endpoints: [{{address: a}}], {PORT}",
            ["GM105"],
        ),
        (f"hosts: [a.b], endpoints: [], {PORT}", ["GM109"]),
        (
            f"hosts: [a.b], resolution: STATIC, workloadSelector: {{labels: {{}}}}, endpoints: [], {PORT}",
            ["GM105"],
        ),
        (
            f"hosts: [a.b], resolution: STATIC, endpoints: null, {PORT}, "
            "workloadSelector: {labels: {a: b}}",
            [],
        ),
        ("hosts: [a.b], resolution: DNS, ports: [{number: 80, name: a}, {number: 80, name: b}]", ["GM110"]),
        (
            "hosts: [a.b, c.d], resolution: DNS, ports: [{number: 80, name: a, protocol: TCP}]",
            ["GM109", "GM222"],
        ),
        ("hosts: [a.b], resolution: NONE, ports: [{number: 80, name: a, protocol: TCP}]", ["GM149"]),
        ("hosts: [a.b], resolution: DNS, ports: [{number: 80, name: a, protocol: TCP}]", ["GM222"]),
    ],
)
def test_service_entries(spec: str, expected: list[str]):
    assert codes("ServiceEntry", spec) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("egress: [{hosts: ['./*']}]", []),
        ("workloadSelector: {labels: {a: b}}", ["GM126"]),
        ("egress: [{hosts: ['*']}]", ["GM108"]),
        ("egress: [{hosts: ['a/b']}]", ["GM108"]),
        ("egress: [{hosts: ['./*']}, {hosts: ['a/*']}]", ["GM109"]),
        ("inboundConnectionPool: {}", ["GM126"]),
    ],
)
def test_sidecars(spec: str, expected: list[str]):
    assert codes("Sidecar", spec) == expected


def test_a_finding_about_the_whole_spec_is_shown_at_its_name():
    assert told(HEAD.format("VirtualService", "a") + "\n  hosts: [a]\n") == ["4:1 GM120"]
