"""One behaviour for every cluster: the playground's API server through the real client, and the fake."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import anyio
import pytest

from gitmesh.kube.errors import (
    ApplyConflictError,
    NotFoundError,
    RejectedError,
    StaleWriteError,
    WatchExpiredError,
)
from gitmesh.kube.protocol import ClusterClient, WatchEvent
from gitmesh.model.kinds import LEASE, NAMESPACE, POD, SERVICE, TRAFFIC_SOURCE, VIRTUAL_SERVICE, Kind

pytestmark = pytest.mark.anyio
HISTORY = 40  # as conftest sets it for our own


def reviews(namespace: str, v1: int = 100, *, name: str = "reviews", **spec: Any) -> dict[str, Any]:
    weights = [("v1", v1), ("v2", 100 - v1)]
    route = [{"destination": {"host": "reviews", "subset": s}, "weight": w} for s, w in weights]
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"hosts": ["reviews"], "http": [{"route": route}], **spec},
    }


def version_of(body: Any) -> str:
    return str(body["metadata"]["resourceVersion"])


async def test_a_created_object_gets_identity_version_and_generation(client: ClusterClient, namespace: str):
    made = await client.create(VIRTUAL_SERVICE, reviews(namespace))
    found = await client.get(VIRTUAL_SERVICE, namespace, "reviews")
    assert found == made
    assert made["metadata"]["generation"] == 1
    assert {"uid", "resourceVersion", "creationTimestamp"} <= set(made["metadata"])
    assert (made["apiVersion"], made["kind"]) == ("networking.istio.io/v1", "VirtualService")


async def test_creating_what_exists_is_a_stale_write(client: ClusterClient, namespace: str):
    await client.create(VIRTUAL_SERVICE, reviews(namespace))
    with pytest.raises(StaleWriteError, match="already exists"):
        await client.create(VIRTUAL_SERVICE, reviews(namespace))


async def test_what_is_not_there_is_not_found(client: ClusterClient, namespace: str):
    with pytest.raises(NotFoundError):
        await client.get(VIRTUAL_SERVICE, namespace, "reviews")
    with pytest.raises(NotFoundError):
        await client.list(Kind("networking.istio.io", "v1", "EnvoyFilter", "envoyfilters"))


async def test_nothing_is_written_into_a_namespace_that_does_not_exist(client: ClusterClient):
    with pytest.raises(NotFoundError, match="nowhere"):
        await client.apply(VIRTUAL_SERVICE, reviews("nowhere"))


async def test_applying_again_changes_nothing(client: ClusterClient, namespace: str):
    first = await client.apply(VIRTUAL_SERVICE, reviews(namespace))
    again = await client.apply(VIRTUAL_SERVICE, reviews(namespace))
    assert version_of(first) == version_of(again)


async def test_applying_other_weights_counts_the_generation(client: ClusterClient, namespace: str):
    first = await client.apply(VIRTUAL_SERVICE, reviews(namespace))
    second = await client.apply(VIRTUAL_SERVICE, reviews(namespace, 75))
    assert second["metadata"]["generation"] == 2
    assert version_of(first) != version_of(second)
    assert [d["weight"] for d in second["spec"]["http"][0]["route"]] == [75, 25]


async def test_a_field_that_is_applied_no_more_goes(client: ClusterClient, namespace: str):
    await client.apply(VIRTUAL_SERVICE, reviews(namespace, exportTo=["."]))
    after = await client.apply(VIRTUAL_SERVICE, reviews(namespace))
    assert "exportTo" not in after["spec"]


async def test_the_fields_of_another_manager_conflict_until_forced(client: ClusterClient, namespace: str):
    await client.create(
        VIRTUAL_SERVICE, reviews(namespace)
    )  # an update, and so another manager than our apply
    with pytest.raises(ApplyConflictError) as caught:
        await client.apply(VIRTUAL_SERVICE, reviews(namespace, 75))
    assert [c.field for c in caught.value.conflicts] == [".spec.http"]
    forced = await client.apply(VIRTUAL_SERVICE, reviews(namespace, 75), force=True)
    assert forced["spec"]["http"][0]["route"][0]["weight"] == 75


async def test_a_dry_run_answers_and_stores_nothing(client: ClusterClient, namespace: str):
    shown = await client.apply(VIRTUAL_SERVICE, reviews(namespace), dry_run=True)
    assert shown["spec"]["hosts"] == ["reviews"]
    with pytest.raises(NotFoundError):
        await client.get(VIRTUAL_SERVICE, namespace, "reviews")
    made = await client.apply(VIRTUAL_SERVICE, reviews(namespace))
    await client.apply(VIRTUAL_SERVICE, reviews(namespace, 75), dry_run=True)
    await client.delete(VIRTUAL_SERVICE, namespace, "reviews", dry_run=True)
    assert await client.get(VIRTUAL_SERVICE, namespace, "reviews") == made


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"hostz": ["reviews"]}, ".spec.hostz: field not declared in schema"),
        ({"hosts": "reviews"}, ".spec.hosts: expected list, got &{reviews}"),
        ({"http": [{"timeout": 5}]}, ".spec.http[0].timeout: expected string, got "),
    ],
)
async def test_a_wrong_object_is_rejected_by_name_and_not_stored(
    client: ClusterClient, namespace: str, spec: dict[str, Any], named: str
):
    with pytest.raises(RejectedError) as caught:
        await client.apply(VIRTUAL_SERVICE, reviews(namespace, **spec))
    assert named in str(caught.value)
    assert not caught.value.retryable
    with pytest.raises(NotFoundError):
        await client.get(VIRTUAL_SERVICE, namespace, "reviews")


async def test_a_replace_of_an_older_version_is_stale(client: ClusterClient, namespace: str):
    first = await client.create(VIRTUAL_SERVICE, reviews(namespace))
    second = await client.replace(VIRTUAL_SERVICE, {**first, "spec": reviews(namespace, 50)["spec"]})
    with pytest.raises(StaleWriteError):
        await client.replace(VIRTUAL_SERVICE, {**first, "spec": reviews(namespace, 25)["spec"]})
    assert await client.get(VIRTUAL_SERVICE, namespace, "reviews") == second


async def test_status_and_spec_are_written_apart(client: ClusterClient, namespace: str):
    source = {
        "metadata": {"name": "mesh", "namespace": namespace},
        "spec": {"url": "https://example.org/x.git"},
    }
    made = await client.create(TRAFFIC_SOURCE, {**source, "status": {"fetchedRevision": "ignored"}})
    assert "status" not in made
    wish = {**made, "spec": {"url": "https://example.org/y.git"}, "status": {"fetchedRevision": "abc"}}
    told = await client.replace_status(TRAFFIC_SOURCE, wish)
    assert told["spec"] == made["spec"]
    assert told["status"]["fetchedRevision"] == "abc"
    assert told["metadata"]["generation"] == 1
    changed = await client.replace(TRAFFIC_SOURCE, {**wish, "metadata": told["metadata"], "status": {}})
    assert changed["status"] == told["status"]
    assert changed["metadata"]["generation"] == 2


async def test_a_status_that_the_definition_lacks_a_field_for_is_refused_with_what_to_do(
    client: ClusterClient, namespace: str
):
    body = {
        "metadata": {"name": "mesh", "namespace": namespace},
        "spec": {"url": "https://example.org/x.git"},
    }
    made = await client.create(TRAFFIC_SOURCE, body)
    with pytest.raises(RejectedError) as caught:
        await client.replace_status(TRAFFIC_SOURCE, {**made, "status": {"ofTheNextVersion": "a"}})
    assert 'unknown field "status.ofTheNextVersion"' in str(caught.value)
    assert "definitions are of another GitMesh; apply manifests/install of this one" in str(caught.value)


async def test_a_status_of_an_older_version_is_stale(client: ClusterClient, namespace: str):
    body = {
        "metadata": {"name": "mesh", "namespace": namespace},
        "spec": {"url": "https://example.org/x.git"},
    }
    made = await client.create(TRAFFIC_SOURCE, body)
    await client.replace_status(TRAFFIC_SOURCE, {**made, "status": {"fetchedRevision": "a"}})
    with pytest.raises(StaleWriteError):
        await client.replace_status(TRAFFIC_SOURCE, {**made, "status": {"fetchedRevision": "b"}})


async def test_a_merge_patch_sets_and_removes(client: ClusterClient, namespace: str):
    await client.create(VIRTUAL_SERVICE, reviews(namespace, exportTo=["."]))
    patch = {"metadata": {"annotations": {"a": "b"}}, "spec": {"exportTo": None}}
    after = await client.merge_patch(VIRTUAL_SERVICE, namespace, "reviews", patch)
    assert after["metadata"]["annotations"] == {"a": "b"}
    assert "exportTo" not in after["spec"]
    with pytest.raises(NotFoundError):
        await client.merge_patch(VIRTUAL_SERVICE, namespace, "ratings", patch)


async def test_a_delete_may_name_the_very_object(client: ClusterClient, namespace: str):
    made = await client.create(VIRTUAL_SERVICE, reviews(namespace))
    with pytest.raises(StaleWriteError):
        await client.delete(VIRTUAL_SERVICE, namespace, "reviews", uid="another")
    await client.delete(VIRTUAL_SERVICE, namespace, "reviews", uid=made["metadata"]["uid"])
    await client.delete(VIRTUAL_SERVICE, namespace, "reviews")  # absent already
    with pytest.raises(NotFoundError):
        await client.get(VIRTUAL_SERVICE, namespace, "reviews")


async def test_an_object_with_finalizers_stays_until_they_are_gone(client: ClusterClient, namespace: str):
    body = reviews(namespace)
    body["metadata"]["finalizers"] = ["example.org/hold"]
    await client.create(VIRTUAL_SERVICE, body)
    await client.delete(VIRTUAL_SERVICE, namespace, "reviews")
    held = await client.get(VIRTUAL_SERVICE, namespace, "reviews")
    assert "deletionTimestamp" in held["metadata"]
    await client.merge_patch(VIRTUAL_SERVICE, namespace, "reviews", {"metadata": {"finalizers": None}})
    with pytest.raises(NotFoundError):
        await client.get(VIRTUAL_SERVICE, namespace, "reviews")


async def test_a_namespace_takes_its_content_with_it(own_client: ClusterClient, namespace: str):
    await own_client.create(VIRTUAL_SERVICE, reviews(namespace))
    await own_client.delete(NAMESPACE, "", namespace)
    assert (await own_client.list(VIRTUAL_SERVICE, namespace=namespace)).items == ()
    with pytest.raises(NotFoundError):
        await own_client.get(NAMESPACE, "", namespace)


async def test_nothing_new_enters_a_namespace_that_waits_for_a_finalizer(
    own_client: ClusterClient, namespace: str
):
    body = reviews(namespace)
    body["metadata"]["finalizers"] = ["example.org/hold"]
    await own_client.create(VIRTUAL_SERVICE, body)
    await own_client.delete(NAMESPACE, "", namespace)
    assert (await own_client.get(NAMESPACE, "", namespace))["status"]["phase"] == "Terminating"
    with pytest.raises(RejectedError, match="being terminated"):
        await own_client.create(VIRTUAL_SERVICE, reviews(namespace, name="ratings"))
    await own_client.merge_patch(VIRTUAL_SERVICE, namespace, "reviews", {"metadata": {"finalizers": []}})
    with pytest.raises(NotFoundError):
        await own_client.get(NAMESPACE, "", namespace)


async def test_a_write_that_changes_nothing_keeps_the_version(client: ClusterClient, namespace: str):
    body = {
        "metadata": {"name": "mesh", "namespace": namespace},
        "spec": {"url": "https://example.org/x.git"},
    }
    made = await client.create(TRAFFIC_SOURCE, body)
    assert await client.replace(TRAFFIC_SOURCE, made) == made
    assert await client.merge_patch(TRAFFIC_SOURCE, namespace, "mesh", {}) == made
    told = await client.replace_status(TRAFFIC_SOURCE, {**made, "status": {"fetchedRevision": "a"}})
    assert await client.replace_status(TRAFFIC_SOURCE, told) == told


async def test_a_list_has_all_pages_of_one_moment(client: ClusterClient, namespace: str):
    names = [f"reviews-{i}" for i in range(7)]
    for name in reversed(names):
        await client.create(VIRTUAL_SERVICE, reviews(namespace, name=name))
    listing = await client.list(VIRTUAL_SERVICE, namespace=namespace, page_size=3)
    assert [item["metadata"]["name"] for item in listing.items] == names
    assert {item["kind"] for item in listing.items} == {"VirtualService"}
    everywhere = await client.list(VIRTUAL_SERVICE)
    assert {item["metadata"]["uid"] for item in listing.items} <= {
        item["metadata"]["uid"] for item in everywhere.items
    }


async def test_two_holders_cannot_both_take_a_lease(client: ClusterClient, namespace: str):
    body = {"metadata": {"name": "leader", "namespace": namespace}, "spec": {"holderIdentity": ""}}
    free = await client.create(LEASE, body)
    await client.replace(LEASE, {**free, "spec": {"holderIdentity": "one"}})
    with pytest.raises(StaleWriteError):
        await client.replace(LEASE, {**free, "spec": {"holderIdentity": "two"}})


async def test_the_status_of_a_pod_is_written_like_any_other(client: ClusterClient, namespace: str):
    pod = {
        "metadata": {"name": "reviews-v1", "namespace": namespace, "labels": {"app": "reviews"}},
        "spec": {"containers": [{"name": "reviews", "image": "reviews"}]},
    }
    made = await client.create(POD, pod)
    running = await client.replace_status(POD, {**made, "status": {"phase": "Running", "podIP": "127.0.1.1"}})
    assert running["status"]["podIP"] == "127.0.1.1"
    assert running["spec"] == made["spec"]


async def test_a_service_has_the_defaults_of_a_cluster(client: ClusterClient, namespace: str):
    spec = {"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 9080}]}
    body = {"metadata": {"name": "reviews", "namespace": namespace}, "spec": spec}
    made = await client.apply(SERVICE, body)
    port = {"name": "http", "port": 9080, "protocol": "TCP", "targetPort": 9080}
    assert made["spec"]["ports"] == [port]
    assert version_of(await client.apply(SERVICE, body)) == version_of(made)


async def follow(
    client: ClusterClient, version: str, namespace: str, count: int, *, bookmarks: bool = False
) -> list[WatchEvent]:
    """Return the first `count` events after a version; the watch's own first bookmark is left out."""
    found: list[WatchEvent] = []
    with anyio.fail_after(10):
        events = client.watch(VIRTUAL_SERVICE, resource_version=version, namespace=namespace)
        async with aclosing(events):  # type: ignore[type-var]  # an async generator
            async for event in events:
                told = version_of(event.object) != version
                if told and (event.type != "BOOKMARK" or bookmarks):
                    found.append(event)
                if len(found) == count:
                    break
    return found


