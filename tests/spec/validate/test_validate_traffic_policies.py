"""What a DestinationRule may say, and what of it does nothing."""

from __future__ import annotations

import pytest
from fakes.examined import findings

HEAD = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: "
EJECT = "outlierDetection: {interval: 1s}"


def codes(spec: str) -> list[str]:
    return [d.code for d in findings(HEAD + "{host: a.example.com, " + spec + "}\n")]


def policy(text: str) -> list[str]:
    return codes(f"trafficPolicy: {{{text}}}")


@pytest.mark.parametrize(
    ("balancer", "expected"),
    [
        ("simple: LEAST_REQUEST", []),
        ("simple: LEAST_CONN", ["GM141"]),
        ("consistentHash: {}", ["GM412"]),
        ("consistentHash: {useSourceIp: false}", ["GM412"]),
        ("consistentHash: {httpHeaderName: x}", []),
        ("consistentHash: {httpCookie: {name: '', ttl: 0s}}", ["GM126"]),
        (
            "consistentHash: {httpCookie: {name: a, ttl: 1h, attributes: [{name: b}, {name: b}, {name: ''}]"
            "}}",
            2,
        ),
        ("consistentHash: {useSourceIp: true, minimumRingSize: 1024}", ["GM141"]),
        ("consistentHash: {useSourceIp: true, minimumRingSize: 1024, ringHash: {}}", ["GM105", "GM141"]),
        ("consistentHash: {useSourceIp: true, maglev: {}}", ["GM106"]),
        ("consistentHash: {useSourceIp: true, maglev: {tableSize: 65537}}", []),
        ("consistentHash: {useSourceIp: true, maglev: {tableSize: 65536}}", ["GM106"]),
        ("consistentHash: {useSourceIp: true, maglev: {tableSize: 65539}}", []),
        ("consistentHash: {useSourceIp: true, maglev: {tableSize: 65541}}", ["GM106"]),
        ("consistentHash: {useSourceIp: true, maglev: {tableSize: 5000011}}", ["GM106"]),
        ("warmupDurationSecs: 10s", ["GM141"]),
        ("warmup: {duration: 10s, aggression: 0.5}", ["GM106"]),
        ("warmup: {duration: 10s, minimumPercent: 101}", ["GM106"]),
    ],
)
def test_load_balancers(balancer: str, expected: list[str] | int):
    found = policy(f"loadBalancer: {{{balancer}}}")
    assert found == expected if isinstance(expected, list) else len(found) == expected


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("distribute: [{from: a/b/*, to: {a/b/*: 80, a/c/*: 20}}]", []),
        ("distribute: [{from: a/b/*, to: {a/b/*: 80, a/c/*: 30}}]", ["GM133"]),
        ("distribute: [{from: a, to: {b: 100, c: 0}}]", ["GM133"]),
        ("distribute: [{from: a, to: {}}]", ["GM133"]),
        ("distribute: [{from: a, to: {b: 50, b/*: 50}}]", ["GM133"]),
        ("distribute: [{from: a/*, to: {b: 100}}, {from: a/b, to: {b: 100}}]", ["GM133"]),
        ("distribute: [{from: a/b, to: {b: 100}}, {from: a/*, to: {b: 100}}]", []),
        ("distribute: [{from: a/b/c, to: {b: 100}}, {from: a/b, to: {b: 100}}]", ["GM133"]),
        ("distribute: [{from: a//c, to: {b: 100}}]", ["GM133"]),
        ("distribute: [{from: 'a/*/c', to: {b: 100}}]", ["GM133"]),
        ("distribute: [{from: a, to: {b: 100}}], failover: [{from: a, to: b}]", ["GM105"]),
        ("failover: [{from: a, to: b}]", []),
        ("failover: [{from: a, to: a}]", ["GM133"]),
        ("failover: [{from: a/b, to: 'c*'}]", ["GM133", "GM133"]),
        ("failover: [{from: a, to: b}], failoverPriority: [topology.kubernetes.io/zone]", ["GM105"]),
        ("failover: [{from: a, to: b}], failoverPriority: [version]", []),
    ],
)
def test_load_balancing_by_place(setting: str, expected: list[str]):
    assert policy(f"{EJECT}, loadBalancer: {{localityLbSetting: {{{setting}}}}}") == expected


