"""Which requests change hands, told from the conditions of the old and the new rules."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.mesh_objects import istio, resource_set, to, virtual_service

from gitmesh.istio.matching.samples import sample_of
from gitmesh.model.plan import Change, ChangeKind, Plan, Wave
from gitmesh.plan.requests import SHOWN_MAX, moved_requests, render_moved

V1 = {"route": [to("reviews", "v1")]}
V2 = {"route": [to("reviews", "v2")]}
V3 = {"route": [to("reviews", "v3")]}


def moved(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[str]:
    live, desired = resource_set(old), resource_set(new)
    changes = []
    for key in sorted(live.keys() | desired.keys()):
        before, after = live.get(key), desired.get(key)
        if before != after:
            kind = (
                ChangeKind.UPDATE if before and after else ChangeKind.CREATE if after else ChangeKind.DELETE
            )
            changes.append(Change(kind, key, before, after))
    plan = Plan("default/traffic", "main@1", (Wave("all", tuple(changes)),) if changes else ())
    return [str(request) for request in moved_requests(plan, live)]


def reviews(*rules: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return virtual_service("reviews", *rules, **spec)


def test_a_rule_that_leads_elsewhere_is_told_by_its_conditions():
    jason = {"uri": {"prefix": "/ratings/"}, "headers": {"end-user": {"exact": "jason"}}}
    found = moved([reviews({"match": [jason], **V2}, V1)], [reviews({"match": [jason], **V3}, V1)])
    assert found == ["reviews/ratings/* with end-user=jason: v2 -> v3"]


def test_a_new_rule_takes_requests_from_the_one_below():
    found = moved([reviews(V1)], [reviews({"match": [{"method": {"exact": "POST"}}], **V2}, V1)])
    assert found == ["POST reviews/*: v1 -> v2"]


def test_a_rule_that_goes_gives_its_requests_to_the_next_or_to_nobody():
    found = moved([reviews({"match": [{"uri": {"exact": "/a"}}], **V2}, V1)], [reviews(V1)])
    assert found == ["reviews/a: v2 -> v1"]
    found = moved([reviews(V1)], [reviews({"match": [{"uri": {"exact": "/a"}}], **V1})])
    assert found == ["reviews/*: v1 -> 404"]


def test_shares_are_told():
    both = {"route": [to("reviews", "v1", weight=90), to("reviews", "v2", weight=10)]}
    assert moved([reviews(V1)], [reviews(both)]) == ["reviews/*: v1 -> v1 90 %, v2 10 %"]


def test_what_moves_nothing_is_not_told():
    assert moved([reviews(V1)], [reviews({**V1, "timeout": "5s"})]) == []
    assert moved([reviews(V1)], [reviews({"match": [{"uri": {"exact": "/a"}}], **V1}, V1)]) == []
    assert moved([reviews(V1)], [reviews(V1)]) == []


def test_a_new_object_and_one_that_goes():
    assert moved([], [reviews(V2)]) == ["reviews/*: reviews -> v2"]
    assert moved([reviews(V2)], []) == ["reviews/*: v2 -> reviews"]


def test_a_second_object_for_a_host_has_no_say_as_it_is_younger():
    old = virtual_service("reviews", V1)
    young = istio("VirtualService", "a", {"hosts": ["reviews"], "http": [V2]})
    assert moved([old], [old, young]) == []


def test_the_caller_is_part_of_the_request():
    match = {"sourceLabels": {"app": "web"}, "sourceNamespace": "default"}
    found = moved([reviews(V1)], [reviews({"match": [match], **V2}, V1)])
    assert found == ["reviews/* from app=web, namespace default: v1 -> v2"]


def test_redirects_and_fixed_answers_are_told():
    found = moved(
        [reviews(V1)],
        [
            reviews(
                {"match": [{"uri": {"exact": "/a"}}], "redirect": {"uri": "/b"}},
                {"directResponse": {"status": 503}},
            )
        ],
    )
    assert found == [
        "reviews/*: v1 -> answered with 503",
        "reviews/a: v1 -> 301 to http://reviews.default.svc.cluster.local/b",
    ]


def test_what_leads_to_another_service_names_it():
    other = {"route": [{"destination": {"host": "ratings.shop.svc.cluster.local"}}]}
    assert moved([reviews(V1)], [reviews(other)]) == ["reviews/*: v1 -> ratings.shop"]


def test_rules_of_a_delegate_are_those_of_its_root():
    root = reviews({"match": [{"uri": {"prefix": "/a"}}], "delegate": {"name": "part"}}, V1)
    before = istio("VirtualService", "part", {"http": [V2]})
    after = istio("VirtualService", "part", {"http": [V3]})
    assert moved([root, before], [root, after]) == ["reviews/a*: v2 -> v3"]


def test_a_gateway_is_asked_too():
    gateway = istio(
        "Gateway",
        "web",
        {
            "selector": {"istio": "ingressgateway"},
            "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
        },
    )
    bound = {"hosts": ["shop.test"], "gateways": ["web"]}
    found = moved([gateway, reviews(V1, **bound)], [gateway, reviews(V2, **bound)])
    assert found == ["shop.test/* at gateway default/web:80: reviews v1 -> reviews v2"]


@pytest.mark.parametrize(
    "regex",
    ["/a.*", "/api/v[0-9]+/.+", "^/(ratings|reviews)/\\d+$", "/[^/]+/x", "/a(/b)?", "\\/x\\.json", "/a+b?"],
)
def test_a_request_is_found_for_the_regular_expressions_that_people_write(regex: str):
    sample = sample_of({"uri": {"regex": regex}}, "reviews", 80)
    assert sample is not None
    assert sample.words == f"HOST {regex}"


def test_what_no_request_is_found_for_is_left_out():
    assert sample_of({"uri": {"regex": "(((a{3,4}){2}|b)c){2}"}}, "reviews", 80) is None


def test_only_so_many_are_shown():
    old = [reviews(*({"match": [{"uri": {"exact": f"/{n}"}}], **V1} for n in range(30)), V1)]
    new = [reviews(*({"match": [{"uri": {"exact": f"/{n}"}}], **V2} for n in range(30)), V1)]
    live, desired = resource_set(old), resource_set(new)
    [key] = live
    change = Change(ChangeKind.UPDATE, key, live[key], desired[key])
    lines = render_moved(moved_requests(Plan("s", "r", (Wave("w", (change,)),)), live))
    assert lines[0] == "requests that change hands"
    assert len(lines) == SHOWN_MAX + 2
    assert lines[-1] == "  and 10 more"
