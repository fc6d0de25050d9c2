"""Server-side apply: who owns what, who is in whose way, and what goes when nobody wants it any more."""

from __future__ import annotations

import copy

import pytest
from fakes.applied_objects import SCHEMA, Body, applied, config, conflicts, edited, owned, updated

from gitmesh.playground.apiserver.objects.apply import ApplyConflict, ApplyError


def test_applying_creates_the_object_and_owns_what_was_stated() -> None:
    body = config(
        metadata={"labels": {"app": "r"}, "creationTimestamp": None}, hosts=["a"], nested={"a": "1"}
    )
    result = applied(None, body, "git")
    assert result["metadata"].pop("managedFields") == [
        {
            "manager": "git",
            "operation": "Apply",
            "apiVersion": "x.dev/v1",
            "time": "2024-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {"f:hosts": {}, "f:nested": {"f:a": {}}},
            },
        }
    ]
    assert result == config(metadata={"labels": {"app": "r"}}, hosts=["a"], nested={"a": "1"})


def test_applying_the_same_again_changes_nothing_not_even_the_time() -> None:
    body = config(hosts=["a"], ports=[{"port": 80}], tags=["a"])
    live = applied(None, body, "git")
    assert applied(live, body, "git", now="2030-01-01T00:00:00Z") == live


def test_a_change_moves_the_time() -> None:
    live = applied(None, config(mode="a"), "git")
    result = applied(live, config(mode="b"), "git", now="2030-01-01T00:00:00Z")
    assert result["spec"] == {"mode": "b"}
    assert result["metadata"]["managedFields"][0]["time"] == "2030-01-01T00:00:00Z"


def test_what_the_server_writes_survives_and_is_not_owned() -> None:
    server = {"uid": "u", "resourceVersion": "7", "generation": 2, "creationTimestamp": "t"}
    live = applied(None, config(mode="a"), "git")
    live["metadata"] |= server
    result = applied(live, config(mode="b", metadata={"uid": "u", "resourceVersion": "7"}), "git")
    assert result["metadata"].items() >= server.items()
    assert owned(result) == {"git": {"f:spec": {"f:mode": {}}}}


def test_equal_values_are_owned_together() -> None:
    live = applied(None, config(mode="a"), "one")
    live = applied(live, config(mode="a"), "two")
    assert owned(live) == {"one": {"f:spec": {"f:mode": {}}}, "two": {"f:spec": {"f:mode": {}}}}


def test_another_value_is_a_conflict_worded_as_kubectl_knows_it() -> None:
    live = applied(None, config(http=[{"weight": 1}]), "one")
    with pytest.raises(ApplyConflict) as caught:
        applied(live, config(http=[{"weight": 2}]), "two")
    assert str(caught.value) == 'Apply failed with 1 conflict: conflict with "one": .spec.http'
    (conflict,) = caught.value.conflicts
    assert (conflict.cause, conflict.field) == ('conflict with "one"', ".spec.http")


def test_many_conflicts_are_grouped_by_manager() -> None:
    live = applied(None, config(mode="a", hosts=["a"]), "one")
    live = edited(live, "kubectl-edit", lambda b: b["spec"].update(nested={"a": "1"}))
    with pytest.raises(ApplyConflict) as caught:
        applied(live, config(mode="b", hosts=["b"], nested={"a": "2"}), "two")
    assert str(caught.value) == (
        "Apply failed with 3 conflicts: "
        'conflicts with "kubectl-edit" using x.dev/v1:\n- .spec.nested.a\n'
        'conflicts with "one":\n- .spec.hosts\n- .spec.mode'
    )


def test_a_refused_apply_names_the_subresource_of_the_other_manager() -> None:
    live = applied(None, config(mode="a"), "one")
    live = updated(live, {**live, "status": {"phase": "a"}}, "controller", subresource="status")
    status = {**config(), "status": {"phase": "b"}}
    assert conflicts(live, status, "two", subresource="status") == [
        ('"controller" with subresource "status" using x.dev/v1', ".status.phase")
    ]


def test_force_takes_the_field_over() -> None:
    live = applied(None, config(mode="a", hosts=["a"]), "one")
    live = applied(live, config(mode="b"), "two", force=True)
    assert live["spec"] == {"mode": "b", "hosts": ["a"]}
    assert owned(live) == {"one": {"f:spec": {"f:hosts": {}}}, "two": {"f:spec": {"f:mode": {}}}}


def test_an_update_takes_fields_from_an_applier_who_then_conflicts() -> None:
    live = applied(None, config(mode="a"), "git")
    live = edited(live, "kubectl-edit", lambda b: b["spec"].update(mode="b"))
    assert conflicts(live, config(mode="a"), "git") == [('"kubectl-edit" using x.dev/v1', ".spec.mode")]
    assert owned(applied(live, config(mode="b"), "git")).keys() == {"git", "kubectl-edit"}


def test_a_manager_can_be_in_its_own_way_by_updating_and_applying() -> None:
    live = updated(None, config(mode="a"), "git")
    assert conflicts(live, config(mode="b"), "git") == [('"git" using x.dev/v1', ".spec.mode")]


def test_a_field_that_its_only_owner_drops_is_removed() -> None:
    live = applied(
        None, config(mode="a", nested={"a": "1", "b": "2"}, metadata={"labels": {"l": "1"}}), "git"
    )
    result = applied(live, config(nested={"a": "1"}), "git")
    assert result["spec"] == {"nested": {"a": "1"}}
    assert "labels" not in result["metadata"]


def test_a_field_that_another_still_owns_stays() -> None:
    live = applied(None, config(mode="a", hosts=["a"]), "one")
    live = applied(live, config(mode="a"), "two")
    live = applied(live, config(hosts=["a"]), "one")
    assert live["spec"] == {"mode": "a", "hosts": ["a"]}
    assert owned(live) == {"one": {"f:spec": {"f:hosts": {}}}, "two": {"f:spec": {"f:mode": {}}}}


