"""Creates, updates and patches leave a true record of who owns what."""

from __future__ import annotations

import copy
from typing import Any

from gitmesh.playground.apiserver.objects.apply import apply_patch, track_update
from gitmesh.playground.apiserver.objects.patches import json_patch, merge_patch

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "mode": {"type": "string"},
                "hosts": {"type": "array", "items": {"type": "string"}},
                "nested": {
                    "type": "object",
                    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                },
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
Body = dict[str, Any]


def an_object(**spec: Any) -> Body:
    return {"apiVersion": "x.dev/v1", "kind": "X", "metadata": {"name": "x"}, "spec": spec}


def tracked(
    before: Body | None, after: Body, manager: str = "m", now: str = "2024-01-01T00:00:00Z", **more: Any
) -> Body:
    copies = copy.deepcopy((before, after))
    result = track_update(before, after, manager=manager, schema=SCHEMA, now=now, **more)
    assert (before, after) == copies, "inputs are never changed"
    return result


def patched(live: Body, patch: Body, manager: str = "m", **more: Any) -> Body:
    return tracked(live, merge_patch(live, patch), manager, **more)


def owned(body: Body) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in body["metadata"].get("managedFields", [])}


def test_a_create_owns_everything_down_to_its_leaves() -> None:
    body = tracked(None, {**an_object(mode="a", nested={"a": "1"}), "status": {"x": 1}}, "kubectl-create")
    assert body["metadata"]["managedFields"] == [
        {
            "manager": "kubectl-create",
            "operation": "Update",
            "apiVersion": "x.dev/v1",
            "time": "2024-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {".": {}, "f:mode": {}, "f:nested": {".": {}, "f:a": {}}}},
        }
    ]
    assert body["status"] == {"x": 1}, "content is the caller's"


def test_a_write_without_a_change_changes_nothing() -> None:
    live = tracked(None, an_object(mode="a"))
    assert tracked(live, copy.deepcopy(live), "other", "2030-01-01T00:00:00Z") == live


def test_a_client_that_does_not_send_managed_fields_does_not_lose_them() -> None:
    live = tracked(None, an_object(mode="a"))
    assert tracked(live, an_object(mode="a"), "other") == live


def test_a_change_moves_the_field_to_who_changed_it() -> None:
    live = tracked(None, an_object(mode="a", hosts=["a"]), "one")
    live = patched(live, {"spec": {"mode": "b"}}, "two", now="2024-01-02T00:00:00Z")
    assert owned(live) == {
        "one": {"f:spec": {".": {}, "f:hosts": {}}},
        "two": {"f:spec": {"f:mode": {}}},
    }
    assert [e["time"] for e in live["metadata"]["managedFields"]] == [
        "2024-01-01T00:00:00Z",
        "2024-01-02T00:00:00Z",
    ]


def test_changes_of_one_manager_add_up_in_one_entry() -> None:
    live = tracked(None, an_object(), "one")
    for field in ("mode", "hosts"):
        live = patched(live, {"spec": {field: "x"}}, "two", now="2024-01-02T00:00:00Z")
    assert owned(live)["two"] == {"f:spec": {"f:hosts": {}, "f:mode": {}}}


def test_a_removed_field_is_owned_by_nobody() -> None:
    live = tracked(None, an_object(mode="a", hosts=["a"]), "one")
    live = patched(live, {"spec": {"mode": None}}, "two")
    assert owned(live) == {"one": {"f:spec": {".": {}, "f:hosts": {}}}}


def test_labels_and_annotations_are_owned_key_by_key() -> None:
    live = patched(an_object(), {"metadata": {"labels": {"a": "1"}}})
    live = tracked(None, live, "one")
    live = patched(live, {"metadata": {"labels": {"b": "2"}, "annotations": {"c": "3"}}}, "kubectl-label")
    assert owned(live)["kubectl-label"] == {
        "f:metadata": {"f:annotations": {".": {}, "f:c": {}}, "f:labels": {"f:b": {}}}
    }


def test_what_the_server_writes_is_owned_by_nobody() -> None:
    live = tracked(None, an_object(mode="a"))
    after = merge_patch(live, {"metadata": {"uid": "u", "resourceVersion": "2", "generation": 2}})
    assert tracked(live, after, "other")["metadata"]["managedFields"] == live["metadata"]["managedFields"]


def test_the_status_is_owned_only_through_its_subresource() -> None:
    live = tracked(None, an_object(mode="a"), "one")
    after = {**live, "status": {"phase": "x"}}
    assert owned(tracked(live, after, "two")).keys() == {"one"}
    live = tracked(live, {**after, "spec": {"mode": "b"}}, "two", subresource="status")
    entry = live["metadata"]["managedFields"][1]
    assert (entry["manager"], entry["subresource"], entry["fieldsV1"]) == (
        "two",
        "status",
        {"f:status": {".": {}, "f:phase": {}}},
    )


