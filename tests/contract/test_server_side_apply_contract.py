"""Server-side apply, held to a real API server: ownership by field, shared, keyed, atomic, by subresource.

Source: kubernetes.io, Server-Side Apply; Kubernetes API reference, FieldsV1.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from fakes.raw_api import APPLY, JSON_PATCH, MERGE, STRATEGIC, Answer, RawApi, path_of

from gitmesh.model.kinds import CONFIG_MAP, POD, SERVICE, TRAFFIC_SOURCE, VIRTUAL_SERVICE, Kind

pytestmark = [pytest.mark.anyio, pytest.mark.real]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def settings(namespace: str, **data: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "settings", "namespace": namespace}
    return {"metadata": metadata, "data": data} if data else {"metadata": metadata}


def service(namespace: str, *ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    found = {"ports": list(ports), **spec} if ports else spec
    return {"metadata": {"name": "reviews", "namespace": namespace}, "spec": found}


def port(number: int, name: str, **more: Any) -> dict[str, Any]:
    return {"port": number, "name": name, "protocol": "TCP", **more}


def routes(namespace: str, v1: int, **spec: Any) -> dict[str, Any]:
    weights = [
        {"destination": {"host": "r", "subset": s}, "weight": w} for s, w in (("v1", v1), ("v2", 100 - v1))
    ]
    return {
        "metadata": {"name": "reviews", "namespace": namespace},
        "spec": {"hosts": ["r"], "http": [{"route": weights}], **spec},
    }


def source(namespace: str, url: str = "https://git.example.com/a.git") -> dict[str, Any]:
    return {"metadata": {"name": "mesh", "namespace": namespace}, "spec": {"url": url}}


def refused(answer: Answer, *fields: str, by: str) -> None:
    """The answer is a conflict with one other manager over these fields, in kubectl's words."""
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert answer.causes == [("FieldManagerConflict", field, f"conflict with {by}") for field in fields]
    many = f"Apply failed with {len(fields)} conflict{'s' if len(fields) > 1 else ''}: "
    assert answer.message.startswith(many)


async def test_who_applies_a_field_owns_it_and_nothing_else(api: RawApi, namespace: str):
    made = (await api.apply(CONFIG_MAP, settings(namespace, a="1", b="2"), "one")).ok()
    assert made.status == 201
    assert made.owned() == {("one", "Apply", ""): {"f:data": {"f:a": {}, "f:b": {}}}}
    assert made.body["metadata"]["managedFields"][0]["fieldsType"] == "FieldsV1"
    assert made.body["metadata"]["managedFields"][0]["apiVersion"] == "v1"


async def test_two_managers_own_what_each_applies(api: RawApi, namespace: str):
    await api.apply(CONFIG_MAP, settings(namespace, a="1"), "one")
    both = (await api.apply(CONFIG_MAP, settings(namespace, b="2"), "two")).ok()
    assert both.status == 200
    assert both.body["data"] == {"a": "1", "b": "2"}
    assert both.owned() == {
        ("one", "Apply", ""): {"f:data": {"f:a": {}}},
        ("two", "Apply", ""): {"f:data": {"f:b": {}}},
    }


async def test_equal_values_are_owned_together_and_stay_until_the_last_owner_goes(
    api: RawApi, namespace: str
):
    await api.apply(CONFIG_MAP, settings(namespace, a="1", b="2"), "one")
    shared = (await api.apply(CONFIG_MAP, settings(namespace, a="1"), "two")).ok()
    assert shared.owned()["two", "Apply", ""] == {"f:data": {"f:a": {}}}
    left = (await api.apply(CONFIG_MAP, settings(namespace, b="2"), "one")).ok()
    assert left.body["data"] == {"a": "1", "b": "2"}
    gone = (await api.apply(CONFIG_MAP, settings(namespace), "two")).ok()
    assert gone.body["data"] == {"b": "2"}


async def test_another_value_is_a_conflict_that_names_manager_and_field(api: RawApi, namespace: str):
    await api.apply(CONFIG_MAP, settings(namespace, a="1", b="2"), "one")
    refused(
        await api.apply(CONFIG_MAP, settings(namespace, a="x", b="y"), "two"),
        ".data.a",
        ".data.b",
        by='"one"',
    )


