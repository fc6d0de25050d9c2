"""Strategic merge patch merges the lists of built-in kinds item by item."""

from __future__ import annotations

from typing import Any

import pytest

from gitmesh.playground.apiserver.objects.patches import PatchError, strategic_merge_patch

POD = {
    "metadata": {"name": "p", "finalizers": ["a", "b"], "labels": {"app": "x"}},
    "spec": {
        "containers": [
            {
                "name": "app",
                "image": "app:1",
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            },
            {"name": "proxy", "image": "proxy:1", "ports": [{"containerPort": 80, "name": "http"}]},
        ],
        "tolerations": [{"key": "x"}],
    },
}


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["name"] for item in items]


def test_a_container_is_found_by_its_name_and_changed_alone() -> None:
    patched = strategic_merge_patch(POD, {"spec": {"containers": [{"name": "app", "image": "app:2"}]}})
    assert patched["spec"]["containers"][0] == {**POD["spec"]["containers"][0], "image": "app:2"}
    assert patched["spec"]["containers"][1] == POD["spec"]["containers"][1]
    assert POD["spec"]["containers"][0]["image"] == "app:1"


def test_a_new_container_is_appended() -> None:
    patched = strategic_merge_patch(POD, {"spec": {"containers": [{"name": "log", "image": None}]}})
    assert names(patched["spec"]["containers"]) == ["app", "proxy", "log"]
    assert "image" not in patched["spec"]["containers"][2]


def test_lists_inside_items_merge_by_their_own_keys() -> None:
    patch = {
        "spec": {
            "containers": [
                {"name": "app", "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]},
                {"name": "proxy", "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 81}]},
            ]
        }
    }
    app, proxy = strategic_merge_patch(POD, patch)["spec"]["containers"]
    assert {e["name"]: e["value"] for e in app["env"]} == {"A": "1", "B": "3", "C": "4"}
    assert proxy["ports"] == [
        {"containerPort": 80, "name": "http", "protocol": "TCP"},
        {"containerPort": 81},
    ]


def test_the_ports_of_a_service_are_found_by_port() -> None:
    service = {"spec": {"ports": [{"port": 80, "name": "http"}, {"port": 443, "name": "tls"}]}}
    patched = strategic_merge_patch(service, {"spec": {"ports": [{"port": 443, "name": "https"}]}})
    assert patched["spec"]["ports"] == [{"port": 80, "name": "http"}, {"port": 443, "name": "https"}]


def test_conditions_are_found_by_type() -> None:
    live = {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "x"}]}}
    patched = strategic_merge_patch(live, {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    assert patched["status"]["conditions"] == [{"type": "Ready", "status": "True", "reason": "x"}]


def test_a_list_without_a_merge_key_is_replaced() -> None:
    patched = strategic_merge_patch(POD, {"spec": {"tolerations": [{"key": "y"}]}})
    assert patched["spec"]["tolerations"] == [{"key": "y"}]


def test_finalizers_merge_as_a_set() -> None:
    patched = strategic_merge_patch(POD, {"metadata": {"finalizers": ["b", "c"]}})
    assert patched["metadata"]["finalizers"] == ["a", "b", "c"]


def test_null_removes_a_field() -> None:
    assert "labels" not in strategic_merge_patch(POD, {"metadata": {"labels": None}})["metadata"]


def test_patch_delete_removes_an_item() -> None:
    patch = {"spec": {"containers": [{"name": "app", "$patch": "delete"}, {"name": "x", "$patch": "delete"}]}}
    assert names(strategic_merge_patch(POD, patch)["spec"]["containers"]) == ["proxy"]


def test_patch_delete_empties_a_map() -> None:
    assert (
        strategic_merge_patch(POD, {"metadata": {"labels": {"$patch": "delete"}}})["metadata"]["labels"] == {}
    )


def test_patch_replace_replaces_a_map_or_a_list() -> None:
    patch = {
        "metadata": {"labels": {"$patch": "replace", "b": "c"}},
        "spec": {"containers": [{"name": "only"}, {"$patch": "replace"}]},
    }
    patched = strategic_merge_patch(POD, patch)
    assert patched["metadata"]["labels"] == {"b": "c"}
    assert patched["spec"]["containers"] == [{"name": "only"}]


def test_delete_from_primitive_list_removes_values() -> None:
    patched = strategic_merge_patch(POD, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}})
    assert patched["metadata"]["finalizers"] == ["b"]


def test_set_element_order_sorts_the_named_items_and_keeps_the_others_in_place() -> None:
    live = {"spec": {"containers": [{"name": n} for n in ("injected", "a", "b")]}}
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "new"}, {"name": "a"}],
            "containers": [{"name": "new"}],
        }
    }
    assert names(strategic_merge_patch(live, patch)["spec"]["containers"]) == ["injected", "b", "new", "a"]


def test_set_element_order_sorts_plain_values() -> None:
    patch = {"metadata": {"$setElementOrder/finalizers": ["c", "a"], "finalizers": ["c"]}}
    assert strategic_merge_patch(POD, patch)["metadata"]["finalizers"] == ["c", "a", "b"]


def test_retain_keys_drops_the_others() -> None:
    live = {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}
    patch = {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {}}]}}
    assert strategic_merge_patch(live, patch)["spec"]["volumes"] == [{"name": "v", "configMap": {}}]


@pytest.mark.parametrize(
    "patch",
    [
        [],
        {"$patch": "explode"},
        {"$unknown": []},
        {"$retainKeys": "x"},
        {"spec": {"containers": [{"image": "no name"}]}},
        {"spec": {"containers": ["text"]}},
    ],
)
def test_a_patch_that_cannot_be_is_refused(patch: Any) -> None:
    with pytest.raises(PatchError):
        strategic_merge_patch(POD, patch)