async def test_a_watch_goes_on_where_the_list_ended(client: ClusterClient, namespace: str):
    await client.create(VIRTUAL_SERVICE, reviews(namespace))
    start = (await client.list(VIRTUAL_SERVICE, namespace=namespace)).resource_version
    await client.apply(VIRTUAL_SERVICE, reviews(namespace, 75), force=True)
    await client.create(VIRTUAL_SERVICE, reviews(namespace, name="ratings"))
    await client.delete(VIRTUAL_SERVICE, namespace, "reviews")
    events = await follow(client, start, namespace, 3)
    assert [(e.type, e.object["metadata"]["name"]) for e in events] == [
        ("MODIFIED", "reviews"),
        ("ADDED", "ratings"),
        ("DELETED", "reviews"),
    ]
    versions = [int(version_of(e.object)) for e in events]
    assert versions == sorted(versions)
    assert versions[0] > int(start)


async def test_a_watch_sees_what_happens_later_and_only_its_namespace(
    client: ClusterClient, namespace: str, make_namespace: Any
):
    start = (await client.list(VIRTUAL_SERVICE)).resource_version
    other = await make_namespace()
    found: list[WatchEvent] = []

    async def watch() -> None:
        found.extend(await follow(client, start, namespace, 1))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await anyio.sleep(0.05)
        await client.create(VIRTUAL_SERVICE, reviews(other))
        await client.create(VIRTUAL_SERVICE, reviews(namespace))
    assert [e.object["metadata"]["namespace"] for e in found] == [namespace]


