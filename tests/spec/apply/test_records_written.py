"""What GitMesh stores about itself."""

from __future__ import annotations

from typing import Any

import pytest

from gitmesh.apply.records import write_record, write_source_status
from gitmesh.kube.errors import StaleWriteError
from gitmesh.kube.protocol import Body
from gitmesh.model.kinds import TRAFFIC_ROLLOUT, VIRTUAL_SERVICE, Kind
from gitmesh.model.resource import Resource, resource_from_body
from gitmesh.model.rollout import Phase, RolloutRecord, Snapshot
from gitmesh.model.source import TrafficSourceStatus

pytestmark = pytest.mark.anyio
RECORD = RolloutRecord(
    phase=Phase.PROGRESSING,
    source="default/shop",
    progress=25,
    stable=Snapshot(spec={"hosts": ["reviews"]}, hash="h"),
)
KEY = VIRTUAL_SERVICE.key("default", "reviews")


class Cluster:
    """Stores one object and refuses a stale write."""

    def __init__(self, stored: Body | None = None) -> None:
        self.stored = stored
        self.calls: list[str] = []

    def _keep(self, body: Body, version: int) -> Body:
        self.stored = {**body, "metadata": {**body["metadata"], "resourceVersion": str(version)}}
        return self.stored

    async def create(self, kind: Kind, body: Body) -> Body:
        self.calls.append("create")
        if self.stored is not None:
            raise StaleWriteError("exists", retryable=True, status=409)
        return self._keep(body, 1)

    async def replace_status(self, kind: Kind, body: Body) -> Body:
        self.calls.append("status")
        assert self.stored is not None
        version = self.stored["metadata"]["resourceVersion"]
        if body["metadata"]["resourceVersion"] != version:
            raise StaleWriteError("stale", retryable=True, status=409)
        return self._keep({**self.stored, "status": body["status"]}, int(version) + 1)


async def written(cluster: Any, record: RolloutRecord, live: Resource | None) -> Resource:
    return await write_record(cluster, KEY, record, live)


async def test_the_first_record_makes_its_rollout_and_says_whose_it_is() -> None:
    cluster = Cluster()
    stored = await written(cluster, RECORD, None)
    assert stored.key == TRAFFIC_ROLLOUT.key("default", "reviews")
    assert stored.annotations["gitmesh.dev/source"] == "default/shop"
    assert stored.labels["app.kubernetes.io/managed-by"] == "gitmesh"
    assert stored.spec == {}
    assert RolloutRecord.model_validate(stored.body["status"]) == RECORD


async def test_a_later_record_replaces_the_status_and_keeps_what_a_person_asked() -> None:
    cluster = Cluster()
    live = await written(cluster, RECORD, None)
    cluster.stored = {**live.body, "spec": {"suspend": True}}
    stored = await written(cluster, RECORD.model_copy(update={"progress": 50.0}), live)
    assert stored.spec == {"suspend": True}
    assert stored.body["status"]["progress"] == 50


async def test_what_is_stored_already_is_not_written_again() -> None:
    cluster = Cluster()
    live = await written(cluster, RECORD, None)
    assert await written(cluster, RECORD, live) is live
    assert cluster.calls == ["create", "status"]


async def test_a_stale_write_reaches_the_caller() -> None:
    cluster = Cluster()
    live = await written(cluster, RECORD, None)
    changed = RECORD.model_copy(update={"progress": 50.0})
    await written(cluster, changed, live)
    with pytest.raises(StaleWriteError):
        await written(cluster, changed.model_copy(update={"progress": 75.0}), live)
    with pytest.raises(StaleWriteError):
        await written(cluster, RECORD, None)


async def test_the_status_of_a_source_is_written_only_when_it_says_something_new() -> None:
    metadata = {"namespace": "default", "name": "shop", "resourceVersion": "1"}
    source = {
        "apiVersion": "gitmesh.dev/v1alpha1",
        "kind": "TrafficSource",
        "metadata": metadata,
        "spec": {"url": "u"},
    }
    cluster: Any = Cluster(source)
    status = TrafficSourceStatus(fetched_revision="main@abc", inventory=("a/b/c/d",))
    stored = await write_source_status(cluster, resource_from_body(source), status)
    assert stored.body["status"]["inventory"] == ["a/b/c/d"]
    assert stored.spec == {"url": "u"}
    assert await write_source_status(cluster, stored, status) is stored
    assert cluster.calls == ["status"]
