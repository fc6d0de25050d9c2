"""A field that does not exist keeps nothing else from being judged, unless it seems to be a missing one."""

from __future__ import annotations

import pytest
from fakes.examined import findings

from gitmesh.validate.known_fields import without

HEAD = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"


def codes(spec: str) -> list[str]:
    return [
        finding.code
        for finding in findings(f"{HEAD}spec: {spec}\n", known_hosts=("a.default.svc.cluster.local",))
    ]


def test_beside_a_new_field_all_rules_hold():
    told = codes("{hosts: [a], http: [{brandNew: 1, retries: {perTryTimeout: 1s}}]}")
    assert sorted(told) == ["GM101", "GM123", "GM127"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{hosts: [a], http: [{rout: [{destination: {host: a}}]}]}", ["GM101"]),
        ("{hosts: [a], htttp: []}", ["GM101"]),
        ("{hosts: [a], http: [{redirect: {uri: /}, retries: {attemps: 3, perTryTimeout: 1s}}]}", ["GM101"]),
        (
            "{hosts: [a], http: [{timeOut: 1s, route: [{destination: {host: a}, weight: -1}]}]}",
            ["GM101", "GM124"],
        ),
    ],
)
def test_what_follows_from_a_misspelt_field_is_not_told_as_well(spec: str, expected: list[str]):
    assert codes(spec) == expected


def test_fields_are_left_out_at_any_depth_and_nothing_else_changes():
    value = {"a": [{"b": 1, "c": {"d": 2, "e": 3}}, {"b": 4}], "f": 5}
    assert without(value, [("a", 0, "c", "d"), ("a", 1, "b"), ("f",)]) == {"a": [{"b": 1, "c": {"e": 3}}, {}]}
    assert value["f"] == 5
    assert without(value, [("x", "y"), ("a", 7, "b"), ("f", "g")]) == value