async def test_a_quiet_watch_is_told_how_far_it_has_got(own_client: ClusterClient, namespace: str):
    start = (await own_client.list(VIRTUAL_SERVICE)).resource_version
    await own_client.create(NAMESPACE, {"metadata": {"name": f"{namespace}-later"}})
    (bookmark,) = await follow(own_client, start, "", 1, bookmarks=True)
    assert bookmark.type == "BOOKMARK"
    assert int(version_of(bookmark.object)) > int(start)


async def test_a_watch_of_one_name_begins_at_its_version_and_sees_nothing_else(
    client: ClusterClient, namespace: str
):
    made = await client.create(VIRTUAL_SERVICE, reviews(namespace))
    await client.create(VIRTUAL_SERVICE, reviews(namespace, name="ratings"))
    await client.apply(VIRTUAL_SERVICE, reviews(namespace, 75), force=True)
    await client.delete(VIRTUAL_SERVICE, namespace, "reviews")
    found: list[tuple[str, str]] = []
    with anyio.fail_after(10):
        events = client.watch(
            VIRTUAL_SERVICE, resource_version=version_of(made), namespace=namespace, name="reviews"
        )
        async with aclosing(events):  # type: ignore[type-var]  # an async generator
            async for event in events:
                if event.type != "BOOKMARK":
                    found.append((event.type, event.object["metadata"]["name"]))
                if len(found) == 2:
                    break
    assert found == [("MODIFIED", "reviews"), ("DELETED", "reviews")]


