"""What an HTTP rule may say, as Istio's admission judges it, and what then does nothing."""

from __future__ import annotations

import pytest
from fakes.examined import findings

HEAD = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: "
TO = "route: [{destination: {host: a}}]"


def codes(rule: str, *, spec: str = "hosts: [a]") -> list[str]:
    return [d.code for d in findings(HEAD + "{" + spec + ", http: [{" + rule + "}]}\n")]


def when(match: str) -> str:
    return f"match: [{{{match}}}], {TO}"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (when("headers: {x-a: {exact: b}, ':method': {exact: GET}, 'end!': {}}"), []),
        (when("headers: {'x a': {exact: b}}"), ["GM108"]),
        (when("headers: {':path2': {exact: b}}"), ["GM108"]),
        (when("headers: {'': {exact: b}}"), ["GM108"]),
        (when("withoutHeaders: {'': {exact: b}}"), ["GM108"]),
        (when("headers: {x: null}"), ["GM102"]),
        (when("headers: {x: {regex: '*'}}"), ["GM108"]),
        (when("withoutHeaders: {x: {regex: '*'}}"), []),
        (when("headers: {x: {exact: ''}}"), []),
        (when("headers: {x: {prefix: ''}}"), ["GM108"]),
        (when("queryParams: {x: {prefix: ''}}"), ["GM108"]),
        (when("uri: {regex: ''}"), ["GM108"]),
        (when("uri: {regex: '[a'}"), ["GM108"]),
        (when(r"uri: {regex: '(a)\1'}"), ["GM108"]),
        (when("uri: {regex: '(?P<a>b)(?i)c'}"), []),
        (when("uri: {regex: 'a{2000}'}"), ["GM108"]),
        (when(f"uri: {{regex: '{'a' * 1024}'}}"), []),
        (when(f"uri: {{regex: '{'a' * 1025}'}}"), ["GM108"]),
        (when("sourceLabels: {app: a_1, example.com/b: ''}"), []),
        (when("sourceLabels: {app: 'a*'}"), ["GM112"]),
        (when("sourceLabels: {-app: a}"), ["GM112"]),
        (when("sourceNamespace: a.b"), ["GM108"]),
        (when("gateways: [a/b/c]"), ["GM108", "GM203"]),
        (when("gateways: [mesh, entry.default.svc.cluster.local]"), ["GM203", "GM427"]),
        (when("headers: {'@request.auth.claims.group': {exact: a}}"), ["GM129"]),
        (when("withoutHeaders: {'@request.auth.claims[a][b]': {exact: a}}"), ["GM129"]),
        (when("headers: {'@request.auth.claims': {exact: a}}"), ["GM108"]),
        (when("port: 70000"), ["GM106"]),
    ],
)
def test_conditions(rule: str, expected: list[str]):
    assert codes(rule) == expected


def test_claims_are_matched_at_a_gateway_only():
    rule = when("headers: {'@request.auth.claims.group': {exact: a}}")
    gateway = "hosts: [a], gateways: [{}]"
    assert "GM129" not in codes(rule, spec=gateway.format("entry"))
    assert "GM129" in codes(rule, spec=gateway.format("entry, mesh"))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ("request: {set: {x: a}, add: {x-b: b}, remove: [z]}", []),
        ("request: {set: {host: a.example.com}}", []),
        ("request: {set: {':authority': a.example.com}}", []),
        ("request: {set: {':path': /}}", ["GM114"]),
        ("request: {set: {'': a}}", ["GM114"]),
        ("request: {remove: [host]}", ["GM114"]),
        ("request: {remove: [':path']}", ["GM114"]),
        ("response: {set: {Host: a}}", ["GM114"]),
        ("response: {add: {x: '%RESPONSE_CODE% of 100%%'}}", []),
        ("response: {add: {x: '%START_TIME(%Y/%m)%'}}", []),
        ("response: {add: {x: 100%}}", ["GM114"]),
        ("response: {add: {x: '%START_TIME%%'}}", ["GM114"]),
        ('response: {add: {x: "a\\u0001"}}', ["GM114"]),
        ('response: {add: {x: "a\\tb"}}', []),
        ("request: {set: {host: a, ':authority': b}}", ["GM114"]),
        ("request: {set: {host: a}, add: {host: b}}", ["GM114"]),
    ],
)
def test_changes_to_headers_of_a_rule_and_of_a_destination(headers: str, expected: list[str]):
    assert codes(f"{TO}, headers: {{{headers}}}") == expected
    if "host" not in headers and "authority" not in headers:
        assert codes(f"route: [{{destination: {{host: a}}, headers: {{{headers}}}}}]") == expected