async def test_conflicts_with_several_managers_are_all_told(api: RawApi, namespace: str):
    await api.apply(CONFIG_MAP, settings(namespace, a="1"), "one")
    await api.apply(CONFIG_MAP, settings(namespace, b="2"), "two")
    answer = await api.apply(CONFIG_MAP, settings(namespace, a="x", b="y"), "three")
    assert answer.status == 409
    assert sorted(answer.causes) == [
        ("FieldManagerConflict", ".data.a", 'conflict with "one"'),
        ("FieldManagerConflict", ".data.b", 'conflict with "two"'),
    ]
    assert answer.message.splitlines()[0] == 'Apply failed with 2 conflicts: conflicts with "one":'


async def test_force_takes_the_field_away_from_who_had_it(api: RawApi, namespace: str):
    await api.apply(CONFIG_MAP, settings(namespace, a="1", b="2"), "one")
    forced = (await api.apply(CONFIG_MAP, settings(namespace, a="x"), "two", force="true")).ok()
    assert forced.body["data"] == {"a": "x", "b": "2"}
    assert forced.owned() == {
        ("one", "Apply", ""): {"f:data": {"f:b": {}}},
        ("two", "Apply", ""): {"f:data": {"f:a": {}}},
    }


async def test_a_refused_apply_changes_nothing(api: RawApi, namespace: str):
    made = await api.apply(CONFIG_MAP, settings(namespace, a="1"), "one")
    await api.apply(CONFIG_MAP, settings(namespace, a="x", c="3"), "two")
    assert (await api.get(CONFIG_MAP, namespace, "settings")).body == made.body


async def test_applying_the_same_again_writes_nothing(api: RawApi, namespace: str):
    made = await api.apply(CONFIG_MAP, settings(namespace, a="1"), "one")
    again = (await api.apply(CONFIG_MAP, settings(namespace, a="1"), "one")).ok()
    assert again.body == made.body


async def test_a_dry_run_shows_owners_and_stores_none(api: RawApi, namespace: str):
    made = await api.apply(CONFIG_MAP, settings(namespace, a="1"), "one")
    shown = (await api.apply(CONFIG_MAP, settings(namespace, b="2"), "two", dryRun="All")).ok()
    assert ("two", "Apply", "") in shown.owned()
    assert (await api.get(CONFIG_MAP, namespace, "settings")).body == made.body


async def test_an_atomic_list_is_owned_as_a_whole(api: RawApi, namespace: str):
    made = (await api.apply(VIRTUAL_SERVICE, routes(namespace, 100), "one")).ok()
    assert made.owned()["one", "Apply", ""]["f:spec"] == {"f:hosts": {}, "f:http": {}}
    answer = await api.apply(VIRTUAL_SERVICE, routes(namespace, 50), "two")
    refused(answer, ".spec.http", by='"one"')


async def test_an_atomic_map_is_owned_as_a_whole(api: RawApi, namespace: str):
    made = service(namespace, port(80, "http"), selector={"app": "a"})
    first = (await api.apply(SERVICE, made, "one")).ok()
    assert first.owned()["one", "Apply", ""]["f:spec"]["f:selector"] == {}
    answer = await api.apply(SERVICE, service(namespace, selector={"app": "a", "tier": "b"}), "two")
    refused(answer, ".spec.selector", by='"one"')


async def test_items_of_a_keyed_list_have_owners_of_their_own(api: RawApi, namespace: str):
    await api.apply(SERVICE, service(namespace, port(80, "http")), "one")
    both = (await api.apply(SERVICE, service(namespace, port(81, "more")), "two")).ok()
    assert [p["port"] for p in both.body["spec"]["ports"]] == [80, 81]
    item = 'k:{"port":81,"protocol":"TCP"}'
    assert both.owned()["two", "Apply", ""]["f:spec"] == {
        "f:ports": {item: {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}}}
    }
    answer = await api.apply(SERVICE, service(namespace, port(80, "web"), port(81, "more")), "two")
    refused(answer, '.spec.ports[port=80,protocol="TCP"].name', by='"one"')
    left = (await api.apply(SERVICE, service(namespace), "two")).ok()
    assert [p["port"] for p in left.body["spec"]["ports"]] == [80]


async def test_a_field_of_an_item_may_have_another_owner_than_the_item(api: RawApi, namespace: str):
    await api.apply(SERVICE, service(namespace, port(80, "http")), "one")
    theirs = {"port": 80, "protocol": "TCP", "appProtocol": "grpc"}
    both = (await api.apply(SERVICE, service(namespace, theirs), "two")).ok()
    assert both.body["spec"]["ports"][0]["appProtocol"] == "grpc"
    left = (await api.apply(SERVICE, service(namespace), "two")).ok()
    assert "appProtocol" not in left.body["spec"]["ports"][0]
    assert left.body["spec"]["ports"][0]["name"] == "http"


