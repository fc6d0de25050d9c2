"""What stands in the cluster on the way is as valid as what Git says: no error is found in it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from fakes.builders import a_route
from fakes.examined import findings

from gitmesh.istio.walks import rules, services
from gitmesh.model.diagnostic import Severity
from gitmesh.model.policy import Walk
from gitmesh.model.stand import Stand
from gitmesh.model.steps import RequestMatch

MATCHES = tuple(
    RequestMatch.model_validate(match)
    for match in (
        {"headers": {"x-group": {"prefix": "be"}}},
        {"cookies": {"user": "staff", "a.b": "c+d"}},
        {"sourceLabels": {"app": "web"}},
    )
)
PATH = {"match": [{"uri": {"prefix": "/a"}}, {"uri": {"exact": "/b"}, "headers": {"end-user": {}}}]}
OLD = {"hosts": ["reviews"], "http": [a_route("v1", name="a", **PATH), a_route("v1 90, v2 10", name="all")]}
NEW = {
    "hosts": ["reviews"],
    "http": [a_route("v2", name="a", **PATH), a_route("v1 10, v2 90", name="all", timeout="2s")],
}
FEWER = {"hosts": ["reviews"], "http": [a_route("v2", name="a", **PATH)]}
POOL, POOLS = ({"connectionPool": {"tcp": {"maxConnections": n}}} for n in (1, 100))
SUBSETS = [{"name": v, "labels": {"version": v}} for v in ("v1", "v2")]
RULE = {"host": "reviews", "subsets": SUBSETS, "trafficPolicy": POOL}
OTHER_RULE = {"host": "reviews", "subsets": SUBSETS, "trafficPolicy": POOLS}
STANDS = [
    Stand(progress, matches, mirror, walk)
    for walk in Walk
    for progress, matches, mirror in ((0, MATCHES, 0.0), (0, (), 50.0), (5, (), 0.0), (37.5, MATCHES, 0.0))
]


def errors(routes: Any, rule: Any) -> list[str]:
    documents = [
        {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": "reviews"}, "spec": spec}
        for kind, spec in (("VirtualService", routes), ("DestinationRule", rule))
    ]
    return [
        f"{d.code} {d.message}"
        for d in findings(yaml.safe_dump_all(documents))
        if d.severity is Severity.ERROR
    ]


@pytest.mark.parametrize("target", [NEW, FEWER])
@pytest.mark.parametrize("stand", STANDS)
def test_routes_on_their_way_are_valid(stand: Stand, target: dict[str, Any]):
    assert errors(services.effective(OLD, target, stand, namespace="default"), RULE) == []


@pytest.mark.parametrize("stand", STANDS)
def test_a_rule_and_the_routes_that_share_with_its_twins_are_valid(stand: Stand):
    twins = rules.twins(RULE, OTHER_RULE, namespace="default")
    assert len(twins) == 3
    routes = rules.through(OLD, twins, stand, namespace="default")
    assert errors(routes, rules.effective(RULE, OTHER_RULE, stand, namespace="default")) == []


def test_what_is_wrong_would_be_found():
    assert errors(OLD, {"host": "reviews", "subsets": SUBSETS[:1]})
