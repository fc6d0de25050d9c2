"""Server-side apply: what lists and maps are owned as, whole or part by part."""

from __future__ import annotations

import pytest
from fakes.applied_objects import applied, config, conflicts, owned, updated


def test_a_list_that_says_nothing_is_owned_as_a_whole() -> None:
    live = applied(None, config(hosts=["a"]), "one")
    assert conflicts(live, config(hosts=["a", "b"]), "two") == [('"one"', ".spec.hosts")]


def test_an_atomic_map_is_owned_as_a_whole() -> None:
    live = applied(None, config(whole={"a": "1"}), "one")
    assert owned(live) == {"one": {"f:spec": {"f:whole": {}}}}
    assert conflicts(live, config(whole={"b": "2"}), "two") == [('"one"', ".spec.whole")]
    assert applied(live, config(whole={"b": "2"}), "two", force=True)["spec"] == {"whole": {"b": "2"}}


def test_keys_of_a_map_belong_to_different_managers() -> None:
    live = applied(None, config(selector={"a": "1"}), "one")
    live = applied(live, config(selector={"b": "2"}), "two")
    assert live["spec"]["selector"] == {"a": "1", "b": "2"}
    assert applied(live, config(selector={}), "one")["spec"]["selector"] == {"b": "2"}


def test_items_of_a_keyed_list_belong_to_different_managers() -> None:
    live = applied(None, config(ports=[{"port": 80, "protocol": "TCP", "name": "http"}]), "one")
    live = applied(live, config(ports=[{"port": 80, "protocol": "UDP"}]), "two")
    assert [p["protocol"] for p in live["spec"]["ports"]] == ["TCP", "UDP"]
    assert owned(live)["one"] == {
        "f:spec": {
            "f:ports": {
                'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}}
            }
        }
    }
    assert applied(live, config(), "one")["spec"]["ports"] == [{"port": 80, "protocol": "UDP"}]


def test_a_key_that_is_left_out_has_its_default() -> None:
    live = applied(None, config(ports=[{"port": 80, "protocol": "TCP", "name": "a"}]), "one")
    assert conflicts(live, config(ports=[{"port": 80, "name": "b"}]), "two") == [
        ('"one"', '.spec.ports[port=80,protocol="TCP"].name')
    ]


def test_a_set_is_shared_value_by_value() -> None:
    live = applied(None, config(tags=["a", "b"]), "one")
    live = applied(live, config(tags=["b", "c"]), "two")
    assert live["spec"]["tags"] == ["a", "b", "c"]
    assert owned(live)["two"] == {"f:spec": {"f:tags": {'v:"b"': {}, 'v:"c"': {}}}}
    assert applied(live, config(tags=["a"]), "one")["spec"]["tags"] == ["a", "b", "c"]
    assert applied(live, config(tags=["c"]), "two")["spec"]["tags"] == ["a", "b", "c"]
    both = applied(live, config(tags=["a"]), "one")
    assert applied(both, config(tags=["c"]), "two")["spec"]["tags"] == ["a", "c"]


@pytest.mark.parametrize(
    ("live", "stated", "result"),
    [
        ("ab", "ab", "ab"),
        ("ab", "ba", "ba"),
        ("abc", "b", "abc"),
        ("abc", "ca", "bca"),
        ("ab", "xab", "xab"),
        ("ab", "axb", "axb"),
        ("ab", "c", "abc"),
        ("anb", "ba", "nba"),
        ("ab", "bc", "abc"),
        ("abcd", "dxb", "acdxb"),
    ],
)
def test_applied_items_keep_their_order_and_the_others_their_place(
    live: str, stated: str, result: str
) -> None:
    body = updated(None, config(tags=list(live)), "creator")
    assert "".join(applied(body, config(tags=list(stated)), "git")["spec"]["tags"]) == result