async def test_values_of_a_set_have_owners_of_their_own(api: RawApi, namespace: str):
    def held(*names: str) -> dict[str, Any]:
        body = settings(namespace)
        body["metadata"]["finalizers"] = list(names)
        return body

    await api.apply(CONFIG_MAP, held("example.com/a", "example.com/b"), "one")
    both = (await api.apply(CONFIG_MAP, held("example.com/b", "example.com/c"), "two")).ok()
    assert set(both.body["metadata"]["finalizers"]) == {f"example.com/{x}" for x in "abc"}
    fields = both.owned()["two", "Apply", ""]["f:metadata"]["f:finalizers"]
    assert fields == {'v:"example.com/b"': {}, 'v:"example.com/c"': {}}
    left = (await api.apply(CONFIG_MAP, held(), "one")).ok()
    assert set(left.body["metadata"]["finalizers"]) == {"example.com/b", "example.com/c"}
    await api.apply(CONFIG_MAP, held(), "two")


async def test_labels_and_annotations_are_owned_key_by_key(api: RawApi, namespace: str):
    body = settings(namespace)
    body["metadata"] |= {"labels": {"a": "1"}, "annotations": {"b": "2"}}
    made = (await api.apply(CONFIG_MAP, body, "one")).ok()
    assert made.owned()["one", "Apply", ""] == {
        "f:metadata": {"f:annotations": {"f:b": {}}, "f:labels": {"f:a": {}}}
    }
    other = settings(namespace)
    other["metadata"]["labels"] = {"a": "x"}
    refused(await api.apply(CONFIG_MAP, other, "two"), ".metadata.labels.a", by='"one"')


async def test_a_field_that_its_only_owner_drops_is_removed(api: RawApi, namespace: str):
    await api.apply(VIRTUAL_SERVICE, routes(namespace, 100, exportTo=["."]), "one")
    after = (await api.apply(VIRTUAL_SERVICE, routes(namespace, 100), "one")).ok()
    assert "exportTo" not in after.body["spec"]
    assert after.body["metadata"]["generation"] == 2


async def test_the_status_has_owners_of_its_own(api: RawApi, namespace: str):
    await api.apply(TRAFFIC_SOURCE, source(namespace), "one")
    status = {"metadata": source(namespace)["metadata"], "status": {"fetchedRevision": "main@1"}}
    told = (await api.apply(TRAFFIC_SOURCE, status, "one", subresource="status")).ok()
    assert told.owned() == {
        ("one", "Apply", ""): {"f:spec": {"f:url": {}}},
        ("one", "Apply", "status"): {"f:status": {"f:fetchedRevision": {}}},
    }
    again = (await api.apply(TRAFFIC_SOURCE, {**source(namespace), "status": {}}, "one")).ok()
    assert again.body["status"] == {"fetchedRevision": "main@1"}, "out of reach but by the subresource"


async def test_a_conflict_over_the_status_names_the_subresource(api: RawApi, namespace: str):
    await api.apply(TRAFFIC_SOURCE, source(namespace), "one")
    said = {"metadata": source(namespace)["metadata"], "status": {"fetchedRevision": "main@1"}}
    await api.apply(TRAFFIC_SOURCE, said, "one", subresource="status")
    said["status"] = {"fetchedRevision": "main@2"}
    answer = await api.apply(TRAFFIC_SOURCE, said, "two", subresource="status")
    assert answer.status == 409
    ((_, field, message),) = answer.causes
    assert field == ".status.fetchedRevision"
    assert message == 'conflict with "one" with subresource "status"'


async def test_an_update_owns_what_it_changed_and_takes_it_from_who_applied_it(api: RawApi, namespace: str):
    made = await api.apply(CONFIG_MAP, settings(namespace, a="1", b="2"), "one")
    changed = {**made.body, "data": {"a": "x", "b": "2"}}
    put = (await api.replace(CONFIG_MAP, changed, "two")).ok()
    assert put.owned() == {
        ("one", "Apply", ""): {"f:data": {"f:b": {}}},
        ("two", "Update", ""): {"f:data": {"f:a": {}}},
    }
    answer = await api.apply(CONFIG_MAP, settings(namespace, a="1", b="2"), "one")
    assert answer.status == 409
    ((_, field, message),) = answer.causes
    assert field == ".data.a"
    assert message.startswith('conflict with "two" using v1')


