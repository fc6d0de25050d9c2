"""Rules and matches that an earlier one leaves nothing to are found, and no others."""

from __future__ import annotations

import time

import pytest
from fakes.examined import findings
from hypothesis import given
from hypothesis import strategies as st

from gitmesh.istio.models.virtual_service import HTTPMatch
from gitmesh.validate.coverage import covers_match

HEAD = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: "
TO = "route: [{destination: {host: a}}]"


def told(protocol: str, *rules: str) -> list[tuple[str, str]]:
    body = ", ".join(f"{{{rule}}}" for rule in rules)
    text = HEAD + f"{{hosts: [a], {protocol}: [{body}]}}\n"
    return [(d.code, ".".join(str(part) for part in d.path[1:])) for d in findings(text)]


def after(first: str, second: str) -> list[str]:
    found = told("http", f"match: [{{{first}}}], {TO}", f"match: [{{{second}}}], {TO}")
    return [code for code, _ in found]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("uri: {prefix: /a}", "uri: {prefix: /a}", ["GM130", "GM131"]),
        ("uri: {prefix: /a}, name: one", "uri: {prefix: /a}, name: two", ["GM130", "GM131"]),
        ("uri: {exact: /a}", "uri: {exact: /a}", ["GM130", "GM131"]),
        ("uri: {regex: /a.*}", "uri: {regex: /a.*}", ["GM130", "GM131"]),
        ("uri: {regex: /a.*}", "uri: {prefix: /a}", []),
        ("uri: {prefix: /a}", "uri: {prefix: /ab}", ["GM131"]),
        ("uri: {prefix: /ab}", "uri: {prefix: /a}", []),
        ("uri: {prefix: /a}", "uri: {exact: /a/b}", ["GM413"]),
        ("uri: {exact: /a}", "uri: {prefix: /a}", []),
        ("uri: {prefix: /}", "uri: {regex: /a.*}", ["GM413"]),
        ("uri: {regex: .*}", "uri: {exact: /a}", ["GM413"]),
        ("headers: {x: {exact: a}}", "uri: {prefix: /a}", []),
        ("headers: {x: {exact: a}}", "uri: {prefix: /a}, headers: {x: {exact: a}}", ["GM413"]),
        ("headers: {x: {}}", "headers: {x: {exact: a}}", ["GM413"]),
        ("headers: {x: {exact: a}}", "headers: {x: {}}", []),
        ("uri: {prefix: /a}, method: {exact: GET}", "uri: {prefix: /ab}", []),
        ("uri: {prefix: /a}", "uri: {prefix: /ab}, method: {exact: POST}", ["GM131"]),
        ("uri: {prefix: /a}, port: 80", "uri: {prefix: /ab}, port: 81", []),
        ("uri: {prefix: /a}", "uri: {prefix: /ab}, port: 81", ["GM131"]),
        ("uri: {prefix: /a}, sourceLabels: {app: b}", "uri: {prefix: /ab}", []),
        ("uri: {prefix: /a}, sourceLabels: {app: b}", "uri: {prefix: /ab}, sourceLabels: {app: c}", []),
        ("uri: {prefix: /a}, gateways: [mesh]", "uri: {prefix: /ab}", []),
        ("uri: {prefix: /A}", "uri: {prefix: /ab}", []),
        ("uri: {prefix: /A}, ignoreUriCase: true", "uri: {prefix: /ab}", ["GM131"]),
        ("uri: {prefix: /a}", "uri: {prefix: /ab}, ignoreUriCase: true", []),
        ("withoutHeaders: {x: {exact: a}}", "withoutHeaders: {x: {}}", ["GM413"]),
        ("withoutHeaders: {x: {}}", "withoutHeaders: {x: {exact: a}}", []),
        ("queryParams: {q: {prefix: a}}", "queryParams: {q: {exact: ab}, r: {}}", ["GM413"]),
        ("authority: {prefix: a}", "authority: {exact: b}", []),
    ],
)
def test_a_match_after_one_that_takes_its_requests(first: str, second: str, expected: list[str]):
    assert after(first, second) == expected


def test_a_rule_without_a_match_is_the_last_one():
    assert told("http", TO, TO) == [("GM130", "http.1")]
    assert told("http", TO, f"match: [{{uri: {{prefix: /a}}}}], {TO}") == [("GM130", "http.1")]
    assert told("http", f"match: [{{uri: {{prefix: /}}}}], {TO}", TO) == [("GM413", "http.1")]
    assert told("http", f"match: [{{uri: {{prefix: /a}}}}], {TO}", TO) == []


def test_a_rule_that_delegates_takes_only_what_the_delegate_takes():
    matched = "match: [{uri: {prefix: /a}}], delegate: {name: b}"
    assert [code for code, _ in told("http", matched, matched) if code in ("GM130", "GM131", "GM413")] == []


def test_matches_of_connections_are_compared_as_a_whole():
    def rule(port: int) -> str:
        return f"match: [{{port: {port}}}], {TO}"

    assert told("tcp", rule(1), rule(2)) == []
    assert told("tcp", rule(1), rule(1)) == [("GM130", "tcp.1"), ("GM131", "tcp.1.match.0")]
    assert told("tcp", TO, rule(1)) == [("GM130", "tcp.1")]
    tls = f"match: [{{sniHosts: [a]}}], {TO}"
    assert told("tls", tls, tls) == [("GM130", "tls.1"), ("GM131", "tls.1.match.0")]


def test_thousands_of_rules_are_compared_in_no_time():
    many = [f"match: [{{uri: {{prefix: /}}, headers: {{x: {{exact: v{n}}}}}}}], {TO}" for n in range(2_000)]
    began = time.perf_counter()
    assert told("http", *many) == []
    assert time.perf_counter() - began < 20


_TEXT = st.sampled_from(["/", "/a", "/ab", "/b"])
_COMPARE = st.one_of(
    st.builds(lambda t: {"exact": t}, _TEXT), st.builds(lambda t: {"prefix": t}, _TEXT), st.just({})
)
_MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "uri": st.one_of(st.builds(lambda t: {"exact": t}, _TEXT), st.builds(lambda t: {"prefix": t}, _TEXT)),
        "headers": st.dictionaries(st.sampled_from("xy"), _COMPARE, max_size=2),
        "withoutHeaders": st.dictionaries(st.sampled_from("xy"), _COMPARE, max_size=2),
        "port": st.sampled_from([80, 81]),
    },
)
_REQUESTS = st.fixed_dictionaries(
    {"path": _TEXT, "port": st.sampled_from([80, 81])}, optional={"x": _TEXT, "y": _TEXT}
)


def _compares(compare: dict[str, str], value: str | None) -> bool:
    if value is None:
        return False
    exact, prefix = compare.get("exact"), compare.get("prefix")
    return value == exact if exact is not None else value.startswith(prefix or "")


def _takes(match: dict, request: dict) -> bool:
    """Envoy's rules, once more and without thought for speed."""
    return (
        ("uri" not in match or _compares(match["uri"], request["path"]))
        and all(_compares(m, request.get(name)) for name, m in match.get("headers", {}).items())
        and not any(_compares(m, request.get(name)) for name, m in match.get("withoutHeaders", {}).items())
        and match.get("port") in (None, request["port"])
    )


@given(_MATCHES, _MATCHES, _REQUESTS)
def test_a_covered_match_never_takes_a_request_that_the_first_one_lets_through(first, second, request_):
    one, other = HTTPMatch.model_validate(first), HTTPMatch.model_validate(second)
    if covers_match(one, other) and _takes(second, request_):
        assert _takes(first, request_)
