"""Which requests a condition takes, and in which words it says why not."""

from __future__ import annotations

import pytest
from fakes.asked import asked, rules, subsets_of, to

from gitmesh.istio.matching.paths import normalized
from gitmesh.istio.matching.request import RequestError, read_request


def takes(match: str, request: str, headers: str = "") -> bool:
    answer = asked(rules(to("fit", match=match) + to("rest")), request, headers)
    return subsets_of(answer) == ["fit"]


@pytest.mark.parametrize(
    ("match", "path", "expected"),
    [
        ("{uri: {exact: /a}}", "/a", True),
        ("{uri: {exact: /a}}", "/a?x=1", True),
        ("{uri: {exact: /a}}", "/a/", False),
        ("{uri: {exact: /a}}", "/A", False),
        ("{uri: {exact: /a}, ignoreUriCase: true}", "/A", True),
        ("{uri: {prefix: /a}}", "/abc", True),
        ("{uri: {prefix: /A}, ignoreUriCase: true}", "/abc", True),
        ("{uri: {prefix: /a/}}", "/a", False),
        ("{uri: {regex: '/a+'}}", "/aaa", True),
        ("{uri: {regex: '/a+'}}", "/aaab", False),
        ("{uri: {regex: '/a+'}}", "/aaa?b", True),
        ("{uri: {regex: '/a+'}, ignoreUriCase: true}", "/AAA", False),
        ("{uri: {exact: /exact}}", "/pre/../exact", True),
        ("{uri: {exact: /exact}}", "/%65xact", True),
        ("{uri: {exact: /exact}}", "//exact", False),
        ("{uri: {prefix: /a%2Fb}}", "/a%2Fb", True),
    ],
)
def test_a_path_is_compared_normalized_and_without_its_query(match: str, path: str, expected: bool):
    assert takes(match, f"http://reviews:9080{path}") is expected


@pytest.mark.parametrize(
    ("match", "headers", "expected"),
    [
        ("{headers: {end-user: {exact: jason}}}", "End-User: jason", True),
        ("{headers: {End-User: {exact: jason}}}", "end-user: jason", True),
        ("{headers: {end-user: {exact: jason}}}", "end-user: Jason", False),
        ("{headers: {end-user: {exact: jason}}}", "", False),
        ("{headers: {end-user: {prefix: ja}}}", "end-user: jason", True),
        ("{headers: {end-user: {regex: 'ja.*'}}}", "end-user: jason", True),
        ("{headers: {end-user: {regex: 'ja'}}}", "end-user: jason", False),
        ("{headers: {end-user: {}}}", "end-user: ", True),
        ("{headers: {end-user: {}}}", "", False),
        ("{headers: {end-user: {regex: '*'}}}", "end-user: x", True),
        ("{withoutHeaders: {end-user: {}}}", "", True),
        ("{withoutHeaders: {end-user: {}}}", "end-user: x", False),
        ("{withoutHeaders: {end-user: {exact: jason}}}", "end-user: jason", False),
        ("{withoutHeaders: {end-user: {exact: jason}}}", "end-user: bob", True),
        ("{withoutHeaders: {end-user: {exact: jason}}}", "", True),
        ("{withoutHeaders: {end-user: {regex: '.*'}}}", "", False),
        ("{headers: {a: {exact: '1'}, b: {exact: '2'}}}", "a: 1", False),
        ("{headers: {a: {exact: '1'}}, withoutHeaders: {b: {}}}", "a: 1", True),
        ("{headers: {'@request.auth.claims.sub': {exact: x}}}", "", False),
    ],
)
def test_a_header_is_compared_by_its_value(match: str, headers: str, expected: bool):
    assert takes(match, "http://reviews:9080/", headers) is expected


@pytest.mark.parametrize(
    ("match", "query", "expected"),
    [
        ("{queryParams: {v: {exact: '1'}}}", "?v=1", True),
        ("{queryParams: {v: {exact: '1'}}}", "?a=0&v=1", True),
        ("{queryParams: {v: {exact: '1'}}}", "?v=1&v=2", True),
        ("{queryParams: {v: {exact: '2'}}}", "?v=1&v=2", False),
        ("{queryParams: {v: {exact: '1'}}}", "?V=1", False),
        ("{queryParams: {v: {exact: 'a b'}}}", "?v=a%20b", False),
        ("{queryParams: {v: {}}}", "?v", True),
        ("{queryParams: {v: {regex: '[0-9]+'}}}", "?v=12", True),
        ("{queryParams: {v: {prefix: x}}}", "", False),
    ],
)
def test_a_query_parameter_is_compared_as_it_was_sent(match: str, query: str, expected: bool):
    assert takes(match, f"http://reviews:9080/{query}") is expected


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("{method: {exact: GET}}", True),
        ("{method: {exact: get}}", False),
        ("{method: {regex: 'GET|HEAD'}}", True),
        ("{scheme: {exact: http}}", True),
        ("{scheme: {exact: https}}", False),
        ("{authority: {exact: 'reviews:9080'}}", True),
        ("{authority: {exact: reviews}}", False),
        ("{authority: {prefix: reviews}}", True),
        ("{port: 9080}", True),
        ("{port: 80}", False),
    ],
)
def test_method_scheme_authority_and_port_are_conditions_too(match: str, expected: bool):
    assert takes(match, "GET http://reviews:9080/") is expected


