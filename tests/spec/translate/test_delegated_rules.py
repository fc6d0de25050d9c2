"""A rule that delegates becomes the rules of its delegate, narrowed by its own conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from fakes.mesh_objects import istio, resource_set, service, to, virtual_service

from gitmesh.playground.translate.fields import Field, Reports
from gitmesh.playground.translate.route_context import RouteContext
from gitmesh.playground.translate.routes import VirtualService, read_virtual_services, routes_of
from gitmesh.playground.translate.services import read_services


def plain(value: Any) -> Any:
    """Return what a merged field holds, as people would have written it."""
    if isinstance(value, Field):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {name: found for name, child in value.items() if (found := plain(child)) is not None}
    return [plain(item) for item in value] if isinstance(value, list) else value


def read(*bodies: dict[str, Any]) -> tuple[list[VirtualService], list[str]]:
    reports = Reports()
    found = read_virtual_services(resource_set(bodies), reports)
    return list(found), [f"{item.key.name}: {item.place}: {item.message}" for item in reports.all()]


def merged(root: str, inner: str, **spec: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rules of a root with one rule, written as YAML, whose delegate has one rule."""
    rule = {"delegate": {"name": "inner"}} | yaml.safe_load(root)
    delegate = virtual_service("inner", {"route": [to("reviews")]} | yaml.safe_load(inner), hosts=[], **spec)
    [source], reports = read(virtual_service("reviews", rule), delegate)
    rules = [plain(rule) for rule in source.rules]
    for found in rules:
        del found["route"], found["delegate"]
    return rules, reports


def matches(root: str, inner: str) -> list[dict[str, Any]] | None:
    """Return the merged conditions; None when the rule is left out."""
    rules, reports = merged(f"match: {root}", f"match: {inner}")
    assert bool(rules) is not bool(reports)
    return rules[0]["match"] if rules else None


def test_a_delegate_without_conditions_takes_those_of_the_root():
    assert matches("[{uri: {prefix: /a}}]", "[]") == [{"uri": {"prefix": "/a"}}]


def test_a_root_without_conditions_leaves_those_of_the_delegate():
    assert matches("[]", "[{uri: {prefix: /a}}]") == [{"uri": {"prefix": "/a"}}]


def test_each_condition_of_the_delegate_is_joined_with_each_of_the_root_that_it_fits():
    found = matches(
        "[{uri: {prefix: /a}, method: {exact: GET}}, {uri: {prefix: /b}}]",
        "[{uri: {exact: /a/x}}, {headers: {h: {exact: '1'}}}]",
    )
    assert found == [
        {"uri": {"exact": "/a/x"}, "method": {"exact": "GET"}},
        {"uri": {"prefix": "/a"}, "method": {"exact": "GET"}, "headers": {"h": {"exact": "1"}}},
        {"uri": {"prefix": "/b"}, "headers": {"h": {"exact": "1"}}},
    ]


FITTING = [
    ("uri: {prefix: /a}", "uri: {prefix: /a/b}"),
    ("uri: {prefix: /a}", "uri: {exact: /a/b}"),
    ("uri: {exact: /a}", "uri: {exact: /a}"),
    ("headers: {h: {exact: '1'}}", "headers: {i: {exact: '2'}}"),
    ("port: 80", "port: 80"),
    ("port: 80", "method: {exact: GET}"),
    ("method: {exact: GET}", "sourceNamespace: a"),
    ("sourceNamespace: a", "sourceNamespace: a"),
    ("sourceLabels: {app: a}", "sourceLabels: {version: v1}"),
    ("gateways: [one, mesh]", "gateways: [default/one]"),
    ("gateways: [one]", "method: {exact: GET}"),
]
CONTRADICTIONS = [
    ("uri: {prefix: /a/b}", "uri: {prefix: /a}"),
    ("uri: {prefix: /a/b}", "uri: {exact: /a}"),
    ("uri: {exact: /a}", "uri: {prefix: /a}"),
    ("uri: {exact: /a}", "uri: {exact: /b}"),
    ("uri: {regex: /a.*}", "uri: {exact: /a}"),
    ("uri: {prefix: /a}", "uri: {regex: /a.*}"),
    ("uri: {regex: /a.*}", "uri: {regex: /a.*}"),
    ("headers: {h: {}}", "headers: {h: {exact: '1'}}"),
    ("headers: {h: {exact: '1'}}", "headers: {h: {exact: '2'}}"),
    ("withoutHeaders: {h: {exact: '1'}}", "withoutHeaders: {h: {exact: '2'}}"),
    ("queryParams: {q: {exact: '1'}}", "queryParams: {q: {prefix: '1'}}"),
    ("{uri: {prefix: /a}, ignoreUriCase: true}", "uri: {prefix: /a}"),
    ("port: 80", "port: 81"),
    ("sourceNamespace: a", "sourceNamespace: b"),
    ("sourceNamespace: a", "method: {exact: GET}"),
    ("sourceLabels: {app: a}", "sourceLabels: {app: b}"),
    ("gateways: [one]", "gateways: [one, two]"),
]


@pytest.mark.parametrize(("root", "inner"), FITTING)
def test_conditions_that_can_hold_together_are_joined(root: str, inner: str):
    [found] = matches(f"[{{{root}}}]", f"[{{{inner}}}]") or [None]
    wanted = {**yaml.safe_load(root), **yaml.safe_load(inner)}
    for name in ("headers", "sourceLabels"):
        if name in wanted:
            wanted[name] = {**yaml.safe_load(root).get(name, {}), **yaml.safe_load(inner).get(name, {})}
    assert found == wanted


