"""The client's place decides which places get its requests."""

from __future__ import annotations

from typing import Any

import pytest

from gitmesh.model.kinds import DESTINATION_RULE
from gitmesh.playground.translate.fields import Field, Reports
from gitmesh.playground.translate.localities import Placed, is_weighted, spread
from gitmesh.playground.translate.places import locality_of
from gitmesh.playground.translate.policies import Client, Policy

HERE = Client("default", {"istio-locality": "eu.a.1"})
PLACES = ("eu/a/1", "eu/a/2", "eu/b/1", "us/c/1", "ap/d/1")


def policy(setting: dict[str, Any] | None = None, *, outliers: bool = True) -> Policy:
    blocks: dict[str, Any] = {"loadBalancer": {"localityLbSetting": setting}}
    blocks |= {"outlierDetection": {}} if outliers else {}
    key = DESTINATION_RULE.key("default", "it")
    return {name: Field(key, ("spec", name), value, Reports()) for name, value in blocks.items()}


def found(policy_: Policy, field: str, client: Client = HERE) -> dict[str, Any]:
    placed = [Placed(place, {"tier": place[0]}, {"of": place}, 1) for place in PLACES]
    return {
        endpoint["of"]: group.get(field, 0)
        for group in spread(placed, policy_, client)
        for endpoint in group["lb_endpoints"]
    }


def test_outlier_detection_alone_makes_nearer_places_come_first():
    assert found(policy(), "priority") == dict(zip(PLACES, (0, 1, 2, 3, 3), strict=True))
    assert set(found(policy(outliers=False), "priority").values()) == {0}
    assert set(found(policy({"enabled": False}), "priority").values()) == {0}


def test_a_client_without_a_place_takes_every_place():
    assert set(found(policy(), "priority", Client("default")).values()) == {0}


def test_failover_says_which_region_comes_after_ones_own():
    setting = {"failover": [{"from": "eu", "to": "us"}]}
    assert found(policy(setting), "priority") == dict(zip(PLACES, (0, 1, 2, 3, 4), strict=True))
    assert is_weighted(policy(setting))
    assert not is_weighted(policy(setting, outliers=False))


def test_failover_by_labels_counts_the_labels_that_are_equal_from_the_first_on():
    setting = {"failoverPriority": ["topology.kubernetes.io/region", "tier=e", "topology.kubernetes.io/zone"]}
    assert found(policy(setting), "priority") == dict(zip(PLACES, (0, 0, 1, 2, 2), strict=True))


def test_distribute_gives_shares_to_places_and_nothing_to_the_others():
    setting = {"distribute": [{"from": "eu/*", "to": {"eu/a/*": 80, "us/c/1": 20}}]}
    assert found(policy(setting), "load_balancing_weight") == {"eu/a/1": 40, "eu/a/2": 40, "us/c/1": 20}
    elsewhere = Client("default", {"istio-locality": "us.c.1"})
    assert found(policy(setting), "load_balancing_weight", elsewhere).keys() == set(PLACES)


def test_no_endpoint_is_no_place():
    assert spread([], policy(), HERE) == [{"lb_endpoints": []}]


@pytest.mark.parametrize(
    ("labels", "place"),
    [
        ({"istio-locality": "eu.a.1"}, "eu/a/1"),
        ({"istio-locality": "eu/a"}, "eu/a"),
        ({"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "a"}, "eu/a"),
        ({}, ""),
    ],
)
def test_labels_tell_the_place(labels: dict[str, str], place: str):
    assert locality_of(labels) == place
