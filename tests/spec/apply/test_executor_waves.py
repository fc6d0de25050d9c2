"""A plan is asked about as a whole, and written wave by wave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from gitmesh.apply.executor import CONCURRENT_MAX, Applied, dry_run, execute
from gitmesh.kube.errors import (
    ApplyConflictError,
    ClusterError,
    Conflict,
    NotFoundError,
    RejectedError,
    StaleWriteError,
)
from gitmesh.kube.protocol import Body
from gitmesh.model.kinds import DESTINATION_RULE, VIRTUAL_SERVICE, Kind
from gitmesh.model.plan import Change, ChangeKind, Plan, Wave
from gitmesh.model.resource import Resource, resource_from_body

pytestmark = pytest.mark.anyio


def an_object(kind: Kind, name: str, **metadata: Any) -> Resource:
    return resource_from_body(
        {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"namespace": "default", "name": name, **metadata},
        }
    )


def update(name: str, kind: Kind = VIRTUAL_SERVICE, *, force: bool = False) -> Change:
    after = an_object(kind, name)
    return Change(ChangeKind.UPDATE, after.key, after, after, force=force)


def delete(name: str) -> Change:
    before = an_object(VIRTUAL_SERVICE, name, uid=f"uid-{name}")
    return Change(ChangeKind.DELETE, before.key, before, None)


def a_plan(*waves: tuple[Change, ...]) -> Plan:
    return Plan("default/shop", "abc", tuple(Wave(f"wave {n}", w, n + 1.0) for n, w in enumerate(waves)))


class Cluster:
    """Notes each write; `errors` says which names fail."""

    def __init__(self, **errors: ClusterError) -> None:
        self.errors = errors
        self.log: list[Any] = []
        self.live: dict[str, Any] = {}  # metadata of what is there
        self.running = self.most = 0
        self.before_answer: Callable[[], Any] | None = None

    async def _note(self, name: str, entry: Any) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await anyio.lowlevel.checkpoint()
            if self.before_answer:
                await self.before_answer()
        finally:
            self.running -= 1
        self.log.append(entry)
        if name in self.errors:
            raise self.errors[name]

    async def apply(self, kind: Kind, body: Body, *, force: bool = False, dry_run: bool = False) -> Body:
        name = body["metadata"]["name"]
        await self._note(name, ("apply", name, force, dry_run))
        return {**body, "metadata": {**body["metadata"], "resourceVersion": "9"}}

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        version: str = "",
        dry_run: bool = False,
    ) -> None:
        await self._note(name, ("delete", name, uid, dry_run))

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        return an_object(kind, name, **self.live).body

    async def sleep(self, seconds: float) -> None:
        self.log.append(("sleep", seconds))


async def carried_out(plan: Plan, cluster: Cluster) -> list[Applied]:
    return [applied async for applied in execute(plan, cluster, cluster.sleep)]  # type: ignore[arg-type]


async def test_what_was_undone_before_the_next_wave_ends_the_plan() -> None:
    cluster = Cluster()
    plan = a_plan((update("rule", DESTINATION_RULE),), (update("reviews"),), (update("late"),))

    def stands(written: Resource) -> bool:
        return len(cluster.log) < 3  # it is undone once the second wave is written

    applied = [one async for one in execute(plan, cluster, cluster.sleep, stands)]  # type: ignore[arg-type]
    assert [a.change.key.name for a in applied] == ["rule", "reviews", "rule"]
    assert [a.error is None for a in applied] == [True, True, False]
    assert isinstance(applied[-1].error, StaleWriteError)
    assert "undone by someone else" in str(applied[-1].error)
    assert not any(entry[1] == "late" for entry in cluster.log)


async def test_waves_go_one_after_the_other_with_their_settle_time_between() -> None:
    cluster = Cluster()
    plan = a_plan((update("reviews", DESTINATION_RULE),), (update("reviews", force=True),), (delete("old"),))
    applied = await carried_out(plan, cluster)
    assert cluster.log == [
        ("apply", "reviews", False, False),
        ("sleep", 1.0),
        ("apply", "reviews", True, False),
        ("sleep", 2.0),
        ("delete", "old", "uid-old", False),
    ]
    assert [a.error for a in applied] == [None, None, None]
    assert applied[0].result is not None
    assert applied[0].result.resource_version == "9"
    assert applied[2].result is None


async def test_a_wave_with_an_error_is_finished_and_is_the_last() -> None:
    cluster = Cluster(b=ClusterError("refused", retryable=True))
    applied = await carried_out(a_plan((update("a"), update("b"), update("c")), (update("d"),)), cluster)
    assert [(a.change.key.name, a.error is None) for a in applied] == [("a", True), ("b", False), ("c", True)]


async def test_a_wave_is_written_concurrently_within_a_bound() -> None:
    cluster = Cluster()
    await carried_out(a_plan(tuple(update(f"n{i}") for i in range(30))), cluster)
    assert cluster.most == CONCURRENT_MAX


async def test_a_cancellation_lets_started_writes_land_and_tells_of_them() -> None:
    cluster, landed = Cluster(), []
    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()
        hold = anyio.Event()
        cluster.before_answer = hold.wait

        async def work() -> None:
            with scope:
                changes = tuple(update(f"n{i:02}") for i in range(CONCURRENT_MAX + 3))
                async for applied in execute(a_plan(changes, (update("later"),)), cluster, cluster.sleep):  # type: ignore[arg-type]
                    landed.append(applied.change.key.name)

        group.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert landed == []
        hold.set()
    assert scope.cancelled_caught
    assert landed == [f"n{i:02}" for i in range(CONCURRENT_MAX)]
    assert len(cluster.log) == CONCURRENT_MAX, "nothing new was started"


async def test_a_cancellation_between_waves_starts_no_wave() -> None:
    cluster = Cluster()
    with anyio.move_on_after(0.01):
        async for _ in execute(
            a_plan((update("a"),), (update("b"),)), cluster, lambda _: anyio.sleep_forever()
        ):  # type: ignore[arg-type]
            pass
    assert [entry[1] for entry in cluster.log] == ["a"]


async def test_a_dry_run_collects_every_refusal_and_says_what_to_do() -> None:
    cluster = Cluster(
        a=RejectedError("a: spec.http is wrong", retryable=False, status=422),
        c=ApplyConflictError("c: 1 conflict", (Conflict("kubectl-edit", ".spec.http"),)),
        d=NotFoundError('d: namespaces "x" not found', retryable=False, status=404),
    )
    edited = {"manager": "kubectl-edit", "operation": "Update", "time": "2026-03-02T12:00:00Z"}
    cluster.live = {"managedFields": [edited]}
    plan = a_plan((update("a"), update("b")), (update("c", force=True), delete("d")))
    refusals = await dry_run(plan, cluster)  # type: ignore[arg-type]
    assert [(r.key.name if r.key else "", r.reason) for r in refusals] == [
        ("a", "a: spec.http is wrong"),
        ("c", "fields that Git sets belong to kubectl-edit (Update, since 2026-03-02T12:00:00Z): spec.http"),
        ("d", 'd: namespaces "x" not found'),
    ]
    assert "Git" in refusals[0].hint
    assert "kubectl-edit" in refusals[1].hint
    assert refusals[1].cause == "Conflict"
    assert "namespace" in refusals[2].hint
    assert sorted(cluster.log) == [
        ("apply", "a", False, True),
        ("apply", "b", False, True),
        ("apply", "c", True, True),
        ("delete", "d", "uid-d", True),
    ]


async def test_a_conflict_on_an_object_that_has_changed_meanwhile_is_no_refusal() -> None:
    cluster = Cluster(a=ApplyConflictError("a: 1 conflict", (Conflict("kubectl-edit", ".spec.http"),)))
    cluster.live = {"resourceVersion": "8"}
    before = an_object(VIRTUAL_SERVICE, "a", resourceVersion="7")
    planned = Change(ChangeKind.UPDATE, before.key, before, an_object(VIRTUAL_SERVICE, "a"))
    with pytest.raises(StaleWriteError, match="has changed since the plan was made"):
        await dry_run(a_plan((planned,)), cluster)  # type: ignore[arg-type]


async def test_a_server_that_cannot_be_asked_is_no_refusal() -> None:
    cluster = Cluster(b=ClusterError("connection lost", retryable=True))
    with pytest.raises(ClusterError, match="connection lost"):
        await dry_run(a_plan((update("a"), update("b"))), cluster)  # type: ignore[arg-type]


async def test_an_empty_plan_asks_and_writes_nothing() -> None:
    cluster = Cluster()
    assert await dry_run(a_plan(), cluster) == ()  # type: ignore[arg-type]
    assert await carried_out(a_plan(), cluster) == []
    assert cluster.log == []
