"""What is read over HTTP, held to a real API server: tables, pages, streams, and strictness about fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fakes.raw_api import APPLY, TABLE, Answer, RawApi, path_of

from gitmesh.model.kinds import CONFIG_MAP, LEASE, SERVICE, TRAFFIC_SOURCE, VIRTUAL_SERVICE

pytestmark = [pytest.mark.anyio, pytest.mark.real]


def routes(namespace: str, name: str = "reviews", **spec: Any) -> dict[str, Any]:
    http = [{"route": [{"destination": {"host": name}}]}]
    metadata = {"name": name, "namespace": namespace}
    return {"metadata": metadata, "spec": {"hosts": [name], "http": http, **spec}}


async def table(api: RawApi, path: str, **query: str) -> Any:
    answer = (await api.send("GET", path, accept=TABLE, **query)).ok()
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    return answer.body


def events(answer: Answer) -> list[dict[str, Any]]:
    """A stream that has ended."""
    text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
    return [json.loads(line) for line in text.splitlines() if line.strip()]


async def many(api: RawApi, namespace: str, count: int) -> None:
    for number in range(count):
        (await api.create(VIRTUAL_SERVICE, routes(namespace, f"app-{number}"), "one")).ok()


async def test_a_table_has_the_columns_of_the_definition(api: RawApi, namespace: str):
    await api.create(VIRTUAL_SERVICE, routes(namespace, gateways=["mesh"]), "one")
    found = await table(api, path_of(VIRTUAL_SERVICE, namespace))
    names = [column["name"] for column in found["columnDefinitions"]]
    assert names == ["Name", "Gateways", "Hosts", "Age"]
    assert found["columnDefinitions"][0]["format"] == "name"
    (row,) = found["rows"]
    assert row["cells"][:3] == ["reviews", '["mesh"]', '["reviews"]']
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert row["object"]["metadata"]["name"] == "reviews"


async def test_a_column_without_a_value_is_empty(api: RawApi, namespace: str):
    await api.create(VIRTUAL_SERVICE, routes(namespace), "one")
    (row,) = (await table(api, path_of(VIRTUAL_SERVICE, namespace)))["rows"]
    assert row["cells"][1] is None


async def test_a_table_may_hold_whole_objects_or_none(api: RawApi, namespace: str):
    await api.create(VIRTUAL_SERVICE, routes(namespace), "one")
    path = path_of(VIRTUAL_SERVICE, namespace)
    (whole,) = (await table(api, path, includeObject="Object"))["rows"]
    assert whole["object"]["spec"]["hosts"] == ["reviews"]
    (none,) = (await table(api, path, includeObject="None"))["rows"]
    assert none.get("object") is None


async def test_one_object_is_a_table_too(api: RawApi, namespace: str):
    await api.create(VIRTUAL_SERVICE, routes(namespace), "one")
    found = await table(api, path_of(VIRTUAL_SERVICE, namespace, "reviews"))
    assert [row["cells"][0] for row in found["rows"]] == ["reviews"]


async def test_built_in_kinds_have_their_own_columns(api: RawApi, namespace: str):
    spec = {"ports": [{"port": 80}], "selector": {"app": "a"}}
    await api.create(SERVICE, {"metadata": {"name": "s", "namespace": namespace}, "spec": spec}, "one")
    found = await table(api, path_of(SERVICE, namespace))
    names = [column["name"] for column in found["columnDefinitions"]]
    assert names == ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector"]
    (row,) = found["rows"]
    assert (row["cells"][0], row["cells"][1], row["cells"][4], row["cells"][6]) == (
        "s", "ClusterIP", "80/TCP", "app=a",
    )  # fmt: skip


async def test_a_page_says_where_the_next_one_is_and_how_many_are_left(api: RawApi, namespace: str):
    await many(api, namespace, 5)
    path = path_of(VIRTUAL_SERVICE, namespace)
    first = (await api.send("GET", path, limit="2")).ok().body
    assert [item["metadata"]["name"] for item in first["items"]] == ["app-0", "app-1"]
    assert first["metadata"]["remainingItemCount"] == 3
    token = first["metadata"]["continue"]
    second = (await api.send("GET", path, **{"limit": "2", "continue": token})).ok().body
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert second["metadata"]["remainingItemCount"] == 1
    last = (await api.send("GET", path, **{"limit": "2", "continue": second["metadata"]["continue"]})).ok()
    assert [item["metadata"]["name"] for item in last.body["items"]] == ["app-4"]
    assert not last.body["metadata"].get("continue")
    assert "remainingItemCount" not in last.body["metadata"]


async def test_pages_show_one_moment(api: RawApi, namespace: str):
    await many(api, namespace, 4)
    path = path_of(VIRTUAL_SERVICE, namespace)
    first = (await api.send("GET", path, limit="2")).ok().body
    await api.send("DELETE", path_of(VIRTUAL_SERVICE, namespace, "app-3"))
    await api.create(VIRTUAL_SERVICE, routes(namespace, "app-2a"), "one")
    rest = (await api.send("GET", path, **{"continue": first["metadata"]["continue"]})).ok().body
    assert [item["metadata"]["name"] for item in rest["items"]] == ["app-2", "app-3"]


async def test_a_token_that_is_none_is_refused(api: RawApi, namespace: str):
    path = path_of(VIRTUAL_SERVICE, namespace)
    answer = await api.send("GET", path, **{"limit": "2", "continue": "nonsense"})
    assert answer.status == 400
    assert "continue" in answer.message


async def test_selectors_choose_by_label_and_by_field(api: RawApi, namespace: str):
    for name, tier in (("a", "x"), ("b", "y"), ("c", "x")):
        body = routes(namespace, name)
        body["metadata"]["labels"] = {"tier": tier}
        (await api.create(VIRTUAL_SERVICE, body, "one")).ok()
    path = path_of(VIRTUAL_SERVICE, namespace)

    async def names(**query: str) -> list[str]:
        found = (await api.send("GET", path, **query)).ok().body["items"]
        return [item["metadata"]["name"] for item in found]

    assert await names(labelSelector="tier=x") == ["a", "c"]
    assert await names(labelSelector="tier in (x,y),tier!=x") == ["b"]
    assert await names(fieldSelector="metadata.name=b") == ["b"]
    assert await names(labelSelector="!tier") == []


async def test_a_watch_goes_on_after_any_version_and_tells_each_change_once(api: RawApi, namespace: str):
    path = path_of(VIRTUAL_SERVICE, namespace)
    made = (await api.create(VIRTUAL_SERVICE, routes(namespace), "one")).ok()
    changed = (await api.apply(VIRTUAL_SERVICE, routes(namespace, exportTo=["."]), "one", force="true")).ok()
    await api.send("DELETE", path_of(VIRTUAL_SERVICE, namespace, "reviews"))

    async def after(version: str) -> list[tuple[str, str]]:
        answer = await api.send("GET", path, watch="true", resourceVersion=version, timeoutSeconds="1")
        return [(e["type"], e["object"]["metadata"]["resourceVersion"]) for e in events(answer)]

    whole = await after(made.version)
    assert [type_ for type_, _ in whole] == ["MODIFIED", "DELETED"]
    assert whole[0][1] == changed.version
    assert await after(changed.version) == whole[1:], "a deletion has a version of its own"
    assert await after(whole[1][1]) == []


async def test_an_expired_watch_is_told_as_an_event(api: RawApi, namespace: str):
    answer = await api.send(
        "GET", path_of(VIRTUAL_SERVICE, namespace), watch="true", resourceVersion="1", timeoutSeconds="2"
    )
    if answer.status == 200:
        (event,) = events(answer)
        assert event["type"] == "ERROR"
        status = event["object"]
    else:
        status = answer.body
    assert (status["code"], status["reason"]) == (410, "Expired")


@pytest.mark.parametrize(
    ("validation", "status", "warns"), [("Strict", 400, False), ("Warn", 201, True), ("Ignore", 201, False)]
)
async def test_an_unknown_field_is_refused_warned_of_or_dropped(
    api: RawApi, namespace: str, validation: str, status: int, warns: bool
):
    body = routes(namespace, hostz=["a"])
    answer = await api.create(VIRTUAL_SERVICE, body, "one", fieldValidation=validation)
    assert answer.status == status, answer.body
    assert any('unknown field \\"spec.hostz\\"' in warning for warning in answer.warnings) is warns
    if status == 400:
        assert 'unknown field "spec.hostz"' in answer.message
    else:
        assert "hostz" not in answer.body["spec"]


async def test_a_field_that_is_there_twice_is_refused_when_strict(api: RawApi, namespace: str):
    text = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: twice, namespace: {namespace}}}\nspec:\n  hosts: [a]\n  hosts: [b]\n"
    )
    path = path_of(VIRTUAL_SERVICE, namespace, "twice")
    query = {"fieldManager": "one", "fieldValidation": "Strict"}
    answer = await api.send("PATCH", path, text, content_type=APPLY, **query)
    assert answer.status == 400
    assert "hosts" in answer.message
    assert "already" in answer.message


async def test_a_wrong_type_is_named_with_its_path(api: RawApi, namespace: str):
    answer = await api.create(TRAFFIC_SOURCE, {
        "metadata": {"name": "mesh", "namespace": namespace}, "spec": {"url": 7},
    }, "one")  # fmt: skip
    assert (answer.status, answer.reason) == (422, "Invalid")
    (cause,) = answer.causes
    assert cause[1] == "spec.url"
    assert "must be of type string" in cause[2]


async def test_the_status_of_a_create_is_dropped(api: RawApi, namespace: str):
    body = {
        "metadata": {"name": "mesh", "namespace": namespace},
        "spec": {"url": "https://git.example.com/a.git"},
        "status": {"fetchedRevision": "x"},
    }
    made = (await api.create(TRAFFIC_SOURCE, body, "one")).ok()
    assert "status" not in made.body
    assert made.body["metadata"]["generation"] == 1


async def test_a_lease_is_held_by_its_version(api: RawApi, namespace: str):
    body = {"metadata": {"name": "leader", "namespace": namespace}, "spec": {"holderIdentity": "one"}}
    made = (await api.create(LEASE, body, "one")).ok()
    taken = {**made.body, "spec": {"holderIdentity": "two", "leaseDurationSeconds": 15}}
    (await api.replace(LEASE, taken, "two")).ok()
    late = await api.replace(LEASE, {**made.body, "spec": {"holderIdentity": "three"}}, "three")
    assert (late.status, late.reason) == (409, "Conflict")
    assert late.message.endswith(
        "the object has been modified; please apply your changes to the latest version and try again"
    )


@pytest.mark.parametrize("times", ["2026-11-29T12:00:00.000001Z", "2026-11-29T12:00:00.123456Z"])
async def test_the_times_of_a_lease_keep_their_microseconds(api: RawApi, namespace: str, times: str):
    spec = {"holderIdentity": "one", "renewTime": times, "acquireTime": times}
    body = {"metadata": {"name": "l", "namespace": namespace}, "spec": spec}
    made = (await api.create(LEASE, body, "one")).ok()
    assert made.body["spec"]["renewTime"] == times


async def test_a_configmap_that_is_not_there_says_so_with_details(api: RawApi, namespace: str):
    answer = await api.get(CONFIG_MAP, namespace, "nothing")
    assert (answer.status, answer.reason) == (404, "NotFound")
    assert answer.message == 'configmaps "nothing" not found'
    assert answer.body["details"] == {"name": "nothing", "kind": "configmaps"}
