"""A working copy in the playground: what is saved is validated, and live at once.

Stage: playground (effect). What has an error changes nothing; the last good state stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from gitmesh.engine.accept import examine
from gitmesh.engine.clock import Clock
from gitmesh.engine.memory import Examined
from gitmesh.fetch.directory import read_directory
from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.folder_watch import folder_watch
from gitmesh.istio.hosts import service_host
from gitmesh.kube.client import KubeClient
from gitmesh.kube.errors import ClusterError
from gitmesh.kube.protocol import Body
from gitmesh.model.config import GitLimits, ParseLimits
from gitmesh.model.context import Context, ContextPod, services_of
from gitmesh.model.diagnostic import Diagnostic, has_errors
from gitmesh.model.kinds import POD, SERVICE, kind_of
from gitmesh.model.plan import FieldChange
from gitmesh.model.resource import ResourceKey
from gitmesh.model.revision import Revision, SourceFile
from gitmesh.model.source import OWNER_ANNOTATION
from gitmesh.plan.diff import diff
from gitmesh.playground.preview_objects import KINDS, MANAGER, MARK, hints, wanted_objects

_QUIET_SECONDS, _QUIET_SECONDS_MAX = 0.015, 0.15
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Moved:
    """One object that changed: `created`, `changed` (with the fields) or `deleted`."""

    key: ResourceKey
    how: str
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """What became of one state of the working copy.

    `findings` are those of the files; with an error among them (`is_good` false) nothing was changed.
    `problems` are what the API server refused, `hints` what is missing around the objects.
    """

    moved: tuple[Moved, ...] = ()
    findings: tuple[Diagnostic, ...] = ()
    problems: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    seconds: float = 0.0
    is_good: bool = True
    files: dict[str, SourceFile] = field(default_factory=dict, repr=False)


class Preview:
    """Keeps the playground at what a folder says; `on_shown` is told of each state that is news."""

    def __init__(
        self,
        client: KubeClient,
        path: Path,
        *,
        on_shown: Callable[[Shown], None],
        clock: Clock,
        default_namespace: str = "default",
    ) -> None:
        self._client = client
        self._path = path
        self._on_shown = on_shown
        self._clock = clock
        self._namespace = default_namespace
        self._examined: Examined | None = None
        self._live: dict[ResourceKey, Body] = {}  # what we applied
        self._owners: dict[ResourceKey, str] = {}  # of objects that a TrafficSource keeps
        self._last: Shown | None = None
        self._moved = anyio.Event()

    async def run(self) -> None:
        """Follow the folder until cancelled. Raises FetchError when it cannot be watched."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(self._wake)

        with folder_watch(self._path, wake):
            await self._look_around()
            while True:
                done = await self.follow()
                with nullcontext() if done else anyio.move_on_after(_RETRY_SECONDS):
                    await self._settled()

    def _wake(self) -> None:
        self._moved.set()

    async def _settled(self) -> None:
        """Wait for a change, and until nothing was written for a moment: editors save in several steps."""
        await self._moved.wait()
        with anyio.move_on_after(_QUIET_SECONDS_MAX):
            while self._moved.is_set():
                self._moved = anyio.Event()
                await self._clock.sleep(_QUIET_SECONDS)

    async def follow(self) -> bool:
        """Read the folder once and make it live; say whether all of it could be done."""
        began = self._clock.monotonic()
        try:
            read = partial(self._read, await self._context())
            revision, examined = await to_thread.run_sync(read)
        except (FetchError, ClusterError) as error:
            self._tell(Shown(problems=(str(error),), is_good=False))
            return isinstance(error, FetchError)
        self._examined = examined
        findings = tuple(found for found in examined.findings if not found.suppressed)
        if has_errors(findings):
            self._tell(Shown(findings=findings, is_good=False, files=dict(revision.files)))
            return True
        wanted = wanted_objects(examined.parsed.resources, examined.parsed.others)
        moved, problems = await self._make(wanted)
        seconds = self._clock.monotonic() - began
        self._tell(Shown(moved, findings, problems, await self._hints(), seconds, files=dict(revision.files)))
        return not problems

    async def _context(self) -> Context:
        """Return which Services and Pods there are: those of a working copy are seldom all."""
        services = [_place(body) for body in (await self._client.list(SERVICE)).items]
        pods = tuple(
            ContextPod(*_place(body), body["metadata"].get("labels") or {})
            for body in (await self._client.list(POD)).items
        )
        hosts = [service_host(name, namespace) for namespace, name in services]
        return Context(services=services_of(hosts), pods=pods, advisory=True)

    def _read(self, context: Context) -> tuple[Revision, Examined]:
        revision = read_directory(self._path, GitLimits())
        examined = examine(
            revision,
            default_namespace=self._namespace,
            limits=ParseLimits(),
            context=context,
            previous=self._examined,
        )
        return revision, examined

    async def _look_around(self) -> None:
        """Find what an earlier preview left in the playground, and what a TrafficSource keeps."""
        for kind in KINDS:
            for body in (await self._client.list(kind)).items:
                metadata = body["metadata"]
                key = kind.key(*_place(body))
                if owner := (metadata.get("annotations") or {}).get(OWNER_ANNOTATION):
                    self._owners[key] = str(owner)
                elif MARK in (metadata.get("labels") or {}):
                    self._live[key] = {}  # there, in whatever form

    async def _make(self, wanted: dict[ResourceKey, Body]) -> tuple[tuple[Moved, ...], tuple[str, ...]]:
        """Apply what differs and delete what left; what is refused is told and tried again."""
        moved: list[Moved] = []
        problems: list[str] = []
        order = {(kind.group, kind.kind): place for place, kind in enumerate(KINDS)}
        for key in sorted(wanted, key=lambda key: (order[key.group, key.kind], key)):
            before, body = self._live.get(key), wanted[key]
            if before == body:
                continue
            if owner := self._owners.get(key):
                problems.append(f"{key} is kept by the TrafficSource {owner}: delete that one to preview it")
                continue
            try:
                await self._client.apply(kind_of(key), body, force=True, manager=MANAGER)
            except ClusterError as error:
                problems.append(str(error))
                continue
            self._live[key] = body
            if before is None:
                moved.append(Moved(key, "created"))
            elif before:
                moved.append(Moved(key, "changed", diff(before, body)))
        gone = [key for key in self._live if key not in wanted]
        for key in sorted(gone, key=lambda key: (order[key.group, key.kind], key), reverse=True):
            try:
                await self._client.delete(kind_of(key), key.namespace, key.name)
            except ClusterError as error:
                problems.append(str(error))
                continue
            del self._live[key]
            moved.append(Moved(key, "deleted"))
        return tuple(moved), tuple(problems)

    async def _hints(self) -> tuple[str, ...]:
        assert self._examined is not None
        try:
            services, pods = await self._client.list(SERVICE), await self._client.list(POD)
        except ClusterError:
            return ()
        return tuple(hints(self._examined.parsed.resources, services.items, pods.items))

    def _tell(self, shown: Shown) -> None:
        """Tell what is news: an event that changed nothing is none."""
        last, self._last = self._last, shown
        same = last is not None and (last.findings, last.problems, last.hints, last.is_good) == (
            shown.findings,
            shown.problems,
            shown.hints,
            shown.is_good,
        )
        if shown.moved or not same:
            self._on_shown(shown)


def _place(body: Body) -> tuple[str, str]:
    metadata = body["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])