async def test_a_watch_ends_when_its_time_is_up(client: ClusterClient):
    start = (await client.list(VIRTUAL_SERVICE)).resource_version
    with anyio.fail_after(5):
        events = client.watch(VIRTUAL_SERVICE, resource_version=start, timeout_seconds=1)
        assert {e.type async for e in events} <= {"BOOKMARK"}


async def test_a_watch_from_too_long_ago_is_expired(own_client: ClusterClient, namespace: str):
    start = (await own_client.list(VIRTUAL_SERVICE)).resource_version
    for weight in range(HISTORY + 2):
        await own_client.apply(VIRTUAL_SERVICE, reviews(namespace, weight))
    with pytest.raises(WatchExpiredError):
        await follow(own_client, start, namespace, 1)


async def test_a_watch_from_another_life_of_the_cluster_is_expired(client: ClusterClient, namespace: str):
    with pytest.raises(WatchExpiredError):
        await follow(client, "1", namespace, 1)


async def test_a_watch_from_a_version_to_come_is_expired(own_client: ClusterClient, namespace: str):
    """A real server waits for it instead. Ours counts on after a loss, and would keep a client waiting."""
    future = str(int((await own_client.list(VIRTUAL_SERVICE)).resource_version) + 1_000_000)
    with pytest.raises(WatchExpiredError):
        await follow(own_client, future, namespace, 1)


async def test_a_watch_has_said_how_far_it_got_before_its_time_is_up(client: ClusterClient, namespace: str):
    start = (await client.list(VIRTUAL_SERVICE, namespace=namespace)).resource_version
    made = await client.create(VIRTUAL_SERVICE, reviews(namespace))
    seen: list[WatchEvent] = []
    with anyio.fail_after(30):
        events = client.watch(VIRTUAL_SERVICE, resource_version=start, namespace=namespace, timeout_seconds=6)
        async for event in events:
            if version_of(event.object) != start:
                seen.append(event)
    assert "ADDED" in [event.type for event in seen]
    assert int(version_of(seen[-1].object)) >= int(version_of(made))