@pytest.mark.parametrize(
    ("match", "request_", "headers", "words"),
    [
        (
            "{headers: {end-user: {exact: jason}}}",
            "http://reviews:9080/",
            "end-user: bob",
            "header end-user is 'bob', wants exact 'jason'",
        ),
        (
            "{headers: {end-user: {exact: jason}}}",
            "http://reviews:9080/",
            "",
            "header end-user is missing, wants exact 'jason'",
        ),
        ("{uri: {prefix: /a}}", "http://reviews:9080/b", "", "path is '/b', wants prefix '/a'"),
        (
            "{withoutHeaders: {debug: {}}}",
            "http://reviews:9080/",
            "debug: 1",
            "header debug is '1', wants no such header",
        ),
        (
            "{queryParams: {v: {exact: '2'}}}",
            "http://reviews:9080/?v=1",
            "",
            "query parameter v is '1', wants exact '2'",
        ),
        ("{port: 80}", "http://reviews:9080/", "", "port is '9080', wants 80"),
        (
            "{sourceLabels: {app: web}}",
            "http://reviews:9080/",
            "",
            "the caller's label app is missing, wants 'web'",
        ),
        (
            "{sourceNamespace: shop}",
            "http://reviews:9080/",
            "",
            "the caller's namespace is 'default', wants 'shop'",
        ),
        ("{gateways: [shop/web]}", "http://reviews:9080/", "", "the gateway is 'mesh', wants shop/web"),
        ("{method: {exact: POST}}", "http://reviews:9080/", "", "method is 'GET', wants exact 'POST'"),
    ],
)
def test_a_rule_that_does_not_take_a_request_says_why(match: str, request_: str, headers: str, words: str):
    answer = asked(rules(to("fit", match=match) + to("rest")), request_, headers)
    assert [passed.reasons for passed in answer.passed] == [(words,)]


def test_every_condition_that_fails_is_named_and_no_other():
    match = "{uri: {prefix: /a}, headers: {x: {exact: '1'}, y: {exact: '2'}}}"
    answer = asked(rules(to("fit", match=match) + to("rest")), "http://reviews:9080/a", "y: 3")
    assert answer.passed[0].reasons == (
        "header x is missing, wants exact '1'",
        "header y is '3', wants exact '2'",
    )


def test_the_conditions_that_held_are_told():
    match = "{uri: {prefix: /a}, method: {exact: GET}}"
    answer = asked(rules(to("fit", match=match)), "http://reviews:9080/abc")
    assert [(check.field, check.actual) for check in answer.held] == [("uri", "/abc"), ("method", "GET")]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/./b", "/a/b"),
        ("/a/../../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/%2e%2e/a", "/a"),
        ("/a\\b", "/a/b"),
        ("/%7euser", "/~user"),
        ("/a%2fb", "/a%2fb"),
        ("/a//b", "/a//b"),
        ("/a/..;x=1/b", "/b"),
        ("/a/%2e%2e;x/b", "/a/..;x/b"),
        ("/a|b^c", "/a%7Cb%5Ec"),
        ("", "/"),
    ],
)
def test_paths_are_normalized_as_envoy_does(path: str, expected: str):
    assert normalized(path) == expected


@pytest.mark.parametrize(
    "url",
    ["ftp://reviews/", "http:///x", "http://reviews:99999/", "http://", "http://[::1/", "http://u:p@h/"],
)
def test_what_is_no_url_is_refused_with_words(url: str):
    with pytest.raises(RequestError):
        read_request("GET", url)


@pytest.mark.parametrize("header", [(":path", "/"), ("", "x"), ("a b", "c")])
def test_what_is_no_header_is_refused_with_words(header: tuple[str, str]):
    with pytest.raises(RequestError, match="header"):
        read_request("GET", "http://reviews/", [header])


def test_the_host_header_stands_for_the_host_of_the_url():
    request = read_request("GET", "http://127.0.0.1:15001/x", [("Host", "reviews:9080")])
    assert (request.authority, request.host, request.port) == ("reviews:9080", "reviews", 9080)