@pytest.mark.parametrize(("root", "inner"), CONTRADICTIONS)
def test_a_rule_of_a_delegate_that_contradicts_the_root_is_left_out_and_reported(root: str, inner: str):
    one = root if root.startswith("{") else f"{{{root}}}"
    assert matches(f"[{one}]", f"[{{{inner}}}]") is None


def test_one_condition_without_a_place_in_the_root_leaves_out_the_whole_rule():
    assert matches("[{uri: {prefix: /a}}]", "[{uri: {prefix: /a/b}}, {uri: {prefix: /c}}]") is None


ROOT = """
name: outer
timeout: 1s
retries: {attempts: 1}
rewrite: {uri: /root}
fault: {abort: {httpStatus: 500, percentage: {value: 1}}}
mirror: {host: ratings}
mirrorPercentage: {value: 1}
corsPolicy: {allowMethods: [GET]}
headers: {request: {set: {a: root, b: root}}}
"""


def test_what_the_delegate_does_not_say_it_has_from_the_root():
    [rule], _ = merged(ROOT, "{}")
    assert rule == {**yaml.safe_load(ROOT), "match": []}


def test_what_the_delegate_says_wins_as_a_whole():
    own = """
name: inner
timeout: 2s
retries: {attempts: 2}
rewrite: {authority: inner}
fault: {delay: {fixedDelay: 1s}}
mirror: {host: details}
mirrorPercentage: {value: 2}
corsPolicy: {allowMethods: [PUT]}
headers: {request: {set: {a: inner}}}
"""
    [rule], _ = merged(ROOT, own)
    assert rule == {**yaml.safe_load(own), "name": "outer-inner", "match": []}


def test_names_of_conditions_are_joined():
    assert matches("[{name: a, uri: {prefix: /a}}]", "[{name: b}]") == [
        {"name": "a-b", "uri": {"prefix": "/a"}}
    ]


def test_a_delegate_may_hold_several_rules_and_serve_several_roots():
    inner = virtual_service(
        "inner",
        {"match": [{"uri": {"prefix": "/a/1"}}], "route": [to("reviews")]},
        {"route": [to("ratings")]},
        hosts=[],
    )
    rule = {"match": [{"uri": {"prefix": "/a"}}], "delegate": {"name": "inner"}}
    last = {"route": [to("reviews")]}
    sources, reports = read(virtual_service("one", rule, last), virtual_service("two", rule), inner)
    assert [len(source.rules) for source in sources] == [3, 2]
    assert [source.spec.key.name for source in sources] == ["one", "two"]
    assert reports == []


def test_a_destination_of_the_delegate_is_named_from_its_own_namespace():
    inner = virtual_service("inner", {"route": [to("reviews", "v1")]}, hosts=[])
    inner["metadata"]["namespace"] = "team"
    rule = {"delegate": {"name": "inner", "namespace": "team"}, "mirror": {"host": "ratings"}}
    [source], _ = read(virtual_service("reviews", rule), inner)
    services = read_services(resource_set([service("reviews"), service("reviews", 8080, "team")]), Reports())
    [route] = routes_of(source, RouteContext("mesh", 9080, services))
    assert route["route"]["cluster"] == "outbound|9080|v1|reviews.team.svc.cluster.local"
    [mirror] = route["route"]["request_mirror_policies"]
    assert mirror["cluster"] == "outbound|9080||ratings.default.svc.cluster.local"
    about = route["metadata"]["filter_metadata"]
    assert about["istio"]["config"].endswith("/default/virtual-service/reviews")
    assert (about["gitmesh"]["source"], about["gitmesh"]["rule"]) == ("team/inner", "spec.http[0]")


MISSING = [
    ({}, "there is no VirtualService default/inner without hosts"),
    ({"hosts": ["other"]}, "there is no VirtualService default/inner without hosts"),
    ({"hosts": [], "exportTo": ["elsewhere"]}, "default/inner is not exported to this namespace"),
]


@pytest.mark.parametrize(("spec", "message"), MISSING)
def test_only_the_rule_whose_delegate_is_missing_is_left_out(spec: dict[str, Any], message: str):
    rules = [{"delegate": {"name": "inner"}}, {"route": [to("reviews")]}]
    others = [istio("VirtualService", "inner", {"http": [{"route": [to("a")]}], **spec})] if spec else []
    sources, reports = read(virtual_service("reviews", *rules), *others)
    root = next(source for source in sources if source.spec.key.name == "reviews")
    assert [plain(rule["route"]) for rule in root.rules] == [[to("reviews")]]
    assert f"reviews: spec.http[0].delegate: {message}" in reports


def test_a_delegate_serves_nothing_by_itself():
    sources, reports = read(virtual_service("inner", {"route": [to("reviews")]}, hosts=[]))
    assert sources == []
    assert len(reports) == 1
    assert reports[0].startswith("inner: spec.hosts: has no hosts and no VirtualService delegates to it")


def test_a_delegate_cannot_delegate_again():
    rules, reports = merged("{}", "{delegate: {name: other}}")
    assert rules == []
    assert reports == [
        "inner: spec.http[0].delegate: a delegate cannot delegate again, so the rule is left out"
    ]
