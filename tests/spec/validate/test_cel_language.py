"""CEL as Kubernetes speaks it, at a bounded cost."""

from __future__ import annotations

from typing import Any

import pytest

from gitmesh.validate.cel import Budget, Failed, Problem, Program, Variables, language
from gitmesh.validate.cel_bounds import Size, cost_of, measure
from gitmesh.validate.cel_quantities import read_quantity
from gitmesh.validate.cel_tree import read_tree
from gitmesh.validate.cel_urls import Url, read_url

CEL = language("self")


def compiled(text: str) -> Program:
    program = CEL.compile(text)
    assert isinstance(program, Program), program
    return program


def value(text: str, given: Any = None, budget: Budget | None = None) -> Any:
    variables = CEL.bind({"self": given})
    assert isinstance(variables, Variables), variables
    return compiled(text).evaluate(variables, budget or Budget())


@pytest.mark.parametrize(
    "text",
    [
        "isURL('https://a.b:80/c?d=1&d=2#e') && isURL('/path')",
        "isURL('mailto:a') && isURL('docker:5000/a')",
        "!isURL('a b') && !isURL('') && !isURL('http://a b/') && !isURL('http://a:b/') && !isURL('://a')",
        "url('HTTPS://user@a.b:80/c%20d?e=1').getScheme() == 'https'",
        "url('https://a.b:80/c').getHost() == 'a.b:80' && url('https://a.b:80/c').getHostname() == 'a.b'",
        "url('https://[::1]:80/c').getHostname() == '::1' && url('https://[::1]:80/c').getPort() == '80'",
        "url('https://[::1]/c').getPort() == '' && url('https://a').getEscapedPath() == ''",
        "url('https://a/b c').getEscapedPath() == '/b%20c'",
        "url('https://a/?x=1&x=2&y=').getQuery() == {'x': ['1', '2'], 'y': ['']}",
        "isIP('10.0.0.1') && isIP('::1') && !isIP('10.0.0.256') && !isIP('::ffff:10.0.0.1') && !isIP('a')",
        "ip('10.0.0.1').family() == 4 && ip('::1').family() == 6 && ip('::1').isLoopback()",
        "ip.isCanonical('::1') && !ip.isCanonical('0:0:0:0:0:0:0:1')",
        "ip('0.0.0.0').isUnspecified()",
        "ip('224.0.0.1').isLinkLocalMulticast() && ip('ff02::1').isLinkLocalMulticast()",
        "ip('169.254.1.1').isLinkLocalUnicast() && ip('10.0.0.1').isGlobalUnicast()",
        "!ip('255.255.255.255').isGlobalUnicast() && !ip('127.0.0.1').isGlobalUnicast()",
        "isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0') && !isCIDR('10.0.0.0/33')",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))",
        "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
        "!cidr('10.0.0.0/8').containsCIDR(cidr('0.0.0.0/0'))",
        "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('10.1.2.3/8').ip() == ip('10.1.2.3')",
        "cidr('10.0.0.0/8').prefixLength() == 8",
        "quantity('1.5Gi').isGreaterThan(quantity('1500Mi')) && quantity('500m').isLessThan(quantity('1'))",
        "quantity('50k').add(20).asInteger() == 50020 && quantity('1k').sub(quantity('1000')).sign() == 0",
        "quantity('1').compareTo(quantity('1000m')) == 0 && !quantity('500m').isInteger()",
        "quantity('2.5').asApproximateFloat() == 2.5 && isQuantity('1e3') && !isQuantity('1 Gi')",
        "'abc 12'.find('[0-9]+') == '12'",
        "'abc'.find('[0-9]') == '' && 'a1b2'.findAll('[0-9]') == ['1', '2']",
        "'a1b2'.findAll('[0-9]', 1) == ['1']",
        "[1, 2, 2].isSorted() && !['b', 'a'].isSorted()",
        "[].isSorted() && [1, 2].sum() == 3 && [].sum() == 0",
        "[0.5, 1.0].sum() == 1.5 && [3, 1].min() == 1 && [3, 1].max() == 3",
        "['a', 'b', 'a'].indexOf('a') == 0",
        "['a', 'b', 'a'].lastIndexOf('a') == 2 && [1].indexOf(true) == -1",
        "sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])",
        "'a,B'.split(',')[1].lowerAscii() == 'b' && 'abc'.substring(1, 2) == 'b' && 'abc'.charAt(0) == 'a'",
        "['a', 'b'].join('-') == 'a-b' && 'aa'.replace('a', 'b') == 'bb' && ' a '.trim() == 'a'",
        "duration('1h2m3s4ms') > duration('1h')",
        "timestamp('2026-03-02T12:00:00Z') < timestamp('2027-01-01T00:00:00Z')",
        "{'a': 1}.?b.orValue(2) == 2 && optional.of(1).hasValue() && !optional.none().hasValue()",
    ],
)  # fmt: skip
def test_functions_of_kubernetes(text: str):
    assert value(text) is True


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("self.a", "there is no field a"),
        ("self.b > 1", "> does not take (null, int)"),
        ("self.b.c == 1", "it asks for a field of something that has no fields"),
        ("url('a b') == url('b')", "'a b' is no URL"),
        ("[1, 'a'].sum() == 1", "unsupported operand"),
        ("[9223372036854775807, 1].sum() == 1", "overflow"),
        ("quantity('x').sign() == 1", "'x' is no quantity"),
        ("1 / 0 == 1", "zero"),
        ("'a'.matches('[')", "invalid regular expression"),
        ("'a'.find('[') == ''", "missing ]"),
        ("optional.of(1)", "neither true nor false"),
        ("[1, 2]", "neither true nor false"),
        ("self.list.all(x, self.list.all(y, true))", "its loops turn more than 10000 times"),
    ],
)
def test_what_cannot_be_evaluated_says_why(text: str, reason: str):
    found = value(text, {"b": None, "list": [0] * 200})
    assert isinstance(found, Failed)
    assert reason in found.reason
    assert "\n" not in found.reason


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ("foo(self)", 1, 4, "undeclared reference to 'foo'"),
        ("self.a +", 1, 9, "mismatched input '<EOF>'"),
        ("1 +\n  'a'", 1, 3, "found no matching overload"),
        ("(" * 40 + "1" + ")" * 40, 0, 0, "recursion limit"),
        ("", 1, 1, "mismatched input"),
    ],
)
def test_what_cannot_be_compiled_says_why_and_where(text: str, line: int, column: int, reason: str):
    found = CEL.compile(text)
    assert isinstance(found, Problem)
    assert (found.line, found.column) == (line, column) or reason == "mismatched input"
    assert reason in found.reason