def test_a_field_that_an_update_owns_too_stays() -> None:
    live = updated(None, config(mode="a"), "creator")
    live = applied(live, config(mode="a", hosts=["a"]), "git")
    live = applied(live, config(hosts=["a"]), "git")
    assert live["spec"]["mode"] == "a"


def test_a_field_nobody_stated_stays() -> None:
    live = applied(None, config(mode="a"), "git")
    live["spec"]["hosts"] = ["defaulted"]
    assert applied(live, config(mode="b"), "git")["spec"] == {"mode": "b", "hosts": ["defaulted"]}


def test_dropping_the_last_fields_of_an_object_drops_the_object() -> None:
    live = applied(None, config(nested={"a": "1"}, mode="a"), "git")
    assert applied(live, config(mode="a"), "git")["spec"] == {"mode": "a"}
    assert "spec" not in applied(live, config(), "git")


def test_an_applier_who_states_nothing_any_more_owns_nothing() -> None:
    live = applied(None, config(mode="a"), "one")
    live = applied(live, config(mode="a"), "two")
    assert owned(applied(live, config(), "one")).keys() == {"two"}


def test_all_versions_of_an_applier_are_one_entry() -> None:
    live = applied(None, config(mode="a", hosts=["a"], version="v1beta1"), "git")
    live = applied(live, config(mode="b", version="v1"), "git")
    assert live["spec"] == {"mode": "b"}
    assert [e["apiVersion"] for e in live["metadata"]["managedFields"]] == ["x.dev/v1"]


def test_another_version_of_the_same_content_still_owns_it() -> None:
    live = applied(None, config(mode="a", version="v1alpha3"), "one")
    assert conflicts(live, config(mode="b"), "two") == [('"one"', ".spec.mode")]
    live = edited(live, "kubectl-edit", lambda b: b["spec"].update(mode="c"))
    assert conflicts(live, config(mode="b"), "two") == [('"kubectl-edit" using x.dev/v1alpha3', ".spec.mode")]


def test_the_status_is_out_of_reach_where_it_is_a_subresource() -> None:
    live = applied(None, {**config(mode="a"), "status": {"phase": "mine"}}, "git")
    assert "status" not in live
    assert owned(live) == {"git": {"f:spec": {"f:mode": {}}}}


def test_the_status_subresource_touches_only_the_status() -> None:
    live = applied(None, config(mode="a"), "git")
    body = {**config(mode="b", metadata={"labels": {"a": "b"}}), "status": {"phase": "x"}}
    live = applied(live, body, "git", subresource="status")
    assert (live["spec"], live["status"], live["metadata"].get("labels")) == (
        {"mode": "a"},
        {"phase": "x"},
        None,
    )
    entries = live["metadata"]["managedFields"]
    assert [(e.get("subresource"), e["fieldsV1"]) for e in entries] == [
        (None, {"f:spec": {"f:mode": {}}}),
        ("status", {"f:status": {"f:phase": {}}}),
    ]
    assert applied(live, config(mode="a"), "git")["status"] == {"phase": "x"}


def test_a_kind_without_a_status_subresource_has_its_status_applied() -> None:
    body = {**config(), "status": {"phase": "x"}}
    live = applied(None, body, "git", status_subresource=False)
    assert live["status"] == {"phase": "x"}
    assert owned(live) == {"git": {"f:status": {"f:phase": {}}}}


def test_null_over_a_map_keeps_what_is_in_it() -> None:
    live = applied(None, config(nested={"a": "1"}), "one")
    assert applied(live, config(nested=None), "two")["spec"] == {"nested": {"a": "1"}}


def test_an_object_from_before_ownership_belongs_to_a_manager_of_that_time() -> None:
    live = config(mode="a", hosts=["a"])
    assert conflicts(live, config(mode="b"), "git") == [('"before-first-apply" using x.dev/v1', ".spec.mode")]
    result = applied(live, config(mode="a"), "git")
    assert owned(result).keys() == {"before-first-apply", "git"}


def test_managed_fields_that_cannot_be_read_count_as_none() -> None:
    live = applied(None, config(mode="a"), "one")
    for broken in ([{"manager": "x"}], "text", [{"operation": "Apply"}], [3]):
        live["metadata"]["managedFields"] = broken
        assert owned(applied(live, config(mode="b"), "two", force=True))["two"] == {"f:spec": {"f:mode": {}}}


def test_a_schema_that_became_atomic_makes_its_owners_own_the_whole() -> None:
    granular = copy.deepcopy(SCHEMA)
    del granular["properties"]["spec"]["properties"]["whole"]["x-kubernetes-map-type"]
    live = applied(None, config(whole={"a": "1"}), "one", schema=granular)
    assert conflicts(live, config(whole={"a": "1", "b": "2"}), "two") == [('"one"', ".spec.whole")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (config(metadata={"managedFields": []}), "managedFields must be nil"),
        (
            config(ports=[{"port": 1}, {"port": 1, "protocol": "TCP"}]),
            r"\.spec\.ports: duplicate entries for key",
        ),
        (config(tags=["a", "a"]), r'\.spec\.tags: duplicate entries for key \[="a"\]'),
        (config(tags=[{"a": 1}]), r"\.spec\.tags: item 0 has nothing that identifies it"),
        (config(ports=["text"]), r"\.spec\.ports: item 0 has nothing that identifies it"),
    ],
)
def test_a_configuration_that_says_nothing_clear_is_refused(body: Body, message: str) -> None:
    with pytest.raises(ApplyError, match=message):
        applied(None, body, "git")