def test_failover_needs_endpoints_to_be_ejected():
    assert policy("loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}]}}") == ["GM143"]
    assert policy("loadBalancer: {localityLbSetting: {failoverPriority: [version]}}") == ["GM143"]


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ("mode: MUTUAL, credentialName: a", []),
        ("mode: MUTUAL, credentialName: a, caCrl: b", ["GM105"]),
        ("mode: MUTUAL, clientCertificate: a, privateKey: b, caCertificates: c", []),
        ("mode: SIMPLE, insecureSkipVerify: true", []),
        ("mode: SIMPLE, insecureSkipVerify: true, caCertificates: a", ["GM105"]),
        ("mode: SIMPLE, insecureSkipVerify: true, credentialName: a", ["GM105"]),
        ("mode: MUTUAL, insecureSkipVerify: true, credentialName: a", []),
        ("mode: MUTUAL, insecureSkipVerify: true, credentialName: a, subjectAltNames: [b]", ["GM105"]),
        ("mode: SIMPLE, credentialName: 'configmap://default/a'", []),
        ("mode: SIMPLE, credentialName: 'configmap://other/a'", ["GM109"]),
        ("mode: SIMPLE, credentialName: 'configmap://a'", ["GM108"]),
        ("mode: ISTIO_MUTUAL, credentialName: a, privateKey: b", []),
    ],
)
def test_tls_towards_a_destination(tls: str, expected: list[str]):
    found = policy(f"tls: {{{tls}}}")
    assert [code for code in found if not code.startswith("GM2")] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("connectionPool: {tcp: {maxConnections: 0}}", ["GM419"]),
        ("connectionPool: {http: {http1MaxPendingRequests: 0, http2MaxRequests: 0}}", ["GM419", "GM419"]),
        ("connectionPool: {http: {maxRequestsPerConnection: 0}}", []),
        ("connectionPool: {tcp: {idleTimeout: 0s}}", []),
        ("connectionPool: {http: {idleTimeout: 0s}}", ["GM107"]),
        ("connectionPool: {tcp: {connectTimeout: 500us}}", ["GM107"]),
        ("outlierDetection: {consecutiveErrors: 5}", ["GM141"]),
        ("outlierDetection: {consecutiveLocalOriginFailures: 1}", ["GM109"]),
        ("outlierDetection: {maxEjectionPercent: 101}", ["GM106"]),
        ("tunnel: {protocol: CONNECT, targetHost: a.b, targetPort: 80}", []),
        ("tunnel: {protocol: GET, targetHost: 'a b', targetPort: 80}", ["GM104", "GM108"]),
        ("tunnel: {targetHost: a, targetPort: 80}, proxyProtocol: {version: V1}", ["GM105"]),
        ("proxyProtocol: {version: V3}", ["GM104"]),
        ("portLevelSettings: [{port: {number: 80}, outlierDetection: {consecutiveErrors: 1}}]", ["GM141"]),
        (
            "portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}, "
            "{port: {number: 80}, tls: {mode: DISABLE}}]",
            ["GM415"],
        ),
    ],
)
def test_pools_ejection_tunnels_and_ports(text: str, expected: list[str]):
    assert policy(text) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("subsets: [{name: a}]", ["GM411"]),
        ("subsets: [{name: a, labels: {v: 'b/c'}}]", ["GM112"]),
        ("subsets: [{name: '', labels: {v: b}}]", ["GM108"]),
        ("subsets: [{name: a, labels: {v: b}, trafficPolicy: {}}]", ["GM126"]),
        ("workloadSelector: {matchLabels: {a: b}}, exportTo: ['.']", []),
        ("workloadSelector: {matchLabels: {a: b}}, exportTo: ['*']", ["GM109"]),
        ("workloadSelector: {matchLabels: {a: b}}, exportTo: [default, other]", ["GM109"]),
        ("workloadSelector: {}", ["GM142"]),
    ],
)
def test_subsets_and_clients(spec: str, expected: list[str]):
    assert codes(spec) == expected


@pytest.mark.parametrize("host", ["10.0.0.1", "a.10", "a..b", "a_b", "x" * 64, ""])
def test_what_is_no_host(host: str):
    (found,) = findings(HEAD + f"{{host: '{host}'}}\n")
    assert found.code == "GM108"


@pytest.mark.parametrize("host", ["a", "1", "*", "*.b", "*-a.b", "*a.b", "A.b.", "x" * 63])
def test_what_is_a_host(host: str):
    assert findings(HEAD + f"{{host: '{host}'}}\n") == ()
