"""Watch cache, executor, records, events and leader election on a real API server process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from gitmesh.apply.executor import dry_run, execute
from gitmesh.apply.records import write_record, write_source_status
from gitmesh.engine.clock import SystemClock
from gitmesh.kube.client import KubeClient
from gitmesh.kube.connect import connect
from gitmesh.kube.errors import ClusterError, StaleWriteError
from gitmesh.kube.lease import LeaderElector
from gitmesh.model.config import LeaseConfig
from gitmesh.model.kinds import EVENT, TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.plan import Change, ChangeKind, Plan, Wave
from gitmesh.model.resource import Resource, ResourceKey, resource_from_body
from gitmesh.model.rollout import Phase, RolloutRecord, Snapshot, Target
from gitmesh.model.source import Condition, TrafficSourceStatus
from gitmesh.notify.events import EventRecorder
from gitmesh.observe.live import LiveCache
from tests.fakes.apiserver import ApiServer, an_api_server

pytestmark = [pytest.mark.anyio, pytest.mark.real]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class QuickClock(SystemClock):
    """The real clock, ten times faster: waits are shorter, spans longer."""

    def monotonic(self) -> float:
        return super().monotonic() * 10

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 10)


@asynccontextmanager
async def a_server_and_client(
    directory: Path, *, database: str = ":memory:"
) -> AsyncIterator[tuple[ApiServer, KubeClient]]:
    with an_api_server(directory, database=database) as server:
        client = await connect(server.kubeconfig, timeout=timedelta(seconds=10), environ={})
        try:
            yield server, client
        finally:
            await client.close()


def virtual_service(name: str, weight: int = 100, **more: Any) -> Resource:
    route = [{"destination": {"host": "reviews", "subset": "v1"}, "weight": weight}]
    return resource_from_body(
        {
            "apiVersion": "networking.istio.io/v1beta1",
            "kind": "VirtualService",
            "metadata": {"namespace": "default", "name": name},
            "spec": {"hosts": [name], "http": [{"route": route}], **more},
        }
    )


def creation(resource: Resource) -> Change:
    return Change(ChangeKind.CREATE, resource.key, None, resource)


def a_plan(*changes: Change) -> Plan:
    return Plan("default/shop", "abc", (Wave("all", changes),))


async def until(what: str, holds: Callable[[], bool], seconds: float = 15) -> None:
    with anyio.move_on_after(seconds):
        while True:
            if holds():
                return
            await anyio.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


async def no_wait(_: float) -> None: ...


async def test_the_cache_outlives_a_killed_server_and_catches_up(tmp_path: Path) -> None:
    async with a_server_and_client(tmp_path, database=str(tmp_path / "cluster.db")) as (server, client):
        changes: list[ResourceKey] = []
        cache = LiveCache(client, clock=SystemClock(), on_change=changes.append)
        kept, gone = virtual_service("kept"), virtual_service("gone")
        await client.apply(VIRTUAL_SERVICE, kept.body)
        await client.apply(VIRTUAL_SERVICE, gone.body)
        async with anyio.create_task_group() as group:
            group.start_soon(cache.run)
            await cache.wait_synced()
            await until("connected", lambda: cache.connected)
            assert {kept.key, gone.key} <= set(cache.snapshot().resources)

            server.kill()
            await until("the loss is noticed", lambda: not cache.connected)
            assert kept.key in cache.snapshot().resources, "nothing is forgotten"
            server.start()
            await client.apply(VIRTUAL_SERVICE, virtual_service("kept", 50).body)
            await client.delete(VIRTUAL_SERVICE, "default", "gone")

            await until("reconnected", lambda: cache.connected)
            await until("the deletion is seen", lambda: gone.key not in cache.snapshot().resources)
            route = cache.snapshot().resources[kept.key].spec["http"][0]["route"]
            assert route[0]["weight"] == 50
            group.cancel_scope.cancel()


async def test_a_plan_is_refused_as_a_whole_or_applied_and_deleted_by_uid(tmp_path: Path) -> None:
    async with a_server_and_client(tmp_path) as (_, client):
        good, bad = virtual_service("good"), virtual_service("bad", unknown=1)
        nowhere = replace(virtual_service("lost"), key=VIRTUAL_SERVICE.key("nowhere", "lost"))
        nowhere = nowhere.with_metadata(namespace="nowhere")
        refusals = await dry_run(a_plan(creation(good), creation(bad), creation(nowhere)), client)
        assert [refusal.key for refusal in refusals] == [bad.key, nowhere.key]
        assert "unknown" in refusals[0].reason
        assert (await client.list(VIRTUAL_SERVICE)).items == (), "a dry run writes nothing"

        (applied,) = [a async for a in execute(a_plan(creation(good)), client, no_wait)]
        assert applied.error is None
        assert applied.result is not None
        assert applied.result.api_version == VIRTUAL_SERVICE.api_version
        live = applied.result
        other = live.with_metadata(uid="00000000-0000-0000-0000-000000000000")
        for before, deleted in ((other, False), (live, True)):
            change = Change(ChangeKind.DELETE, good.key, before, None)
            (applied,) = [a async for a in execute(a_plan(change), client, no_wait)]
            assert (applied.error is None) is deleted
        assert (await client.list(VIRTUAL_SERVICE)).items == ()


async def test_records_and_statuses_pass_the_schema_of_their_crds_and_come_back_whole(tmp_path: Path) -> None:
    async with a_server_and_client(tmp_path) as (_, client):
        record = RolloutRecord(
            phase=Phase.PROGRESSING,
            source="default/shop",
            progress=12.5,
            started_at=NOW,
            stable=Snapshot(spec=dict(virtual_service("reviews").spec), hash="h"),
            targets=(Target(host="reviews.default.svc.cluster.local", version="v2"),),
        )
        key = VIRTUAL_SERVICE.key("default", "reviews")
        first = await write_record(client, key, record, None)
        assert RolloutRecord.model_validate(first.body["status"]) == record
        assert await write_record(client, key, record, first) is first
        second = await write_record(client, key, record.model_copy(update={"step": 1}), first)
        assert second.resource_version != first.resource_version
        with pytest.raises(StaleWriteError):
            await write_record(client, key, record.model_copy(update={"step": 2}), first)
        stored = await client.get(TRAFFIC_ROLLOUT, "default", "reviews")
        assert stored["status"]["step"] == 1

        source = resource_from_body(
            await client.create(
                TRAFFIC_SOURCE,
                {"metadata": {"namespace": "default", "name": "shop"}, "spec": {"url": "file:///x"}},
            )
        )
        ready = Condition(type="Ready", status="True", reason="Applied", last_transition_time=NOW)
        status = TrafficSourceStatus(conditions=(ready,), inventory=(key.path,))
        written = await write_source_status(client, source, status)
        assert TrafficSourceStatus.model_validate(written.body["status"]) == status
        assert await write_source_status(client, written, status) is written


async def test_events_are_stored_and_counted(tmp_path: Path) -> None:
    async with a_server_and_client(tmp_path) as (_, client):
        live = resource_from_body(await client.apply(VIRTUAL_SERVICE, virtual_service("reviews").body))
        recorder = EventRecorder(client, SystemClock())
        for _ in range(3):
            await recorder.record(live, "Normal", "Healed", "weight set back")
        (event,) = (await client.list(EVENT)).items
        assert event["count"] == 3
        assert event["involvedObject"]["uid"] == live.metadata["uid"]


async def test_a_second_daemon_takes_over_when_the_first_stops(tmp_path: Path) -> None:
    async with a_server_and_client(tmp_path) as (_, client):
        log: list[str] = []

        def work(name: str) -> Callable[[], Awaitable[None]]:
            async def lead() -> None:
                log.append(name)
                await anyio.sleep_forever()

            return lead

        def elector(name: str) -> LeaderElector:
            return LeaderElector(
                client, identity=name, lease=LeaseConfig(namespace="default"), clock=QuickClock()
            )

        async with anyio.create_task_group() as group:
            first = anyio.CancelScope()

            async def run_first() -> None:
                with first:
                    await elector("first").run(work("first"))

            group.start_soon(run_first)
            await until("the first leads", lambda: log == ["first"])
            group.start_soon(elector("second").run, work("second"))
            await anyio.sleep(0.5)
            assert log == ["first"]
            first.cancel()
            await until("the second leads", lambda: log == ["first", "second"])
            group.cancel_scope.cancel()


async def test_a_wrong_token_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with an_api_server(tmp_path) as server:
        text = server.kubeconfig.read_text().replace(server.token, "wrong")
        server.kubeconfig.write_text(text)
        with pytest.raises(ClusterError, match="credentials") as caught:
            await connect(server.kubeconfig, timeout=timedelta(seconds=5), environ={})
        assert not caught.value.retryable