def test_finalizers_and_owner_references_are_shared_item_by_item() -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u1"}
    live = applied(None, config(metadata={"finalizers": ["a"], "ownerReferences": [owner]}), "one")
    more = {"finalizers": ["b"], "ownerReferences": [{**owner, "uid": "u2"}], "annotations": {"k": "v"}}
    live = applied(live, config(metadata=more), "two")
    assert live["metadata"]["finalizers"] == ["a", "b"]
    assert [o["uid"] for o in live["metadata"]["ownerReferences"]] == ["u1", "u2"]
    assert owned(live)["one"] == {
        "f:metadata": {"f:finalizers": {'v:"a"': {}}, "f:ownerReferences": {'k:{"uid":"u1"}': {}}}
    }


def test_unknown_fields_are_granular_and_their_lists_atomic() -> None:
    live = applied(None, config(free={"a": {"b": 1}, "l": [1]}), "one")
    live = applied(live, config(free={"a": {"c": 2}}), "two")
    assert live["spec"]["free"] == {"a": {"b": 1, "c": 2}, "l": [1]}
    assert owned(live)["one"] == {"f:spec": {"f:free": {"f:a": {".": {}, "f:b": {}}, "f:l": {}}}}
    assert conflicts(live, config(free={"l": [2]}), "two") == [('"one"', ".spec.free.l")]


def test_a_value_may_change_its_kind() -> None:
    live = applied(None, config(either=1, free={"a": {"b": 1}}), "git")
    live = applied(live, config(either="10%", free={"a": "text"}), "git")
    assert live["spec"] == {"either": "10%", "free": {"a": "text"}}
    live = applied(live, config(free={"a": {"c": 1}}), "git")
    assert live["spec"] == {"free": {"a": {"c": 1}}}


def test_numbers_that_are_equal_in_json_are_no_conflict_but_true_is_not_one() -> None:
    live = applied(None, config(free={"n": 1, "f": 1.0}), "one")
    applied(live, config(free={"n": 1.0, "f": 1}), "two")
    assert conflicts(live, config(free={"n": True}), "two") == [('"one"', ".spec.free.n")]


def test_an_empty_keyed_list_belongs_to_nobody() -> None:
    live = applied(None, config(ports=[], tags=[], hosts=[], selector={}), "one")
    assert owned(live) == {"one": {"f:spec": {"f:hosts": {}, "f:selector": {}}}}
    assert applied(live, config(ports=[{"port": 1}]), "two")["spec"]["ports"] == [{"port": 1}]


def test_a_map_that_another_made_stays_when_its_last_key_goes() -> None:
    live = updated(None, config(selector={}), "creator")
    live = applied(live, config(selector={"a": "1"}), "git")
    assert applied(live, config(), "git")["spec"] == {"selector": {}}


def test_a_list_that_another_made_stays_when_its_last_item_goes() -> None:
    live = updated(None, config(ports=[]), "creator")
    live = applied(live, config(ports=[{"port": 1}]), "git")
    live = applied(live, config(), "git")
    assert live["spec"] == {"ports": []}
    assert owned(live)["creator"] == {"f:spec": {".": {}, "f:ports": {}}}


def test_labels_that_another_made_go_with_the_last_label() -> None:
    """Metadata never holds an empty map or list, whoever owns it."""
    live = updated(None, config(metadata={"labels": {"a": "1"}, "finalizers": ["f"]}), "creator")
    live = applied(live, config(metadata={"labels": {"a": "2"}}), "git", force=True)
    live = applied(live, config(), "git")
    assert live["metadata"].keys() == {"name", "finalizers", "managedFields"}


def test_what_lay_below_a_field_that_changed_its_kind_is_owned_no_more() -> None:
    live = applied(None, config(free={"a": {"b": 1}}, mode="m"), "one")
    live = applied(live, config(free={"a": "text"}), "two", force=True)
    assert owned(live) == {"one": {"f:spec": {"f:mode": {}}}, "two": {"f:spec": {"f:free": {"f:a": {}}}}}


def test_a_key_is_the_same_number_however_it_is_written() -> None:
    live = applied(None, config(ports=[{"port": 80, "name": "a"}]), "one")
    live = applied(live, config(ports=[{"port": 80.0, "name": "a"}]), "two")
    assert len(live["spec"]["ports"]) == 1
    assert owned(live)["one"] == owned(live)["two"]
