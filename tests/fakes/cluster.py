"""A cluster in memory that satisfies `ClusterClient`, with time to move and faults to order.

It is the API machinery of the playground without HTTP, so both keep the same rules; `tests/contract` holds
it to the behaviour of the real process. A fault is chosen for each request by `faults`, a function.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any

import anyio
import orjson

from gitmesh.kube.errors import ClusterError
from gitmesh.kube.protocol import Body, Listing, WatchEvent
from gitmesh.kube.status import error_of
from gitmesh.model.kinds import Kind
from gitmesh.model.resource import resource_from_body
from gitmesh.model.source import FIELD_MANAGER
from gitmesh.playground.apiserver import deletes, preinstalled, reads, watches, writes
from gitmesh.playground.apiserver.cluster import Cluster
from gitmesh.playground.apiserver.core_kinds import CORE_KINDS
from gitmesh.playground.apiserver.definitions import served_kind
from gitmesh.playground.apiserver.failures import ApiError, no_such_path
from gitmesh.playground.apiserver.kinds import ServedKind, Target
from gitmesh.playground.apiserver.limits import ApiLimits
from gitmesh.playground.apiserver.registry import Registry
from gitmesh.playground.apiserver.store import Store
from gitmesh.playground.apiserver.writes import APPLY_PATCH, MERGE_PATCH, WriteOptions

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Fault(Enum):
    """What can go wrong with one request."""

    REQUEST_LOST = "the request never arrives"
    ANSWER_LOST = "the request is carried out, its answer is lost"
    STALE = "409, as if someone else had written in between"
    EXPIRED = "410, for a watch"
    THROTTLED = "429, the server asks for less"
    BROKEN = "500, and nothing was done"
    DOUBLED = "the request is carried out, and a moment later once more"


@dataclass(frozen=True, slots=True)
class Delay:
    """The request waits before it is carried out."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Late:
    """The request is carried out after this time, also when its sender has gone meanwhile."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the client. `verb` is the name of the method."""

    verb: str
    kind: str
    namespace: str = ""
    name: str = ""
    dry_run: bool = False

    @property
    def writes(self) -> bool:
        return self.verb not in ("list", "watch", "get") and not self.dry_run

    def __str__(self) -> str:
        return f"{self.verb} {self.kind} {self.namespace}/{self.name}"


Faults = Callable[[Request], Fault | Delay | Late | None]


@cache
def _kinds() -> tuple[ServedKind, ...]:
    return (*CORE_KINDS, *(served_kind(body) for body in preinstalled.definitions()))