def test_the_same_manager_has_an_entry_for_each_operation_and_subresource() -> None:
    live = apply_patch(None, an_object(mode="a"), manager="m", force=False, schema=SCHEMA, now="t")
    live = patched(live, {"spec": {"hosts": ["a"]}}, "m")
    live = tracked(live, {**live, "status": {"x": 1}}, "m", subresource="status")
    entries = live["metadata"]["managedFields"]
    assert [(e["operation"], e.get("subresource")) for e in entries] == [
        ("Apply", None), ("Update", None), ("Update", "status"),
    ]  # fmt: skip


def test_at_most_ten_updaters_are_remembered_and_no_field_is_lost() -> None:
    live = tracked(None, an_object(), "creator", "2024-01-01T00:00:00Z")
    live = apply_patch(
        live,
        {"apiVersion": "x.dev/v1", "metadata": {"name": "x"}, "spec": {"mode": "a"}},
        manager="git",
        force=False,
        schema=SCHEMA,
        now="2024-01-01T00:00:00Z",
    )
    for number in range(20):
        patch = {"metadata": {"labels": {f"l{number:02}": "x"}}}
        live = patched(live, patch, f"m{number:02}", now=f"2024-02-{number + 1:02}T00:00:00Z")
    entries = live["metadata"]["managedFields"]
    updaters = [e["manager"] for e in entries if e["operation"] == "Update"]
    assert updaters == ["ancient-changes", *(f"m{number}" for number in range(11, 20))]
    ancient = owned(live)["ancient-changes"]
    assert ancient["f:metadata"]["f:labels"].keys() == {".", *(f"f:l{number:02}" for number in range(11))}
    assert ancient["f:spec"] == {}
    assert owned(live)["git"] == {"f:spec": {"f:mode": {}}}


def test_only_as_many_old_entries_melt_as_must() -> None:
    live = tracked(None, an_object(mode="a"), "m")
    (entry,) = live["metadata"]["managedFields"]
    many = [{**entry, "manager": f"m{n:02}", "time": f"2024-01-{n:02}T00:00:00Z"} for n in range(1, 15)]
    live = tracked(live, merge_patch(live, {"metadata": {"managedFields": many}}))
    managers = [e["manager"] for e in live["metadata"]["managedFields"]]
    assert managers == ["ancient-changes", *(f"m{n:02}" for n in range(6, 15))]


def test_a_client_may_rewrite_managed_fields() -> None:
    """As `kubectl apply --server-side` does when it takes over from `kubectl apply`."""
    live = tracked(None, an_object(mode="a"), "kubectl-client-side-apply")
    (entry,) = live["metadata"]["managedFields"]
    taken = [{**entry, "manager": "kubectl", "operation": "Apply"}]
    ops = [
        {"op": "replace", "path": "/metadata/managedFields", "value": taken},
        {"op": "replace", "path": "/metadata/name", "value": "x"},
    ]
    live = tracked(live, json_patch(live, ops), "kubectl")
    assert live["metadata"]["managedFields"] == taken
    body = {"apiVersion": "x.dev/v1", "kind": "X", "metadata": {"name": "x"}, "spec": {"hosts": ["a"]}}
    live = apply_patch(live, body, manager="kubectl", force=False, schema=SCHEMA, now="t")
    assert live["spec"] == {"hosts": ["a"]}, "what client-side apply had stated is gone with its owner's word"


def test_managed_fields_can_be_cleared() -> None:
    live = tracked(None, an_object(mode="a"))
    for empty in ([{}], []):
        cleared = tracked(live, merge_patch(live, {"metadata": {"managedFields": empty}}))
        assert "managedFields" not in cleared["metadata"]
        later = patched(cleared, {"spec": {"mode": "b"}})
        assert "managedFields" not in later["metadata"], "tracking starts again with the next apply"


def test_managed_fields_cannot_be_changed_through_a_subresource() -> None:
    live = tracked(None, an_object(mode="a"))
    after = merge_patch(live, {"metadata": {"managedFields": [{}]}})
    assert tracked(live, after, subresource="status") == live


def test_managed_fields_that_cannot_be_read_are_ignored() -> None:
    live = tracked(None, an_object(mode="a"))
    for broken in (
        3,
        "x",
        [1],
        [{"operation": "Apply"}],
        [{**live["metadata"]["managedFields"][0], "fieldsV1": {"x": 1}}],
    ):
        assert tracked(live, merge_patch(live, {"metadata": {"managedFields": broken}})) == live


def test_a_manager_without_a_name_is_unknown() -> None:
    assert owned(tracked(None, an_object(), "")).keys() == {"unknown"}
