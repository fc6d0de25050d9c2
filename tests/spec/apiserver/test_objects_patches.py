"""Merge patch and JSON patch do what their RFCs say, and never change what they were given."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gitmesh.playground.apiserver.objects.patches import PatchError, json_patch, merge_patch


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_rfc_7396_lists(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


def test_a_merge_patch_leaves_its_input_alone() -> None:
    target = {"metadata": {"labels": {"a": "1"}}}
    merge_patch(target, {"metadata": {"labels": {"a": None, "b": "2"}}})
    assert target == {"metadata": {"labels": {"a": "1"}}}


@pytest.mark.parametrize(
    ("target", "operation", "result"),
    [
        ({"foo": "bar"}, {"op": "add", "path": "/baz", "value": "qux"}, {"foo": "bar", "baz": "qux"}),
        ({"foo": ["bar"]}, {"op": "add", "path": "/foo/0", "value": "qux"}, {"foo": ["qux", "bar"]}),
        ({"foo": ["bar"]}, {"op": "add", "path": "/foo/1", "value": "qux"}, {"foo": ["bar", "qux"]}),
        ({"foo": ["bar"]}, {"op": "add", "path": "/foo/-", "value": ["x"]}, {"foo": ["bar", ["x"]]}),
        ({"foo": "bar"}, {"op": "add", "path": "/foo", "value": 1}, {"foo": 1}),
        ({"foo": "bar"}, {"op": "add", "path": "", "value": {"a": 1}}, {"a": 1}),
        ({"foo": None}, {"op": "add", "path": "/foo", "value": None}, {"foo": None}),
        ({"baz": 1, "foo": 2}, {"op": "remove", "path": "/baz"}, {"foo": 2}),
        ({"foo": [1, 2, 3]}, {"op": "remove", "path": "/foo/1"}, {"foo": [1, 3]}),
        ({"baz": 1, "foo": 2}, {"op": "replace", "path": "/baz", "value": 3}, {"baz": 3, "foo": 2}),
        ({"foo": [1, 2]}, {"op": "replace", "path": "/foo/0", "value": 3}, {"foo": [3, 2]}),
        ({"a": {"b": 1}, "c": {}}, {"op": "move", "from": "/a/b", "path": "/c/d"}, {"a": {}, "c": {"d": 1}}),
        ({"foo": [1, 2, 3]}, {"op": "move", "from": "/foo/0", "path": "/foo/2"}, {"foo": [2, 3, 1]}),
        ({"a": 1}, {"op": "move", "from": "/a", "path": "/a"}, {"a": 1}),
        ({"a": {"b": 1}}, {"op": "copy", "from": "/a", "path": "/c"}, {"a": {"b": 1}, "c": {"b": 1}}),
        ({"a": [1, "two"]}, {"op": "test", "path": "/a/1", "value": "two"}, {"a": [1, "two"]}),
        ({"a": 1}, {"op": "test", "path": "/a", "value": 1.0}, {"a": 1}),
        ({"a/b": {"m~n": 1}}, {"op": "replace", "path": "/a~1b/m~0n", "value": 2}, {"a/b": {"m~n": 2}}),
        ({"~1": 10}, {"op": "test", "path": "/~01", "value": 10}, {"~1": 10}),
        ({"": 1}, {"op": "replace", "path": "/", "value": 2}, {"": 2}),
        ({"a": {"0": 1}}, {"op": "remove", "path": "/a/0"}, {"a": {}}),
    ],
)
def test_a_json_patch_does_what_rfc_6902_lists(target: Any, operation: Any, result: Any) -> None:
    before = copy.deepcopy(target)
    assert json_patch(target, [operation]) == result
    assert target == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/a/b", "value": 1},
        {"op": "add", "path": "/list/5", "value": 1},
        {"op": "add", "path": "/list/01", "value": 1},
        {"op": "add", "path": "/list/x", "value": 1},
        {"op": "add", "path": "/text/x", "value": 1},
        {"op": "add", "path": "/new"},
        {"op": "add", "value": 1},
        {"op": "add", "path": "new", "value": 1},
        {"op": "add", "path": "/~2", "value": 1},
        {"op": "remove", "path": "/gone"},
        {"op": "remove", "path": "/list/-"},
        {"op": "remove", "path": "/list/-1"},
        {"op": "replace", "path": "/gone", "value": 1},
        {"op": "move", "from": "/gone", "path": "/b"},
        {"op": "move", "from": "/map", "path": "/map/inner"},
        {"op": "copy", "path": "/b"},
        {"op": "test", "path": "/one", "value": True},
        {"op": "test", "path": "/one", "value": "1"},
        {"op": "test", "path": "/gone", "value": None},
        {"op": "replace_all", "path": "/one", "value": 1},
        {"path": "/one"},
        "remove /one",
        None,
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused(operation: Any) -> None:
    with pytest.raises(PatchError, match="operation 0 of the JSON patch"):
        json_patch({"list": [1], "map": {}, "text": "x", "one": 1}, [operation])


@pytest.mark.parametrize("ops", [{}, "x", None, 3])
def test_a_json_patch_is_a_list(ops: Any) -> None:
    with pytest.raises(PatchError, match="a list of operations"):
        json_patch({}, ops)


def test_a_json_patch_is_all_or_nothing() -> None:
    target = {"a": {"b": [1]}}
    with pytest.raises(PatchError, match="operation 1"):
        json_patch(
            target, [{"op": "add", "path": "/a/b/-", "value": 2}, {"op": "test", "path": "/a", "value": 0}]
        )
    assert target == {"a": {"b": [1]}}


def test_a_copied_part_does_not_follow_later_operations() -> None:
    ops = [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "add", "path": "/b/x", "value": 1}]
    assert json_patch({"a": {}}, ops) == {"a": {}, "b": {"x": 1}}


def test_a_part_cannot_move_into_itself() -> None:
    with pytest.raises(PatchError, match="cannot move /a into itself, /a/b"):
        json_patch({"a": {}}, [{"op": "move", "from": "/a", "path": "/a/b"}])