def test_the_host_of_a_request_is_set_once():
    assert codes(f"{TO}, rewrite: {{authority: b}}, headers: {{request: {{set: {{host: a}}}}}}") == ["GM114"]
    assert codes(f"{TO}, rewrite: {{uri: /b/}}, headers: {{request: {{set: {{host: a}}}}}}") == []


@pytest.mark.parametrize(
    ("cors", "expected"),
    [
        ("allowOrigins: [{exact: 'https://a'}, {regex: 'https://.*'}]", []),
        ("allowOrigins: [{exact: ''}]", ["GM126"]),
        ("allowOrigins: [{}]", ["GM126"]),
        ("allowOrigins: [{regex: '*'}]", ["GM108"]),
        ("allowMethods: [GET, '*']", ["GM432"]),
        ("allowMethods: [get]", ["GM432", "GM104"]),
        ("allowHeaders: [x-a, '*'], exposeHeaders: ['x b']", ["GM432", "GM108"]),
        ("allowOrigins: [{exact: a}], maxAge: 24h", []),
        ("allowOrigins: [{exact: a}], maxAge: 1500ms", ["GM107"]),
        ("allowOrigin: ['*']", ["GM141"]),
    ],
)
def test_calls_of_other_origins(cors: str, expected: list[str]):
    assert codes(f"{TO}, corsPolicy: {{{cors}}}") == expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("redirect: {uri: /a}", []),
        ("redirect: {uri: ''}", ["GM126"]),
        ("redirect: {derivePort: FROM_REQUEST_PORT}", []),
        ("redirect: {uri: /a, scheme: ftp}", ["GM104"]),
        ("redirect: {uri: /a, redirectCode: 0}", []),
        ("redirect: {uri: /a, redirectCode: 200}", ["GM106"]),
        ("redirect: {uri: /a, redirectCode: 308}", []),
        ("redirect: {uri: /a, redirectCode: 300}", ["GM403"]),
        ("redirect: {uri: /a}, timeout: 1s, retries: {attempts: 1}", ["GM416", "GM416"]),
        ("directResponse: {status: 503}, mirror: {host: b}", ["GM416"]),
        ("directResponse: {status: 199}", ["GM106"]),
        (f"{TO}, rewrite: {{authority: ''}}", ["GM126"]),
        (f"{TO}, rewrite: {{uriRegexRewrite: {{match: a}}}}", ["GM126"]),
        (f"{TO}, rewrite: {{uriRegexRewrite: {{match: '(a', rewrite: b}}}}", ["GM108"]),
        (f"{TO}, rewrite: {{uri: /b}}", ["GM414"]),
        (f"match: [{{uri: {{exact: /a}}}}], {TO}, rewrite: {{uri: /b}}", []),
        (f"match: [{{uri: {{prefix: /a}}}}], {TO}, rewrite: {{uri: /b}}", []),
        (f"match: [{{uri: {{prefix: /a/}}}}], {TO}, rewrite: {{uri: /b}}", ["GM414"]),
        (f"{TO}, retries: {{attempts: 2, retryOn: '503,reset'}}", []),
        (f"{TO}, retries: {{attempts: 2, retryOn: '299'}}", ["GM104"]),
        (f"{TO}, retries: {{attempts: 0}}", []),
        (f"{TO}, retries: {{retryRemoteLocalities: false}}", ["GM127"]),
        (f"{TO}, retries: {{attempts: -1}}", ["GM106"]),
        (f"{TO}, timeout: 0s", ["GM107"]),
        (f"{TO}, timeout: 4s, retries: {{attempts: 2, perTryTimeout: 2s}}", []),
        (f"{TO}, timeout: 3s, retries: {{attempts: 2, perTryTimeout: 2s}}", ["GM405"]),
        (f"{TO}, mirror: {{host: a.default.svc.cluster.local}}", ["GM410"]),
        (f"{TO}, mirrors: [{{destination: {{host: a, subset: v2}}}}]", ["GM201"]),
        (f"{TO}, mirror: {{host: '*'}}", ["GM108"]),
        (f"{TO}, mirror: {{host: b}}, mirrorPercentage: {{value: 101}}", ["GM106"]),
        ("route: [{destination: {host: 10.0.0.1}}]", ["GM108"]),
        ("route: [{destination: {host: a, port: {}}}]", ["GM103"]),
        ("route: [{destination: {host: a}, weight: 2}, {destination: {host: b}, weight: 1}]", ["GM407"]),
        ("route: [{destination: {host: a}, weight: 999}, {destination: {host: b}, weight: 1}]", []),
        ("route: [{destination: {host: a}, weight: 100}]", []),
        (
            "route: [{destination: {host: a}, weight: 90}, "
            "{destination: {host: a.default.svc.cluster.local, subset: v2}, weight: 10}]",
            ["GM421", "GM201"],
        ),
    ],
)
def test_actions(action: str, expected: list[str]):
    assert codes(action) == expected


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("abort: {httpStatus: 500, percentage: {value: 50}}", []),
        ("abort: {httpStatus: 500, percentage: {value: 0}}", []),
        ("abort: {httpStatus: 500}", ["GM401"]),
        ("abort: {httpStatus: 500, percentage: {}}", ["GM401"]),
        ("abort: {percentage: {value: 50}}", ["GM401"]),
        ("abort: {httpStatus: 601, percentage: {value: 50}}", ["GM106"]),
        ("abort: {httpStatus: 500, percentage: {value: 0.00001}}", ["GM106"]),
        ("delay: {fixedDelay: 1s, percentage: {value: 50}}", []),
        ("delay: {fixedDelay: 1s}", ["GM402"]),
        ("delay: {fixedDelay: 1s, percent: 50}", ["GM141"]),
        ("delay: {percentage: {value: 50}}", ["GM402"]),
        ("delay: {exponentialDelay: 1s, percentage: {value: 50}}", ["GM109"]),
        ("delay: {fixedDelay: 7s, percentage: {value: 50}}", ["GM406"]),
    ],
)
def test_faults(fault: str, expected: list[str]):
    timeout = ", timeout: 2s" if "7s" in fault else ""
    assert codes(f"{TO}{timeout}, fault: {{{fault}}}") == expected


