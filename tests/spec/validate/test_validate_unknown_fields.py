"""A field that does not exist keeps nothing else from being judged, unless it seems to be a missing one."""

from __future__ import annotations

import pytest
from fakes.examined import findings, told

from gitmesh.validate.known_fields import Meant

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
        ("{hosts: [a], htttp: [{redirect: {uri: /}}]}", ["GM101"]),
        (
            "{hosts: [a], http: [{route: [{destination: {host: a}}], "
            "retries: {attemps: 3, perTryTimeout: 1s}}]}",
            ["GM101"],
        ),
        (
            "{hosts: [a], http: [{timeOut: 1s, route: [{destination: {host: a}, weight: -1}]}]}",
            ["GM101", "GM124"],
        ),
    ],
)
def test_what_follows_from_a_misspelt_field_is_not_told_as_well(spec: str, expected: list[str]):
    assert codes(spec) == expected


def test_a_misspelt_field_is_judged_as_the_one_that_is_meant():
    text = f"{HEAD}spec:\n  hots: [a b]\n  http: [{{rout: [{{destinaton: {{hst: '*'}}}}]}}]\n"
    assert told(text) == [
        "5:3 GM101",
        "5:10 GM108",
        "6:11 GM101",
        "6:19 GM101",
        "6:32 GM101",
        "6:37 GM108",
    ]


def test_a_field_of_the_spec_that_somebody_wants_keeps_nothing_from_being_judged():
    text = f"{HEAD}spec:\n  exportTos: [a] # gitmesh: ignore GM101 because it is new\n  hosts: [a]\n"
    assert told(text) == ["4:1 GM120"]
    text = text.replace("exportTos: [a]", "hots: [b c]")
    assert told(text) == ["4:1 GM120"]


def test_of_two_fields_for_one_name_only_the_right_one_is_judged():
    assert codes("{hosts: [a], hots: [a b], http: []}") == ["GM120", "GM101"]
    assert codes("{hos: [a], hots: [a b], http: []}") == ["GM120", "GM101", "GM101"]


def test_what_is_wrong_together_is_found_beside_a_field_that_does_not_exist():
    spec = "{hosts: [a], http: [{fault: {abort: {httpStatus: 500, grpcStatus: OK, brandNew: 1}}}]}"
    assert sorted(codes(spec)) == ["GM101", "GM105"]


def test_fields_are_left_out_or_renamed_at_any_depth_and_nothing_else_changes():
    value = {"a": [{"b": 1, "c": {"d": 2, "e": 3}}, {"b": 4}], "f": 5}
    places = {("a", 0, "c", "d"): "", ("a", 1, "b"): "bb", ("f",): "g"}
    meant = Meant(value).corrected(places)
    assert meant.value == {"a": [{"b": 1, "c": {"e": 3}}, {"bb": 4}], "g": 5}
    assert meant.written(("a", 1, "bb", 0)) == ("a", 1, "b", 0)
    assert meant.written(("g",)) == ("f",)
    assert meant.corrected({("a", 1, "bb"): "c"}).written(("a", 1, "c")) == ("a", 1, "bb")
    assert value["f"] == 5
    assert Meant(value).corrected({("x", "y"): "", ("a", 7, "b"): "", ("f", "g"): ""}).value == value
