"""Events tell people once, count what repeats, and never get in the way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from gitmesh.kube.errors import ClusterError, NotFoundError
from gitmesh.kube.protocol import Body
from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.resource import Resource, resource_from_body
from gitmesh.notify import events
from gitmesh.notify.events import EventRecorder

pytestmark = pytest.mark.anyio


class FakeClock:
    def now(self) -> datetime:
        return datetime(2026, 1, 1, 12, tzinfo=UTC)


class Cluster:
    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.error: Exception | None = None

    async def create(self, kind: Any, body: Body) -> Body:
        if self.error:
            raise self.error
        self.events[body["metadata"]["name"]] = dict(body)
        return body

    async def merge_patch(self, kind: Any, namespace: str, name: str, patch: Body) -> Body:
        if name not in self.events:
            raise NotFoundError("expired", retryable=False, status=404)
        self.events[name] |= patch
        return self.events[name]


def an_object(name: str = "reviews") -> Resource:
    metadata = {"namespace": "default", "name": name, "uid": "u1", "resourceVersion": "7"}
    return resource_from_body(
        {"apiVersion": VIRTUAL_SERVICE.api_version, "kind": "VirtualService", "metadata": metadata}
    )


def recorder(cluster: Cluster) -> EventRecorder:
    return EventRecorder(cluster, FakeClock())  # type: ignore[arg-type]  # it stores events only


async def test_an_event_says_about_what_and_what() -> None:
    cluster = Cluster()
    await recorder(cluster).record(an_object(), "Warning", "RolledBack", "7 % errors")
    (event,) = cluster.events.values()
    assert event["involvedObject"] == {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "namespace": "default",
        "name": "reviews",
        "uid": "u1",
        "resourceVersion": "7",
    }
    assert (event["type"], event["reason"], event["message"], event["count"]) == (
        "Warning",
        "RolledBack",
        "7 % errors",
        1,
    )
    assert event["metadata"]["namespace"] == "default"
    assert event["firstTimestamp"] == "2026-01-01T12:00:00Z"


async def test_the_same_news_raises_the_count_and_other_news_is_another_event() -> None:
    cluster = Cluster()
    told = recorder(cluster)
    for message in ("drift", "drift", "other", "drift"):
        await told.record(an_object(), "Normal", "Healed", message)
    assert sorted((e["message"], e["count"]) for e in cluster.events.values()) == [("drift", 3), ("other", 1)]


async def test_an_event_that_has_expired_is_told_anew() -> None:
    cluster = Cluster()
    told = recorder(cluster)
    await told.record(an_object(), "Normal", "Healed", "drift")
    cluster.events.clear()
    await told.record(an_object(), "Normal", "Healed", "drift")
    assert [e["count"] for e in cluster.events.values()] == [1]


async def test_a_cluster_that_refuses_events_breaks_nothing() -> None:
    cluster = Cluster()
    cluster.error = ClusterError("refused", retryable=True)
    told = recorder(cluster)
    await told.record(an_object(), "Normal", "Healed", "drift")
    cluster.error = None
    await told.record(an_object(), "Normal", "Healed", "drift")
    assert len(cluster.events) == 1


async def test_a_silent_cluster_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "TIMEOUT_SECONDS", 0.01)
    cluster = Cluster()
    monkeypatch.setattr(cluster, "create", lambda *_: anyio.sleep_forever())
    with anyio.fail_after(5):
        await recorder(cluster).record(an_object(), "Normal", "Healed", "drift")


async def test_names_messages_and_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "REMEMBERED_MAX", 3)
    cluster = Cluster()
    told = recorder(cluster)
    await told.record(an_object("n" * 253), "Normal", "r" * 500, "ä" * 5000)
    (event,) = cluster.events.values()
    assert len(event["metadata"]["name"]) <= 253
    assert len(event["message"].encode()) <= 1024
    assert len(event["reason"]) == 128
    for number in range(10):
        await told.record(an_object(), "Normal", "Healed", str(number))
    assert len(told._told) == 3
