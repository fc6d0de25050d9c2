"""Only what can be wrong is checked by an Envoy of its own: new weights and new endpoints cannot."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.mesh_objects import pod, resource_set, service, subsets, to, virtual_service

from gitmesh.playground.envoy.precheck import structural_problems
from gitmesh.playground.envoy.snapshot import Snapshot, differs_in_shape
from gitmesh.playground.translate import translate


def snapshot(weight: int = 10, *, address: str = "127.0.0.11", header: str = "a", **rule: Any) -> Snapshot:
    headers = {"response": {"set": {"x": header}}}
    destinations = [
        to("reviews", "v1", weight=100 - weight, headers=headers),
        to("reviews", "v2", weight=weight),
    ]
    bodies = [
        service("reviews"),
        pod("reviews", "v1", address),
        subsets("reviews", "v1", "v2"),
        virtual_service("reviews", {"route": destinations, **rule}),
    ]
    translation = translate(resource_set(bodies))
    return Snapshot(translation.clusters, translation.routes)


@pytest.mark.parametrize("other", [snapshot(20), snapshot(0), snapshot(address="127.0.0.12")])
def test_weights_and_endpoints_are_no_change_of_shape(other: Snapshot):
    assert other != snapshot()
    assert not differs_in_shape(snapshot(), other)


@pytest.mark.parametrize(
    "other",
    [
        snapshot(header="b"),
        snapshot(timeout="1s"),
        snapshot(match=[{"uri": {"regex": "["}}]),
        Snapshot(snapshot().clusters, {}),
    ],
)
def test_everything_else_is(other: Snapshot):
    assert differs_in_shape(snapshot(), other)


def test_a_domain_twice_or_a_sum_beyond_the_limit_is_found_without_envoy():
    good = snapshot().routes["mesh"]
    twice = {**good, "virtual_hosts": [*good["virtual_hosts"], good["virtual_hosts"][0]]}
    assert any("twice" in problem for problem in structural_problems(Snapshot(routes={"mesh": twice})))
    clusters = [{"name": "a", "weight": 4_000_000_000}, {"name": "b", "weight": 4_000_000_000}]
    route = {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": clusters}}}
    heavy = {"virtual_hosts": [{"name": "h", "domains": ["h"], "routes": [route]}]}
    assert any(
        "add to 8000000000" in problem for problem in structural_problems(Snapshot(routes={"mesh": heavy}))
    )
    assert not list(structural_problems(snapshot()))
