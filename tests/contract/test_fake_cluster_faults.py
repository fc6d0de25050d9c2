"""The faults that a test may order from the fake cluster, and what it may do behind the client's back."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from gitmesh.kube.errors import ClusterError, NotFoundError, StaleWriteError, WatchExpiredError
from gitmesh.model.kinds import VIRTUAL_SERVICE
from tests.fakes.cluster import Delay, FakeCluster, Fault, Late, Request, a_cluster

pytestmark = pytest.mark.anyio
REVIEWS: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "reviews", "namespace": "default"},
    "spec": {"hosts": ["reviews"]},
}
OTHER = {**REVIEWS, "spec": {"hosts": ["ratings"]}}


def on_writes(fault: Fault | Delay) -> Any:
    return lambda request: fault if request.writes else None


async def test_a_lost_request_is_retryable_and_changes_nothing():
    cluster = FakeCluster()
    cluster.faults = on_writes(Fault.REQUEST_LOST)
    with pytest.raises(ClusterError) as caught:
        await cluster.apply(VIRTUAL_SERVICE, REVIEWS)
    assert caught.value.retryable
    assert cluster.find(VIRTUAL_SERVICE, "default", "reviews") is None


async def test_a_lost_answer_is_retryable_and_yet_the_write_is_done():
    cluster = FakeCluster()
    cluster.faults = on_writes(Fault.ANSWER_LOST)
    with pytest.raises(ClusterError) as caught:
        await cluster.apply(VIRTUAL_SERVICE, REVIEWS)
    assert caught.value.retryable
    found = cluster.find(VIRTUAL_SERVICE, "default", "reviews")
    assert found is not None
    assert found["spec"] == {"hosts": ["reviews"]}


async def test_a_stale_write_and_an_expired_watch_can_be_ordered():
    cluster = a_cluster(REVIEWS)
    cluster.faults = lambda request: Fault.EXPIRED if request.verb == "watch" else Fault.STALE
    with pytest.raises(StaleWriteError):
        await cluster.merge_patch(VIRTUAL_SERVICE, "default", "reviews", {"spec": None})
    with pytest.raises(WatchExpiredError):
        async for _ in cluster.watch(VIRTUAL_SERVICE, resource_version="1"):
            pass


async def test_a_delay_waits_on_the_clock_that_was_given():
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    cluster = FakeCluster(sleep=sleep)
    cluster.faults = on_writes(Delay(30))
    await cluster.apply(VIRTUAL_SERVICE, REVIEWS)
    assert waited == [30]


async def test_a_late_write_is_carried_out_although_its_sender_has_gone():
    hold = anyio.Event()
    cluster = FakeCluster(sleep=lambda _: hold.wait())
    cluster.faults = on_writes(Late(30))
    with anyio.move_on_after(0.01):
        await cluster.apply(VIRTUAL_SERVICE, REVIEWS)
    assert cluster.find(VIRTUAL_SERVICE, "default", "reviews") is None
    hold.set()
    await anyio.wait_all_tasks_blocked()
    assert cluster.find(VIRTUAL_SERVICE, "default", "reviews") is not None


async def test_every_request_is_noted():
    cluster = FakeCluster()
    await cluster.apply(VIRTUAL_SERVICE, REVIEWS, dry_run=True)
    with pytest.raises(NotFoundError):
        await cluster.get(VIRTUAL_SERVICE, "default", "reviews")
    assert cluster.requests == [
        Request("apply", "VirtualService", "default", "reviews", dry_run=True),
        Request("get", "VirtualService", "default", "reviews"),
    ]
    assert not any(request.writes for request in cluster.requests)


async def test_someone_else_may_write_and_delete_and_a_forgetful_cluster_expires_watches():
    cluster = a_cluster(REVIEWS)
    start = (await cluster.list(VIRTUAL_SERVICE)).resource_version
    cluster.put(OTHER)
    cluster.expire_watches()
    with pytest.raises(WatchExpiredError):
        async for _ in cluster.watch(VIRTUAL_SERVICE, resource_version=start):
            pass
    cluster.take(VIRTUAL_SERVICE, "default", "reviews")
    assert cluster.all(VIRTUAL_SERVICE) == []


async def test_what_a_caller_holds_cannot_change_what_is_stored():
    cluster = a_cluster(REVIEWS)
    held: Any = await cluster.get(VIRTUAL_SERVICE, "default", "reviews")
    held["spec"]["hosts"].append("ratings")
    assert (await cluster.get(VIRTUAL_SERVICE, "default", "reviews"))["spec"]["hosts"] == ["reviews"]
