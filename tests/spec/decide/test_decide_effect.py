"""Whether requests go where the weights say, as far as so many requests can tell."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.builders import a_destination_rule, a_route, a_set, a_virtual_service

from gitmesh.decide.effect import Fit, also_ruled_elsewhere, compare, expected
from gitmesh.engine.targets import Rules, resolver, versions
from gitmesh.model.resource import Resource
from gitmesh.model.rollout import Target

RULE = a_destination_rule("reviews: v1, v2, v3")


def shares(service: Resource, rule: Resource = RULE) -> dict[str, tuple[float, float]]:
    live = Rules().of(a_set(service, rule))
    found = expected(service, resolver("default", live), lambda host: versions(host, live))
    return {share.target.version: (round(share.low, 9), round(share.high, 9)) for share in found}


def compared(text: str, **counts: float) -> Any:
    live = Rules().of(a_set(RULE))
    service = a_virtual_service(text)
    found = expected(service, resolver("default", live), lambda host: versions(host, live))
    return compare(found, {share.target: counts.get(share.target.version, 0.0) for share in found})


def test_a_version_that_is_not_named_is_to_take_nothing():
    assert shares(a_virtual_service("reviews: v1 75, v2 25")) == {
        "v1": (0.75, 0.75),
        "v2": (0.25, 0.25),
        "v3": (0.0, 0.0),
    }
    assert shares(a_virtual_service("reviews: v2"))["v2"] == (1.0, 1.0)


def test_routes_with_conditions_leave_a_range():
    routes = [a_route("v2", match=[{"headers": {"user": {"exact": "ada"}}}]), a_route("v1 60, v2 40")]
    assert shares(a_virtual_service(http=routes)) == {"v1": (0.0, 0.6), "v2": (0.4, 1.0), "v3": (0.0, 0.0)}


@pytest.mark.parametrize(
    "service",
    [
        a_virtual_service(http=[a_route("v1", match=[{"port": 80}]), a_route("v2"), a_route("v3")]),
        a_virtual_service(http=[{"route": [{"destination": {"host": "reviews"}}]}]),
        a_virtual_service(http=[{"redirect": {"uri": "/"}}]),
        a_virtual_service(http=[]),
        a_virtual_service(http=[{"route": [{"destination": {}, "weight": "x"}]}, 7]),
    ],
)
def test_where_every_share_would_be_right_nothing_is_measured(service: Resource):
    assert shares(service) == {}


def test_one_version_alone_has_nothing_to_be_compared_with():
    assert shares(a_virtual_service("reviews: v1"), a_destination_rule("reviews: v1")) == {}


def test_argo_rollouts_4741_weights_without_effect_are_contradicted_with_figures():
    found = compared("reviews: v1 75, v2 25", v1=1000)
    assert found.fit is Fit.CONTRADICTED
    assert found.figures == (
        "v1 took 100 % (75 % expected), v2 took 0 % (25 % expected), v3 took 0 % (0 % expected)"
    )


@pytest.mark.parametrize(
    ("text", "counts", "fit"),
    [
        ("reviews: v1 75, v2 25", {"v1": 750, "v2": 250}, Fit.CONFIRMED),
        ("reviews: v1 75, v2 25", {"v1": 720, "v2": 280}, Fit.CONFIRMED),
        ("reviews: v1 75, v2 25", {"v1": 20}, Fit.TOO_FEW),
        ("reviews: v1 75, v2 25", {"v1": 40}, Fit.CONTRADICTED),
        ("reviews: v1 75, v2 25", {}, Fit.TOO_FEW),
        ("reviews: v1 95, v2 5", {"v1": 100}, Fit.CONFIRMED),
        ("reviews: v1 95, v2 5", {"v1": 250}, Fit.CONTRADICTED),
        ("reviews: v2 100", {"v2": 20}, Fit.CONFIRMED),
        ("reviews: v2 100", {"v2": 999, "v1": 1}, Fit.CONFIRMED),
        ("reviews: v2 100", {"v1": 2}, Fit.CONTRADICTED),
        ("reviews: v2 100", {"v1": 1, "v2": 30}, Fit.TOO_FEW),
        ("reviews: v1 50, v2 50", {"v1": 500_000, "v2": 500_000}, Fit.CONFIRMED),
        ("reviews: v1 50, v2 50", {"v1": 520_000, "v2": 480_000}, Fit.CONTRADICTED),
    ],
)
def test_the_tolerance_follows_from_the_number_of_requests(text: str, counts: Any, fit: Fit):
    found = compared(text, **counts).fit
    assert (found is Fit.CONTRADICTED) == (fit is Fit.CONTRADICTED)
    if fit is not Fit.TOO_FEW:
        assert found is fit


def test_versions_of_two_subsets_with_one_label_are_one():
    rule = a_destination_rule("reviews: v1, v2")
    subsets = [*rule.spec["subsets"], {"name": "v1-tls", "labels": {"version": "v1"}}]
    rule = rule.with_spec({**rule.spec, "subsets": subsets})
    assert shares(a_virtual_service("reviews: v1 40, v1-tls 20, v2 40"), rule) == {
        "v1": (0.6, 0.6),
        "v2": (0.4, 0.4),
    }


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, ""),
        ({"gateways": ["mesh", "edge"]}, ""),
        ({"exportTo": ["*"]}, ""),
        ({"gateways": ["edge"]}, "it rules only what comes through gateways"),
        ({"exportTo": ["."]}, "exportTo limits who sees it"),
        ({"hosts": ["www.example.com"]}, "its destinations are reached by other hosts too"),
        (
            {"http": [a_route("v1", match=[{"sourceLabels": {"app": "web"}}])]},
            "some of its rules are for certain callers only",
        ),
    ],
)
def test_requests_that_others_rule_are_known_not_to_be_counted_apart(fields: Any, why: str):
    service = a_virtual_service("reviews: v1")
    assert also_ruled_elsewhere(service.with_spec({**service.spec, **fields})) == why


def test_a_target_is_what_metrics_know():
    live = Rules().of(a_set(RULE))
    host = "reviews.default.svc.cluster.local"
    assert [t.version for t in versions(host, live)] == ["v1", "v2", "v3"]
    assert next(versions(host, live)) == Target(host=host, subset="v1", version="v1")
    assert not list(versions("ratings.default.svc.cluster.local", live))
