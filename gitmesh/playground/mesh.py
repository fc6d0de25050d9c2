"""The mesh: watches Services, Pods and Istio objects, and has Envoy serve what they say.

Stage: playground (effect). Level-triggered: an event only wakes the next pass, and each pass starts from
everything that is known. What Envoy does not serve is written into the status of the object and into the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import anyio
import structlog

from gitmesh.engine.clock import Clock, SystemClock
from gitmesh.kube.errors import ClusterError, NotFoundError, StaleWriteError
from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.kube.reflector import EventType, Reflector
from gitmesh.model.kinds import (
    CONFIG_MAP,
    OTHER_NETWORKING_KINDS,
    POD,
    SECRET,
    SERVICE,
    TRAFFIC_KINDS,
    kind_of,
)
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet, resource_from_body
from gitmesh.playground.envoy.dataplane import Addresses, DataPlane
from gitmesh.playground.envoy.errors import EnvoyError, Rejected
from gitmesh.playground.envoy.snapshot import Snapshot
from gitmesh.playground.mesh_refusals import Refusals
from gitmesh.playground.mesh_status import status_with
from gitmesh.playground.system_roots import find_system_roots
from gitmesh.playground.translate import ProxyEntry, Translation, Untranslated, translate
from gitmesh.playground.translate.destinations import age
from gitmesh.playground.translate.memo import Memo

_REPORTED_KINDS = (*TRAFFIC_KINDS, *OTHER_NETWORKING_KINDS)
_KINDS = (SERVICE, POD, SECRET, CONFIG_MAP, *_REPORTED_KINDS)
_RETRY_SECONDS = 0.5
_REPORTED = frozenset((kind.group, kind.kind) for kind in _REPORTED_KINDS)

_log = structlog.get_logger("gitmesh.playground.mesh")


@dataclass(frozen=True, slots=True)
class MeshStats:
    """How the mesh is doing. `restarts` counts how often Envoy came back."""

    passes: int
    seconds_last_pass: float
    objects: int
    refused: int
    untranslated: int
    restarts: int


class Mesh:
    """Keeps the data plane at what the cluster's objects say. `dataplane` must have been entered.

    `async with` starts it and waits until Envoy serves the objects that were there; or await `run()`.
    """

    def __init__(
        self,
        client: ClusterClient,
        dataplane: DataPlane,
        *,
        clock: Clock | None = None,
        client_namespace: str = "default",
        debounce_seconds: float = 0.003,
    ) -> None:
        self._client = client
        self._dataplane = dataplane
        self._clock = clock or SystemClock()
        self._client_namespace = client_namespace
        self._system_roots = find_system_roots()
        self._debounce_seconds = debounce_seconds
        self._objects: dict[ResourceKey, Resource] = {}
        self._refusals = Refusals()
        self._memo = Memo()
        self._untranslated: dict[ResourceKey, tuple[Untranslated, ...]] = {}
        self._traffic_moved = anyio.Event()
        self._report_due = anyio.Event()
        self._ready = anyio.Event()
        self._reported: dict[
            ResourceKey, tuple[object, object]
        ] = {}  # what we said, and what the server kept
        self._proxies: tuple[ProxyEntry, ...] = ()
        self._proxies_changed: Callable[[], None] = lambda: None
        self._passes = 0
        self._seconds_last_pass = 0.0
        self._stack = AsyncExitStack()

    @property
    def addresses(self) -> Addresses:
        """Where the mesh, its gateway, the probe and the metrics are."""
        return self._dataplane.addresses

    def stats(self) -> MeshStats:
        """Return counts and times for people."""
        return MeshStats(
            passes=self._passes,
            seconds_last_pass=self._seconds_last_pass,
            objects=len(self._objects),
            refused=len(self._refusals.reasons()),
            untranslated=sum(map(len, self._untranslated.values())),
            restarts=self._dataplane.process.lives - 1,
        )

    @property
    def proxies(self) -> tuple[ProxyEntry, ...]:
        """The proxies that Envoy serves now."""
        return self._proxies

    def on_proxies(self, call: Callable[[], None]) -> None:
        """Have something called whenever the proxies have changed."""
        self._proxies_changed = call

    async def __aenter__(self) -> Self:
        """Run in the background, and wait for the first pass."""
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            tasks.start_soon(self.run)
            await self.wait_ready()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop following the cluster. Envoy serves on until the data plane is left."""
        await self._stack.aclose()  # without the error, so that it stays what it is: no group around it

    async def wait_ready(self) -> None:
        """Wait until Envoy serves what was in the cluster."""
        await self._ready.wait()

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        reflectors = [Reflector(self._client, k, on_event=self._on_event, clock=self._clock) for k in _KINDS]
        async with anyio.create_task_group() as tasks:
            for reflector in reflectors:
                tasks.start_soon(reflector.run)
            for reflector in reflectors:
                await reflector.wait_synced()
            self._traffic_moved.set()
            tasks.start_soon(self._report_for_ever)
            await self._serve_for_ever()

    def _on_event(self, type_: EventType, key: ResourceKey, body: Body | None) -> None:
        before = self._objects.get(key)
        if type_ == "DELETED":
            self._objects.pop(key, None)
            self._reported.pop(key, None)
        elif body is not None:
            kind = kind_of(key)  # the items of a list may come without kind and apiVersion
            resource = resource_from_body({"apiVersion": kind.api_version, "kind": kind.kind, **body})
            self._objects[key] = resource
            if before is not None and _has_report(key) and _moves_no_traffic(before, resource):
                self._report_due.set()  # a status, perhaps our own: no traffic moves by it
                return
        self._traffic_moved.set()

    async def _serve_for_ever(self) -> None:
        while True:
            await self._traffic_moved.wait()
            await self._clock.sleep(self._debounce_seconds)
            self._traffic_moved = anyio.Event()
            began = self._clock.monotonic()
            try:
                served = await self._serve()
            except EnvoyError as error:
                _log.error("the data plane does not take the traffic's configuration", error=str(error))
                await self._clock.sleep(_RETRY_SECONDS)
                self._traffic_moved.set()
                continue
            self._note(served.untranslated if not self._refusals.reasons() else self._untranslated_now())
            self._passes += 1
            self._note_proxies(served)
            self._seconds_last_pass = self._clock.monotonic() - began
            self._ready.set()
            self._report_due.set()

    def _note_proxies(self, served: Translation) -> None:
        left_out = {name.removeprefix("outbound|") for name in self._dataplane.unheard}
        proxies = tuple(proxy for proxy in served.proxies if proxy.name not in left_out)
        if proxies != self._proxies:
            self._proxies = proxies
            self._proxies_changed()

    async def _serve(self) -> Translation:
        """Have Envoy serve all objects, except for those that it refuses."""
        while True:
            served = self._refusals.effective(self._objects)
            translation = self._translate(served)
            try:
                await self._dataplane.apply(Snapshot.of(translation))
            except Rejected as error:
                guilty = await self._refusals.blame(served, error.reason, self._refuses)
                if not guilty:
                    raise
                for key, reason in self._refusals.reasons().items():
                    if key in guilty:
                        _log.warning("Envoy refuses an object", object=str(key), reason=reason)
                continue
            self._refusals.accept(served)
            return translation

    async def _refuses(self, resources: ResourceSet) -> str:
        translation = self._translate(resources)
        try:
            await self._dataplane.precheck.check_fully(Snapshot.of(translation))
        except Rejected as error:
            return error.reason
        return ""

    def _translate(self, resources: ResourceSet) -> Translation:
        doors = self._dataplane.addresses.doors
        return translate(
            resources,
            doors=doors,
            client_namespace=self._client_namespace,
            system_roots=self._system_roots,
            memo=self._memo,
        )

    def _untranslated_now(self) -> tuple[Untranslated, ...]:
        """Return what is untranslated of the objects as they are, also of those that Envoy refuses."""
        return self._translate(self._objects).untranslated

    def _note(self, untranslated: Iterable[Untranslated]) -> None:
        """Keep what was not translated, by object, and log what is new."""
        found: dict[ResourceKey, tuple[Untranslated, ...]] = {}
        for item in untranslated:
            found[item.key] = (*found.get(item.key, ()), item)
        for key, items in found.items():
            for item in items:
                if item not in self._untranslated.get(key, ()):
                    tell = _log.info if item.is_note else _log.warning
                    tell("not translated", object=str(key), field=item.place, why=item.message)
        self._untranslated = found

    async def _report_for_ever(self) -> None:
        while True:
            await self._report_due.wait()
            self._report_due = anyio.Event()
            for key in [key for key in self._objects if _has_report(key)]:
                try:
                    await self._report(key)
                except (StaleWriteError, NotFoundError):
                    continue  # it has changed: its event wakes us again
                except ClusterError as error:
                    _log.warning("cannot write a status", object=str(key), error=str(error))
                    await self._clock.sleep(_RETRY_SECONDS)
                    self._report_due.set()

    async def _report(self, key: ResourceKey) -> None:
        resource = self._objects.get(key)
        if resource is None or not self._ready.is_set():
            return
        refusal, untranslated = self._refusals.reasons().get(key, ""), self._untranslated.get(key, ())
        live = resource.body.get("status") or {}
        status = status_with(live, untranslated, refusal, self._clock.now())
        # A server that keeps less than we wrote must not be told the same again and again.
        if status is None or self._reported.get(key) == ((refusal, untranslated), live):
            return
        kept = await self._client.replace_status(kind_of(key), {**resource.body, "status": status})
        self._reported[key] = ((refusal, untranslated), kept.get("status") or {})


def _moves_no_traffic(before: Resource, after: Resource) -> bool:
    # The age of an object counts: of two for one host, the older wins.
    return before.spec == after.spec and age(before) == age(after)


def _has_report(key: ResourceKey) -> bool:
    return (key.group, key.kind) in _REPORTED
