"""What can never be met, and what Envoy refuses, is told; what only looks like it is not."""

from __future__ import annotations

import pytest
from fakes.examined import findings

from gitmesh.validate.header_commands import command_problem

HEAD = "apiVersion: networking.istio.io/v1\nkind: {}\nmetadata: {{name: a}}\nspec: "
TO = "route: [{destination: {host: a}}]"


def rule(text: str) -> list[str]:
    spec = f"{{hosts: [a], http: [{{{text}}}]}}\n"
    return [d.code for d in findings(HEAD.format("VirtualService") + spec)]


def policy(text: str) -> list[str]:
    spec = f"{{host: a, trafficPolicy: {{{text}}}}}\n"
    return [d.code for d in findings(HEAD.format("DestinationRule") + spec)]


@pytest.mark.parametrize(
    "match",
    [
        "uri: {prefix: /.well-known/}",
        "uri: {exact: /a..b/...}",
        "uri: {prefix: /a/..}",
        "uri: {prefix: ''}",
        "uri: {exact: '*'}, method: {exact: OPTIONS}",
        "uri: {exact: /a%2Fb%20c}",
        "method: {exact: PURGE}",
        "method: {exact: purge}",
        "scheme: {exact: wss}",
        "headers: {a: {exact: b}}, withoutHeaders: {a: {exact: c}}",
        "gateways: [mesh]",
    ],
)
def test_a_match_that_some_request_meets_is_fine(match: str):
    assert rule(f"match: [{{{match}}}], {TO}") == []


def test_a_delegate_is_not_asked_for_gateways():
    text = f"{{http: [{{match: [{{gateways: [a]}}], {TO}}}]}}\n"
    assert "GM427" not in [d.code for d in findings(HEAD.format("VirtualService") + text)]


def test_the_names_of_one_gateway_are_the_same():
    http = f"http: [{{match: [{{gateways: [default/b, ./b, b]}}], {TO}}}]"
    text = f"{{hosts: [a.example.com], gateways: [b], {http}}}\n"
    assert "GM427" not in [d.code for d in findings(HEAD.format("VirtualService") + text)]


@pytest.mark.parametrize(
    "text",
    [
        "%%",
        "50%% of %REQ(x)%",
        "%REQ(:path)%",
        "%REQ(x?y):10%",
        "%START_TIME%",
        "%START_TIME(%Y/%m)%",
        "%DOWNSTREAM_PEER_URI_SAN%",
        "%UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT%",
        '%DYNAMIC_METADATA(["a", "b"])%',
        "plain",
    ],
)
def test_commands_that_envoy_has_are_fine(text: str):
    assert command_problem(text) == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("%REQ()%", "REQ needs an argument"),
        ("%PROTOCOL(a)%", "PROTOCOL takes no argument"),
        ("a %% %PROTOCL%", "did you mean PROTOCOL?"),
        ("%req(a)%", "a command has the form"),
        ("%REQ(a)b%", "a command has the form"),
    ],
)
def test_other_commands_are_told_with_a_reason(text: str, reason: str):
    assert reason in command_problem(text)


@pytest.mark.parametrize(
    "text",
    [
        "outlierDetection: {consecutive5xxErrors: 5, consecutiveGatewayErrors: 3}",
        "outlierDetection: {consecutiveGatewayErrors: 5}",
        "outlierDetection: {consecutive5xxErrors: 0, splitExternalLocalOriginErrors: true}",
        "outlierDetection: {}, loadBalancer: {simple: PASSTHROUGH}",
        "loadBalancer: {warmup: {duration: 5s}}",
        "tls: {mode: ISTIO_MUTUAL}, portLevelSettings: [{port: {number: 1}, tls: {mode: DISABLE}}]",
    ],
)
def test_a_policy_that_does_what_it_says_is_fine(text: str):
    assert policy(text) == []


def test_requests_may_be_split_between_headers():
    part = "{destination: {host: a}, headers: {request: {set: {x: %s}}}, weight: 50}"
    assert rule(f"route: [{part % 'a'}, {part % 'b'}]") == []


@pytest.mark.parametrize(
    ("protocol", "field", "expected"),
    [
        ("HTTPS", "http", True),
        ("TLS", "http", True),
        ("TCP", "http", True),
        ("HTTP", "http", False),
        ("GRPC", "http", False),
        ("HTTP", "tls", True),
        ("HTTP", "tcp", True),
        ("HTTPS", "tls", False),
        ("TCP", "tcp", False),
    ],
)
def test_rules_are_for_what_a_host_speaks(protocol: str, field: str, expected: bool):
    rules = {
        "http": f"[{{{TO}}}]",
        "tls": f"[{{match: [{{sniHosts: [b.example.com]}}], {TO}}}]",
        "tcp": f"[{{{TO}}}]",
    }
    entry = "{hosts: [b.example.com], resolution: DNS, ports: [{number: 1, name: a, protocol: %s}]}\n"
    text = HEAD.format("ServiceEntry") + entry % protocol + "---\n" + HEAD.format("VirtualService")
    told = [d.code for d in findings(text + f"{{hosts: [b.example.com], {field}: {rules[field]}}}\n")]
    assert ("GM441" in told) is expected
    behind = f"{{hosts: [b.example.com], gateways: [g], {field}: {rules[field]}}}\n"
    assert "GM441" not in [d.code for d in findings(text + behind)]


def test_a_port_of_a_service_without_a_protocol_takes_every_rule():
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80%s}]}\n---\n"
        + HEAD.format("VirtualService")
        + f"{{hosts: [a], http: [{{{TO}}}]}}\n"
    )
    assert "GM441" not in [d.code for d in findings(service % "")]
    assert "GM441" in [d.code for d in findings(service % ", name: tcp-a")]
    assert "GM441" in [d.code for d in findings(service % ", appProtocol: https")]