class FakeCluster:
    """Satisfies `ClusterClient`. `requests` holds every call in order."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = lambda: EPOCH,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        limits: ApiLimits | None = None,
    ) -> None:
        limits = limits or ApiLimits()
        numbers = itertools.count(1)
        self.api = Cluster(
            Store(":memory:", limits, first_revision=1000),
            Registry(_kinds()),
            now,
            anyio.current_time,
            limits,
            lambda: f"00000000-0000-4000-8000-{next(numbers):012}",
        )
        self.faults: Faults = lambda request: None
        self.requests: list[Request] = []
        self._sleep = sleep
        self._late: set[asyncio.Task[Any]] = set()
        self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})

    # What a test does behind the client's back

    def put(self, body: Body, *, manager: str = "kubectl") -> Body:
        """Write an object as another manager, whatever is there and whoever owns it."""
        target = self._target_of(body)
        options = WriteOptions(manager=manager, force=True)
        return _copy(writes.patch(self.api, target, APPLY_PATCH, _copy(body), options).body)

    def edit(self, kind: Kind, namespace: str, name: str, patch: Body, *, manager: str = "kubectl") -> None:
        """Change an object by a merge patch, as another manager."""
        target = self._target(kind, namespace, name)
        writes.patch(self.api, target, MERGE_PATCH, _copy(patch), WriteOptions(manager=manager))

    def put_status(self, body: Body, *, manager: str = "kubectl") -> Body:
        """Write the status of an object as another manager."""
        plain = self._target_of(body)
        target = Target(plain.kind, plain.version, plain.namespace, plain.name, "status")
        options = WriteOptions(manager=manager, force=True)
        return _copy(writes.patch(self.api, target, APPLY_PATCH, _copy(body), options).body)

    def store(self, body: Body) -> None:
        """Keep an object as it is given: a server with another definition would let it in."""
        target = self._target_of(body)
        self.api.store.put(target.kind.resource, target.namespace, target.name, _copy(body))

    def take(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete an object."""
        deletes.delete(self.api, self._target(kind, namespace, name), deletes.DeleteOptions())

    def find(self, kind: Kind, namespace: str, name: str) -> Body | None:
        """Return an object as stored, or None. Not a request."""
        served = self._served(kind)
        live = self.api.store.get(served.resource, namespace, name)
        return None if live is None else served.as_version(live, kind.version)

    def all(self, kind: Kind, namespace: str = "") -> list[Body]:
        """Return all objects of a kind. Not a request."""
        served = self._served(kind)
        return [served.as_version(b, kind.version) for b in self.api.store.all(served.resource, namespace)]

    def expire_watches(self) -> None:
        """Forget the history: who has not seen everything must list again."""
        self.api.store.forget_history()
        self.api.store.wake_all()

    # ClusterClient

    async def list(self, kind: Kind, *, namespace: str = "", page_size: int = 500) -> Listing:
        request = Request("list", kind.kind, namespace)

        def work() -> Listing:
            page = reads.list_page(self.api, self._target(kind, namespace), reads.ListOptions())
            return Listing(tuple(page.items), str(page.revision))

        return await self._do(request, work)

    async def watch(
        self,
        kind: Kind,
        *,
        resource_version: str,
        namespace: str = "",
        name: str = "",
        timeout_seconds: int = 300,
    ) -> AsyncIterator[WatchEvent]:
        request = Request("watch", kind.kind, namespace, name)
        target = await self._do(request, lambda: self._target(kind, namespace))
        fields = f"metadata.name={name}" if name else ""
        listed = reads.ListOptions(resource_version=resource_version, field_selector=fields)
        options = watches.WatchOptions(listed, bookmarks=True, timeout_seconds=timeout_seconds)
        yield WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": resource_version}})
        async with aclosing(watches.watch(self.api, target, options)) as events:
            async for type_, body in events:
                if type_ == "ERROR":
                    raise error_of(str(request), body["code"], body["reason"], body)
                yield WatchEvent(type_, _copy(body))  # type: ignore[arg-type]  # ERROR is dealt with

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        request = Request("get", kind.kind, namespace, name)
        return await self._do(request, lambda: reads.get(self.api, self._target(kind, namespace, name)))

    async def apply(self, kind: Kind, body: Body, *, force: bool = False, dry_run: bool = False) -> Body:
        def work(target: Target, given: Body, options: WriteOptions) -> Body:
            return writes.patch(self.api, target, APPLY_PATCH, given, options).body

        return await self._write("apply", kind, body, work, force=force, dry_run=dry_run)

    async def create(self, kind: Kind, body: Body) -> Body:
        return await self._write(
            "create",
            kind,
            body,
            lambda target, given, options: writes.create(self.api, target, given, options).body,
        )

    async def replace(self, kind: Kind, body: Body) -> Body:
        return await self._write(
            "replace",
            kind,
            body,
            lambda target, given, options: writes.update(self.api, target, given, options).body,
        )

    async def replace_status(self, kind: Kind, body: Body) -> Body:
        def work(target: Target, given: Body, options: WriteOptions) -> Body:
            status = Target(target.kind, target.version, target.namespace, target.name, "status")
            return writes.update(self.api, status, given, options).body

        return await self._write("replace_status", kind, body, work)

    async def merge_patch(self, kind: Kind, namespace: str, name: str, patch: Body) -> Body:
        request = Request("merge_patch", kind.kind, namespace, name)

        def work() -> Body:
            target = self._target(kind, namespace, name)
            done = writes.patch(self.api, target, MERGE_PATCH, _copy(patch), _options())
            return target.kind.as_version(done.body, kind.version)

        return await self._do(request, work)

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
        request = Request("delete", kind.kind, namespace, name, dry_run)

        def work() -> None:
            options = deletes.DeleteOptions(uid=uid, resource_version=version, dry_run=dry_run)
            try:
                deletes.delete(self.api, self._target(kind, namespace, name), options)
            except ApiError as error:
                if error.code != 404:
                    raise

        await self._do(request, work)

    async def close(self) -> None:
        return None

    # How it is done

    async def _write(
        self,
        verb: str,
        kind: Kind,
        body: Body,
        work: Callable[[Target, Any, WriteOptions], Body],
        *,
        force: bool = False,
        dry_run: bool = False,
    ) -> Body:
        metadata = body.get("metadata") or {}
        namespace, name = str(metadata.get("namespace", "")), str(metadata.get("name", ""))
        given = {**_copy(body), "apiVersion": kind.api_version, "kind": kind.kind}

        request = Request(verb, kind.kind, namespace, name, dry_run)

        def write() -> Body:
            target = self._target(kind, namespace, name)
            try:
                done = work(target, given, _options(force=force, dry_run=dry_run))
            except ApiError as error:
                raise error_of(str(request), error.code, error.reason, error.status(), given) from error
            return target.kind.as_version(done, kind.version)

        return await self._do(request, write)

    async def _do(self, request: Request, work: Callable[[], Any]) -> Any:
        self.requests.append(request)
        fault = self.faults(request)
        if isinstance(fault, Delay):
            await self._sleep(fault.seconds)
        else:
            await anyio.lowlevel.checkpoint()
        if fault is Fault.REQUEST_LOST:
            raise ClusterError(f"{request}: connection reset", retryable=True)
        if fault is Fault.STALE:
            raise error_of(
                str(request), 409, "Conflict", {"kind": "Status", "message": "the object has been modified"}
            )
        if fault is Fault.EXPIRED:
            raise error_of(
                str(request), 410, "Expired", {"kind": "Status", "message": "too old resource version"}
            )
        if fault is Fault.THROTTLED:
            raise error_of(str(request), 429, "Too Many Requests", {})
        if fault is Fault.BROKEN:
            raise error_of(str(request), 500, "Internal Server Error", {})
        try:
            result = await self._later(fault.seconds, work) if isinstance(fault, Late) else work()
        except ApiError as error:
            raise error_of(str(request), error.code, error.reason, error.status()) from error
        if fault is Fault.ANSWER_LOST:
            raise ClusterError(f"{request}: connection reset", retryable=True)
        if fault is Fault.DOUBLED:
            self._start_later(0.4, work)
        return _copy(result) if isinstance(result, dict) else result

    async def _later(self, seconds: float, work: Callable[[], Any]) -> Any:
        return await asyncio.shield(self._start_later(seconds, work))

    def _start_later(self, seconds: float, work: Callable[[], Any]) -> asyncio.Task[Any]:
        async def carry_out() -> Any:
            await self._sleep(seconds)
            return work()

        task = asyncio.ensure_future(carry_out())
        self._late.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(lambda done: self._late.discard(done) or done.cancelled() or done.exception())
        return task

    def _served(self, kind: Kind) -> ServedKind:
        served = self.api.registry.find(kind.group, kind.version, kind.plural)
        if served is None:
            raise no_such_path()
        return served

    def _target(self, kind: Kind, namespace: str = "", name: str = "") -> Target:
        return Target(self._served(kind), kind.version, namespace if kind.namespaced else "", name)

    def _target_of(self, body: Body) -> Target:
        key = resource_from_body(body).key
        served = self.api.registry.by_kind(key.group, key.kind)
        assert served, f"{key} is of a kind that the fake does not serve"
        version = str(body["apiVersion"]).rpartition("/")[2]
        return Target(served, version, key.namespace if served.namespaced else "", key.name)


def _options(*, force: bool = False, dry_run: bool = False) -> WriteOptions:
    return WriteOptions(manager=FIELD_MANAGER, dry_run=dry_run, validation="Strict", force=force)


def _copy(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy, as the wire would make one: neither side can change what the other holds."""
    copied: dict[str, Any] = orjson.loads(orjson.dumps(body))
    return copied


def a_cluster(*bodies: Body, now: Callable[[], datetime] = lambda: EPOCH) -> FakeCluster:
    """Return a cluster that holds the given objects, and the namespaces that they need."""
    cluster = FakeCluster(now=now)
    for body in bodies:
        namespace = (body.get("metadata") or {}).get("namespace")
        if namespace and cluster.api.store.get("namespaces", "", namespace) is None:
            cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        cluster.put(body)
    return cluster