@pytest.mark.parametrize(
    ("content_type", "patch"),
    [
        (MERGE, {"data": {"a": "x"}}),
        (STRATEGIC, {"data": {"a": "x"}}),
        (JSON_PATCH, [{"op": "replace", "path": "/data/a", "value": "x"}]),
    ],
    ids=["merge", "strategic", "json"],
)
async def test_a_patch_is_an_update_of_what_it_changes(
    api: RawApi, namespace: str, content_type: str, patch: Any
):
    await api.apply(CONFIG_MAP, settings(namespace, a="1", b="2"), "one")
    after = (await api.patch(CONFIG_MAP, namespace, "settings", patch, content_type, "editor")).ok()
    assert after.owned() == {
        ("editor", "Update", ""): {"f:data": {"f:a": {}}},
        ("one", "Apply", ""): {"f:data": {"f:b": {}}},
    }


async def test_a_field_that_an_update_removed_is_owned_by_nobody(api: RawApi, namespace: str):
    await api.apply(CONFIG_MAP, settings(namespace, a="1", b="2"), "one")
    patch = {"data": {"a": None}}
    after = (await api.patch(CONFIG_MAP, namespace, "settings", patch, MERGE, "editor")).ok()
    assert after.owned() == {("one", "Apply", ""): {"f:data": {"f:b": {}}}}


async def test_what_was_created_by_post_belongs_to_an_update(api: RawApi, namespace: str):
    made = (await api.create(CONFIG_MAP, settings(namespace, a="1"), "maker")).ok()
    assert made.owned() == {("maker", "Update", ""): {"f:data": {".": {}, "f:a": {}}}}
    answer = await api.apply(CONFIG_MAP, settings(namespace, a="x"), "one")
    assert answer.status == 409
    shared = (await api.apply(CONFIG_MAP, settings(namespace, a="1"), "one")).ok()
    assert set(shared.owned()) == {("maker", "Update", ""), ("one", "Apply", "")}