@pytest.mark.parametrize("given", ["\ud800", 1 << 70, {"a": ["\ud800"]}])
def test_values_that_are_no_json_of_an_api_server_are_refused_quietly(given: Any):
    variables = CEL.bind({"self": given})
    if isinstance(variables, Variables):
        assert isinstance(compiled("self == 1").evaluate(variables, Budget()), Failed)


@pytest.mark.parametrize(
    "text",
    [
        "['aaaaaaaaaa']" + ".map(x, x + x)" * 24 + ".size() > 0",
        "[['aaaaaaaaaa']]" + ".map(x, x + x)" * 24 + ".all(x, x.size() > 0)",
        "[1].map(x, [x, x])" + ".map(x, [x, x])" * 24 + " == []",
        "dyn([self])" + ".map(x, [x, x])" * 25 + " == 1",
        "'a'.replace('', self)" + ".replace('a', self)" * 5 + ".size() > 0",
        "['aaaaaaaaaa']" + ".map(x, [x, x].join(x))" * 9 + ".size() > 0",
        "['%s']" + ".map(x, '%s%s%s'.format([x, x, x]))" * 20 + ".size() > 0",
    ],
)
def test_what_would_take_the_memory_is_not_evaluated(text: str):
    program = CEL.compile(text)
    if isinstance(program, Problem):
        return  # refused even earlier
    variables = CEL.bind({"self": "aaaaaaaaaa"})
    assert isinstance(variables, Variables)
    found = program.evaluate(variables, Budget())
    assert isinstance(found, Failed)
    assert found.too_costly


def test_what_people_write_is_cheap():
    rule = "self.http.all(h, h.route.all(r, has(r.destination) && r.destination.host.startsWith('a')))"
    spec = {"http": [{"route": [{"destination": {"host": "abc"}}] * 3}] * 5}
    assert value(rule, spec) is True
    listing = "'a' + self.http.filter(h, has(h.route)).map(h, h.route[0].destination.host + 'x').join(', ')"
    assert value(listing, spec) == "a" + ", ".join(["abcx"] * 5)
    cost = cost_of(compiled(rule)._tree, measure(spec))
    assert cost.steps < 2_000
    assert cost.largest < 1_000


def test_cve_2024_32476_all_evaluations_together_have_a_budget():
    budget = Budget(steps=100)
    results = [value("self.all(x, x > 0)", [1, 2, 3], budget) for _ in range(20)]
    assert results[0] is True
    last = results[-1]
    assert isinstance(last, Failed)
    assert last.too_costly
    assert budget.steps >= 0


def test_a_size_counts_elements_names_and_characters():
    assert measure({"ab": ["xyz", 1]}) == Size(widths=(1, 2, 0), text=3, total=1 + 2 + 1 + 1 + 3 + 1)


def test_a_tree_of_an_unknown_form_is_a_value_error():
    for message in (b"", b"\x12\x03\x22\x01\x52", b"\xff" * 12, b"\x12\x7f"):
        with pytest.raises(ValueError, match="form"):
            read_tree(message)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://a:80/b?c=d", Url("http", "a:80", "/b", "c=d")),
        ("/a/b", Url(path="/a/b")),
        ("a:b", Url("a")),
        ("http:///a", Url("http", "", "/a")),
        ("a", None),
        ("/%zz", None),
        ("http://a\n", None),
        ("http://[::1", None),
    ],
)
def test_urls_are_read_as_go_reads_them(text: str, expected: Url | None):
    assert read_url(text) == expected


def test_quantities_are_exact():
    assert read_quantity("0.1") == read_quantity("100m")
    assert read_quantity("-1Ki") == -1024
    assert read_quantity("1e-3") == read_quantity("1m")
    assert [read_quantity(text) for text in ("", "Gi", "1 ", "1e9999", "0x1")] == [None] * 5