def test_a_fixed_answer_has_a_bound_and_a_size_from_which_it_costs():
    def answer(field: str, text: str) -> list[str]:
        return codes(f"directResponse: {{status: 200, body: {{{field}: {text}}}}}")

    assert answer("string", "x" * 102_400) == []
    assert answer("string", "x" * 102_401) == ["GM147"]
    assert answer("string", "x" * 1_048_577) == ["GM106"]
    assert answer("bytes", "eHh4" * 34_200) == ["GM147"]


def test_spaces_in_retry_on_are_named_as_the_mistake():
    (found,) = findings(
        HEAD + "{hosts: [a], http: [{" + TO + ", retries: {attempts: 2, retryOn: '5xx, reset'}}]}"
    )
    assert (found.code, found.hint) == ("GM104", "write no spaces between the conditions")


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("uri: {exact: /a?b=c}", ["GM408"]),
        ("uri: {prefix: '/a#b'}", ["GM408"]),
        (r"uri: {regex: '/a\?b'}", []),
        ("uri: {regex: /a}, ignoreUriCase: true", ["GM418"]),
        ("uri: {exact: /a}, ignoreUriCase: true", []),
        ("gateways: [mesh], sourceLabels: {app: a}", ["GM417"]),
        ("gateways: [mesh], sourceNamespace: a", ["GM417"]),
    ],
)
def test_conditions_without_effect(match: str, expected: list[str]):
    assert codes(when(match)) == expected


def test_two_rules_with_one_name_are_told():
    rules = f"{{name: x, match: [{{uri: {{prefix: /a}}}}], {TO}}}, {{name: x, {TO}}}"
    assert [d.code for d in findings(HEAD + "{hosts: [a], http: [" + rules + "]}")] == ["GM409"]
