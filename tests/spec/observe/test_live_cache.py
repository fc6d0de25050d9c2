"""The live cache shows what the watch brings and what we wrote ourselves, whichever is newer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from gitmesh.kube.errors import ClusterError, NotFoundError
from gitmesh.kube.protocol import Body, Listing, WatchEvent
from gitmesh.model.context import ContextPort
from gitmesh.model.intent import Verb
from gitmesh.model.kinds import (
    GATEWAY,
    NAMESPACE,
    SERVICE,
    TRAFFIC_ROLLOUT,
    TRAFFIC_SOURCE,
    VIRTUAL_SERVICE,
    Kind,
)
from gitmesh.model.resource import ResourceKey
from gitmesh.model.source import OWNER_ANNOTATION
from gitmesh.observe.live import CACHED_KINDS, LiveCache

pytestmark = pytest.mark.anyio
REVIEWS = VIRTUAL_SERVICE.key("default", "reviews")


def body(kind: Kind, name: str, version: int | str, **more: Any) -> dict[str, Any]:
    metadata = {"namespace": "default", "name": name, "resourceVersion": str(version)}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **more}


async def settled() -> None:
    """Let every task run until it waits; `wait_all_tasks_blocked` would take a tenth of a second."""
    for _ in range(50):
        await anyio.lowlevel.checkpoint()


class SlowClock:
    """Nothing is retried within a test unless it asks for it."""

    def __init__(self) -> None:
        self.may_go_on = anyio.Event()

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await self.may_go_on.wait()
        self.may_go_on = anyio.Event()


class Server:
    """Lists what it is told, then passes on the events that the test sends."""

    def __init__(self, **listings: Any) -> None:
        self.listings = listings
        self.streams: dict[str, Any] = {}

    async def list(self, kind: Kind, *, namespace: str = "", page_size: int = 500) -> Listing:
        answer = self.listings.get(kind.plural, ())
        if isinstance(answer, Exception):
            raise answer
        return Listing(tuple(answer), "10")

    async def watch(
        self, kind: Kind, *, resource_version: str, namespace: str = "", timeout_seconds: int = 300
    ) -> AsyncIterator[WatchEvent]:
        send, receive = anyio.create_memory_object_stream[Any](100)
        self.streams[kind.plural] = send
        yield WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": resource_version}})
        async with receive:
            async for event in receive:
                if isinstance(event, Exception):
                    raise event
                yield event

    async def send(self, kind: Kind, type_: Any, body: Body) -> None:
        await self.streams[kind.plural].send(WatchEvent(type_, body))
        await settled()

    async def fail(self, kind: Kind, error: Exception) -> None:
        await self.streams[kind.plural].send(error)
        await settled()


class World:
    def __init__(self, **listings: Any) -> None:
        self.server = Server(**listings)
        self.clock = SlowClock()
        self.changes: list[ResourceKey] = []
        self.cache = LiveCache(
            self.server,  # type: ignore[arg-type]  # it knows only what a cache asks
            clock=self.clock,
            on_change=self.changes.append,
        )

    async def __aenter__(self) -> World:
        self.group = anyio.create_task_group()
        await self.group.__aenter__()
        self.group.start_soon(self.cache.run)
        await settled()
        return self

    async def __aexit__(self, *error: Any) -> None:
        self.group.cancel_scope.cancel()
        await self.group.__aexit__(*error)

    def version(self, key: ResourceKey = REVIEWS) -> str | None:
        resource = self.cache.snapshot().resources.get(key)
        return resource.resource_version if resource else None


def reviews(version: int | str, **more: Any) -> dict[str, Any]:
    return body(VIRTUAL_SERVICE, "reviews", version, **more)


async def test_a_snapshot_sorts_the_cluster_by_what_a_pass_asks() -> None:
    listings = {
        "virtualservices": [reviews(1)],
        "services": [body(SERVICE, "reviews", 2)],
        "trafficsources": [body(TRAFFIC_SOURCE, "shop", 3)],
        "trafficrollouts": [body(TRAFFIC_ROLLOUT, "reviews", 4)],
    }
    async with World(**listings) as world:
        with anyio.fail_after(5):
            await world.cache.wait_synced()
        live = world.cache.snapshot()
    assert set(live.resources) == {REVIEWS}
    assert live.service_hosts == {"reviews.default.svc.cluster.local"}
    assert [key.name for key in live.sources] == ["shop"]
    assert [key.name for key in live.rollouts] == ["reviews"]
    assert world.cache.connected
    assert len(world.cache.states) == len(CACHED_KINDS)


async def test_a_snapshot_does_not_change_and_is_the_same_while_nothing_changes() -> None:
    async with World(virtualservices=[reviews(1)]) as world:
        before = world.cache.snapshot()
        assert world.cache.snapshot() is before
        await world.server.send(VIRTUAL_SERVICE, "MODIFIED", reviews(11))
        after = world.cache.snapshot()
    assert before.resources[REVIEWS].resource_version == "1"
    assert after.resources[REVIEWS].resource_version == "11"
    assert after.version > before.version
    with pytest.raises(TypeError):
        after.resources[REVIEWS] = before.resources[REVIEWS]  # type: ignore[index]


async def test_a_change_and_a_deletion_are_told() -> None:
    async with World(virtualservices=[reviews(1)]) as world:
        world.changes.clear()
        await world.server.send(VIRTUAL_SERVICE, "MODIFIED", reviews(11))
        await world.server.send(VIRTUAL_SERVICE, "DELETED", reviews(12))
        assert world.changes == [REVIEWS, REVIEWS]
        assert world.version() is None


async def test_an_own_write_is_visible_at_once_and_its_event_wakes_nobody() -> None:
    async with World(virtualservices=[reviews(1)]) as world:
        world.changes.clear()
        world.cache.absorb(reviews(15))
        assert world.version() == "15"
        await world.server.send(VIRTUAL_SERVICE, "MODIFIED", reviews(14))
        assert world.version() == "15", "an older event does not hide what we wrote"
        await world.server.send(VIRTUAL_SERVICE, "MODIFIED", reviews(15))
        assert world.changes == []
        await world.server.send(VIRTUAL_SERVICE, "MODIFIED", reviews(16))
        assert world.changes == [REVIEWS]


async def test_an_old_answer_does_not_hide_a_newer_event() -> None:
    async with World(virtualservices=[reviews(1)]) as world:
        await world.server.send(VIRTUAL_SERVICE, "MODIFIED", reviews(20))
        world.cache.absorb(reviews(19))
        assert world.version() == "20"


async def test_versions_that_are_no_numbers_are_taken_as_they_come() -> None:
    async with World(virtualservices=[reviews("abc")]) as world:
        world.cache.absorb(reviews("abd"))
        assert world.version() == "abd"
        await world.server.send(VIRTUAL_SERVICE, "MODIFIED", reviews("aaa"))
        assert world.version() == "aaa"


async def test_a_deletion_older_than_our_new_object_is_ignored() -> None:
    async with World(virtualservices=[reviews(1)]) as world:
        world.cache.drop(REVIEWS)
        world.cache.absorb(reviews(30))
        await world.server.send(VIRTUAL_SERVICE, "DELETED", reviews(25))
        assert world.version() == "30"


async def test_a_dropped_object_is_gone_at_once() -> None:
    async with World(virtualservices=[reviews(1)]) as world:
        world.cache.drop(REVIEWS)
        assert world.version() is None


@pytest.mark.parametrize(("absorbed", "kept"), [(9, False), (11, True)])
async def test_an_own_write_that_a_newer_listing_does_not_have_was_deleted(absorbed: int, kept: bool) -> None:
    async with World() as world:
        world.cache.absorb(reviews(absorbed))
        await world.server.fail(VIRTUAL_SERVICE, ClusterError("gone", retryable=False))
        world.clock.may_go_on.set()
        await settled()
        assert (world.version() is not None) is kept
        assert (REVIEWS in world.changes) is not kept


async def test_a_broken_watch_is_not_connected_and_keeps_what_was_seen() -> None:
    async with World(virtualservices=[reviews(1)]) as world:
        assert world.cache.connected
        await world.server.fail(VIRTUAL_SERVICE, ClusterError("connection lost", retryable=True))
        assert not world.cache.connected
        assert world.version() == "1"
        assert [s.error for s in world.cache.states if not s.connected] == ["connection lost"]
        world.clock.may_go_on.set()
        await settled()
        assert world.cache.connected


async def test_a_kind_that_is_not_served_does_not_stop_the_others() -> None:
    absent = NotFoundError("no such kind", retryable=False, status=404)
    async with World(gateways=absent, virtualservices=[reviews(1)]) as world:
        with anyio.fail_after(5):
            await world.cache.wait_synced()
        assert world.cache.connected
        assert [s.kind for s in world.cache.states if not s.served] == [GATEWAY.kind]


async def test_of_a_service_its_coming_and_going_and_its_ports_matter() -> None:
    async with World(services=[body(SERVICE, "reviews", 1)]) as world:
        world.changes.clear()
        await world.server.send(SERVICE, "MODIFIED", body(SERVICE, "reviews", 11))
        assert world.changes == []
        services = world.cache.snapshot().services
        await world.server.send(GATEWAY, "ADDED", body(GATEWAY, "entry", 12))
        assert world.cache.snapshot().services is services
        ports = {"ports": [{"port": 9080, "name": "http", "targetPort": "web"}]}
        await world.server.send(SERVICE, "MODIFIED", body(SERVICE, "reviews", 13, spec=ports))
        (found,) = world.cache.snapshot().services.values()
        assert found.ports == (ContextPort(9080, "http", target="web"),)
        await world.server.send(SERVICE, "DELETED", body(SERVICE, "reviews", 14))
        assert world.cache.snapshot().service_hosts == frozenset()
        assert len(world.changes) == 3


async def test_large_metadata_is_dropped_and_the_last_foreign_writer_is_known() -> None:
    live = reviews(1, spec={"hosts": ["reviews"]})
    live["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    live["metadata"]["managedFields"] = [
        {
            "manager": "gitmesh",
            "operation": "Apply",
            "time": "2026-01-03T00:00:00Z",
            "fieldsV1": {"f:spec": {}},
        },
        {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-02T00:00:00Z"},
        {"manager": "kubectl-create", "operation": "Update", "time": "2026-01-01T00:00:00Z"},
        {"manager": "istiod", "operation": "Update", "time": "2026-01-04T00:00:00Z", "subresource": "status"},
    ]
    async with World(virtualservices=[live]) as world:
        state = world.cache.snapshot()
    assert set(state.resources[REVIEWS].metadata) == {"namespace", "name", "resourceVersion"}
    assert state.resources[REVIEWS].spec == {"hosts": ["reviews"]}
    assert state.changed_by(REVIEWS) == "kubectl-edit"
    assert state.changed_by(VIRTUAL_SERVICE.key("default", "other")) == ""


def marked(kind: Kind, name: str, version: int, source: str = "a/b") -> dict[str, Any]:
    found = body(kind, name, version)
    found["metadata"]["annotations"] = {OWNER_ANNOTATION: source}
    return found


async def test_what_a_source_owns_is_known_and_its_records_are_no_part_of_it():
    async with World() as world:
        for made in (
            marked(VIRTUAL_SERVICE, "reviews", 11),
            marked(GATEWAY, "door", 12, "c/d"),
            marked(TRAFFIC_ROLLOUT, "reviews", 13),
        ):
            world.cache.absorb(made)
        live = world.cache.snapshot()
        assert live.owned_by("a/b") == {REVIEWS}
        assert live.owned_by("c/d") == {GATEWAY.key("default", "door")}
        assert live.owned_by("e/f") == frozenset()
        world.cache.drop(TRAFFIC_ROLLOUT.key("default", "reviews"))
        assert world.cache.snapshot().owned_by("a/b") is live.owned_by("a/b"), "the same while it is the same"
        world.cache.drop(REVIEWS)
        world.cache.drop(TRAFFIC_ROLLOUT.key("default", "reviews"))
        assert world.cache.snapshot().owned_by("a/b") == frozenset()


async def test_an_object_that_goes_over_to_another_source_is_counted_there():
    async with World() as world:
        world.cache.absorb(marked(VIRTUAL_SERVICE, "reviews", 11))
        world.cache.absorb(marked(VIRTUAL_SERVICE, "reviews", 12, "c/d"))
        live = world.cache.snapshot()
        assert (live.owned_by("a/b"), live.owned_by("c/d")) == (frozenset(), {REVIEWS})


async def test_what_people_ask_something_of_is_known_as_long_as_they_do():
    async with World() as world:
        asking = body(VIRTUAL_SERVICE, "reviews", 11)
        asking["metadata"]["annotations"] = {Verb.PAUSE.annotation: "true"}
        world.cache.absorb(asking)
        assert world.cache.snapshot().asked == {REVIEWS}
        world.cache.absorb(body(VIRTUAL_SERVICE, "reviews", 12))
        assert world.cache.snapshot().asked == frozenset()


async def test_a_part_that_did_not_change_is_the_very_same_again():
    async with World() as world:
        world.cache.absorb(body(VIRTUAL_SERVICE, "reviews", 11))
        before = world.cache.snapshot()
        world.cache.absorb(body(TRAFFIC_SOURCE, "mesh", 12))
        after = world.cache.snapshot()
        assert after.resources is before.resources
        assert after.rollouts is before.rollouts
        assert after.sources is not before.sources
        assert world.cache.get(REVIEWS) is after.resources[REVIEWS]


async def test_an_object_of_a_kind_that_is_not_followed_is_not_kept() -> None:
    async with World() as world:
        world.cache.absorb(marked(NAMESPACE, "shop", 11))
        live = world.cache.snapshot()
        assert (dict(live.resources), live.owned_by("a/b")) == ({}, frozenset())