async def test_kubectl_comes_from_client_side_apply_to_server_side_apply(api: RawApi, namespace: str):
    stated = {"apiVersion": "v1", "kind": "ConfigMap", **settings(namespace, a="1", b="2")}
    annotated = json.loads(json.dumps(stated))
    annotated["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(stated)}
    await api.create(CONFIG_MAP, annotated, "kubectl-client-side-apply")
    moved = (await api.apply(CONFIG_MAP, settings(namespace, a="x"), "kubectl")).ok()
    assert moved.body["data"]["a"] == "x", "no conflict with its own past"
    assert ("kubectl", "Apply", "") in moved.owned()


async def test_another_manager_conflicts_with_what_kubectl_applied_from_the_client(
    api: RawApi, namespace: str
):
    stated = {"apiVersion": "v1", "kind": "ConfigMap", **settings(namespace, a="1")}
    annotated = json.loads(json.dumps(stated))
    annotated["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(stated)}
    await api.create(CONFIG_MAP, annotated, "kubectl-client-side-apply")
    answer = await api.apply(CONFIG_MAP, settings(namespace, a="x"), "one")
    assert answer.status == 409
    ((_, field, message),) = answer.causes
    assert (field, message.split(" using")[0]) == (".data.a", 'conflict with "kubectl-client-side-apply"')


async def test_owners_can_be_handed_over_by_rewriting_managed_fields(api: RawApi, namespace: str):
    """As client-go's csaupgrade does: an Update entry becomes the Apply entry of another manager."""
    made = await api.create(CONFIG_MAP, settings(namespace, a="1", b="2"), "maker")
    (entry,) = made.body["metadata"]["managedFields"]
    entries = [{**entry, "manager": "one", "operation": "Apply"}]
    patch = [
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": made.version},
    ]
    (await api.patch(CONFIG_MAP, namespace, "settings", patch, JSON_PATCH, "mover")).ok()
    after = (await api.apply(CONFIG_MAP, settings(namespace, a="x"), "one")).ok()
    assert after.body["data"] == {"a": "x"}, "its own now: changed without a conflict, and pruned"


async def test_managed_fields_can_be_cleared(api: RawApi, namespace: str):
    await api.apply(CONFIG_MAP, settings(namespace, a="1"), "one")
    patch = {"metadata": {"managedFields": [{}]}}
    (await api.patch(CONFIG_MAP, namespace, "settings", patch, MERGE, "clearer")).ok()
    found = await api.get(CONFIG_MAP, namespace, "settings")
    assert "managedFields" not in found.body["metadata"]


async def test_two_versions_of_a_kind_are_owned_alike(api: RawApi, namespace: str):
    older = Kind("networking.istio.io", "v1beta1", "VirtualService", "virtualservices")
    await api.apply(older, routes(namespace, 100), "one")
    refused(await api.apply(VIRTUAL_SERVICE, routes(namespace, 50), "two"), ".spec.http", by='"one"')
    after = (await api.apply(VIRTUAL_SERVICE, routes(namespace, 50), "one")).ok()
    entries = after.body["metadata"]["managedFields"]
    assert [e["apiVersion"] for e in entries] == ["networking.istio.io/v1"]


async def test_containers_of_a_pod_are_found_by_name_and_their_ports_by_port(api: RawApi, namespace: str):
    body = {
        "metadata": {"name": "p", "namespace": namespace},
        "spec": {"containers": [{"name": "a", "image": "x", "ports": [{"containerPort": 80}]}]},
    }
    made = (await api.apply(POD, body, "one")).ok()
    item = made.owned()["one", "Apply", ""]["f:spec"]["f:containers"]['k:{"name":"a"}']
    assert item["f:ports"] == {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}}


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"metadata": {"managedFields": [{"manager": "x"}]}}, 400, "metadata.managedFields must be nil"),
        ({"metadata": {"resourceVersion": "1"}}, 409, "the object has been modified"),
        ({"metadata": {"uid": "1"}}, 422, 'metadata.uid: Invalid value: "1": field is immutable'),
        ({"metadata": {"name": "other"}}, 400, "name"),
        ({"kind": "Secret"}, 400, "Secret"),
    ],
)
async def test_an_apply_that_contradicts_itself_is_refused(
    api: RawApi, namespace: str, change: dict[str, Any], status: int, words: str
):
    await api.apply(CONFIG_MAP, settings(namespace, a="1"), "one")
    body = {"apiVersion": "v1", "kind": "ConfigMap", **settings(namespace, a="2"), **change}
    body["metadata"] = {**settings(namespace)["metadata"], **change.get("metadata", {})}
    path = path_of(CONFIG_MAP, namespace, "settings")
    answer = await api.send("PATCH", path, body, content_type=APPLY, fieldManager="one")
    assert answer.status == status, answer.body
    assert words in answer.message


async def test_an_apply_names_its_manager(api: RawApi, namespace: str):
    path = path_of(CONFIG_MAP, namespace, "settings")
    body = {"apiVersion": "v1", "kind": "ConfigMap", **settings(namespace, a="1")}
    answer = await api.send("PATCH", path, body, content_type=APPLY)
    assert answer.status in (400, 422)
    assert "fieldManager" in answer.message


async def test_an_apply_may_be_yaml(api: RawApi, namespace: str):
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings, namespace: {namespace}}}\n"
    text += "data: {a: b}\n"
    path = path_of(CONFIG_MAP, namespace, "settings")
    made = (await api.send("PATCH", path, text, content_type=APPLY, fieldManager="one")).ok()
    assert made.body["data"] == {"a": "b"}


async def test_an_object_that_is_another_one_by_now_is_not_replaced(api: RawApi, namespace: str):
    made = await api.create(CONFIG_MAP, settings(namespace, a="1"), "one")
    body = {**made.body, "metadata": {**made.body["metadata"], "uid": "1"}}
    answer = await api.replace(CONFIG_MAP, body, "one")
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert "Precondition failed: UID in precondition: 1, UID in object meta" in answer.message


@pytest.mark.parametrize(
    ("content_type", "patch"),
    [
        (MERGE, {"metadata": {"uid": "1"}}),
        (STRATEGIC, {"metadata": {"uid": "1"}}),
        (JSON_PATCH, [{"op": "replace", "path": "/metadata/uid", "value": "1"}]),
    ],
    ids=["merge", "strategic", "json"],
)
async def test_no_patch_changes_which_object_it_is(
    api: RawApi, namespace: str, content_type: str, patch: Any
):
    await api.create(CONFIG_MAP, settings(namespace, a="1"), "one")
    answer = await api.patch(CONFIG_MAP, namespace, "settings", patch, content_type, "one")
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message.endswith('is invalid: metadata.uid: Invalid value: "1": field is immutable')
