"""When things happen: wakes passes, fetches and checks, and never decides anything itself.

Stage: engine (shell). Three tasks run side by side: passes (the single writer), fetches, and the guard. Each
turn of one is a short method that a simulation can call by itself, with its own clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import anyio

from gitmesh.apply.records import write_source_status
from gitmesh.decide.schedule import next_wake
from gitmesh.engine.fetcher import Fetcher
from gitmesh.engine.guard import Guard
from gitmesh.engine.memory import Memory
from gitmesh.engine.ports import Ports
from gitmesh.engine.reconciler import Reconciler, retry_delay
from gitmesh.engine.report import PassReport, Source, read_source
from gitmesh.engine.status import invalid_status
from gitmesh.kube.errors import ClusterError
from gitmesh.model.config import Config
from gitmesh.model.kinds import TRAFFIC_SOURCE
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.source import SYNC_ANNOTATION


class Daemon:
    """Follows every TrafficSource that it sees."""

    def __init__(self, ports: Ports, config: Config) -> None:
        self._ports = ports
        self._config = config
        self.memory = Memory()
        self.fetcher = Fetcher(ports, config)
        self.guard = Guard(ports, self.memory)
        self.reconciler = Reconciler(ports, config)
        self._pass_wanted = anyio.Event()
        self._check_wanted = anyio.Event()
        self._fetch_wanted = anyio.Event()
        self._fetches_due: set[ResourceKey] = set()
        self._fetching: set[ResourceKey] = set()
        self._known: dict[ResourceKey, tuple[str, str, str, timedelta]] = {}
        self.passes = 0
        self.watch_repository: Callable[[str], bool] = lambda url: False

    # What wakes the daemon -------------------------------------------------------------------------------

    def wake(self) -> None:
        """Ask for a pass soon."""
        self._pass_wanted.set()

    def want_fetch(self, key: ResourceKey) -> None:
        """Ask for a fetch of one source now."""
        self._fetches_due.add(key)
        self._fetch_wanted.set()

    def repository_changed(self) -> None:
        """Ask for a fetch of every source: a repository on this machine has moved."""
        for source in self.sources():
            self.want_fetch(source.resource.key)

    def live_changed(self, key: ResourceKey) -> None:
        """Take note that the cluster has changed."""
        if key.kind == TRAFFIC_SOURCE.kind:
            self._source_changed(key)
        self.wake()

    def _source_changed(self, key: ResourceKey) -> None:
        resource = self._ports.live.snapshot().sources.get(key)
        source = read_source(resource) if resource else None
        if not isinstance(source, Source):
            self._known.pop(key, None)
            self._ports.alarms.cancel(f"poll {key}")
            return
        spec = source.spec
        known = (spec.url, spec.branch, spec.path, spec.interval)
        if self._known.get(key) != known:
            self._known[key] = known
            self.watch_repository(spec.url)
            self._ports.alarms.every(f"poll {key}", spec.interval, lambda: self.want_fetch(key))
            self.want_fetch(key)
        wanted = source.resource.annotations.get(SYNC_ANNOTATION, "")
        if wanted and wanted not in (source.status.last_handled_sync, self.memory.of(key).handled_sync):
            self.want_fetch(key)

    # The three tasks -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled."""
        for key in self._ports.live.snapshot().sources:
            self._source_changed(key)
        self.wake()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._pass_loop)
                group.start_soon(self._guard_loop)
                await self._fetch_loop(group)
        finally:
            await self.fetcher.close()

    async def _pass_loop(self) -> None:
        while True:
            await self._pass_wanted.wait()
            # One commit or one kubectl apply is often several events: take them together.
            await self._ports.clock.sleep(self._config.debounce.total_seconds())
            self._pass_wanted = anyio.Event()
            await self.pass_all()

    async def _guard_loop(self) -> None:
        while True:
            await self._check_wanted.wait()
            self._check_wanted = anyio.Event()
            await self.check()

    async def _fetch_loop(self, group: anyio.abc.TaskGroup) -> None:
        while True:
            await self._fetch_wanted.wait()
            self._fetch_wanted = anyio.Event()
            for source in self.sources():
                if source.resource.key in self._fetches_due - self._fetching:
                    self._fetches_due.discard(source.resource.key)
                    self._fetching.add(source.resource.key)
                    group.start_soon(self.fetch, source)

    # One turn of each ------------------------------------------------------------------------------------

    async def fetch(self, source: Source) -> None:
        """Fetch one source, and pass when there is news."""
        key, memory = source.resource.key, self.memory.of(source.resource.key)
        before = (memory.fetched, memory.fetch_error, memory.handled_sync, memory.desired)
        try:
            again = await self.fetcher.fetch(source, memory)
        except Exception:
            self._ports.log.exception("fetch failed unexpectedly", stage="fetch", source=source.name)
            again = source.spec.interval
        finally:
            self._fetching.discard(key)
        self._ports.meters.fetches.labels("success" if again is None else "failure").inc()
        if again is not None:
            self._ports.alarms.at(
                f"refetch {key}", self._ports.clock.now() + again, lambda: self.want_fetch(key)
            )
        if (memory.fetched, memory.fetch_error, memory.handled_sync, memory.desired) != before:
            self.wake()
        if key in self._fetches_due:
            self._fetch_wanted.set()

    async def check(self) -> None:
        """Measure what is due; a failure stops whatever pass is moving forward."""
        if await self.guard.check(list(self.sources())):
            self.reconciler.preempt()
        self.wake()

    async def pass_all(self) -> None:
        """Run one pass over each source, then set the alarms."""
        self.passes += 1
        present = self._ports.live.snapshot().sources
        for key in self.memory.sources.keys() - present.keys():
            del self.memory.sources[key]
            await self.fetcher.forget(key)
        for key in sorted(present):
            source = read_source(present[key])
            if isinstance(source, Source):
                await self._pass_one(source)
            else:
                await self._report_invalid(present[key], source)
        self._arm_guard()

    async def _pass_one(self, source: Source) -> None:
        key, memory = source.resource.key, self.memory.of(source.resource.key)
        log = self._ports.log.bind(stage="engine", source=source.name)
        report = PassReport(errors=["the pass took too long"])
        began = self._ports.clock.monotonic()
        try:
            with anyio.move_on_after(self._config.pass_timeout.total_seconds()):
                report = await self.reconciler.run_pass(source, memory)
        except Exception as error:  # one source must never stop the others
            log.exception("pass failed unexpectedly")
            report = PassReport(errors=[f"{type(error).__name__}: {error}"])
        if report.errors:
            log.warning("pass incomplete", errors=report.errors[:5], count=len(report.errors))
        self._ports.meters.pass_seconds.observe(self._ports.clock.monotonic() - began)
        self._ports.meters.passes.labels("complete" if report.complete else "incomplete").inc()
        delay = retry_delay(report, memory.failures)
        memory.failures = memory.failures + 1 if report.errors else 0
        self._arm_pass(key, report, delay)

    def _arm_pass(self, key: ResourceKey, report: PassReport, delay: timedelta | None) -> None:
        now = self._ports.clock.now()
        wakes = [next_wake(item.after, now) for item in report.moved]
        moments = [moment for moment in wakes if moment is not None]
        if delay is not None:
            moments.append(now + delay)
        if moments:
            self._ports.alarms.at(f"pass {key}", min(moments), self.wake)
        else:
            self._ports.alarms.cancel(f"pass {key}")

    def _arm_guard(self) -> None:
        due = self.guard.next_due(list(self.sources()))
        if due is None:
            self._ports.alarms.cancel("guard")
        else:
            self._ports.alarms.at("guard", due, self._check_wanted_now)

    def _check_wanted_now(self) -> None:
        self._check_wanted.set()

    async def _report_invalid(self, resource: Resource, problem: str) -> None:
        status = invalid_status(resource, problem, self._ports.clock.now())
        try:
            stored = await write_source_status(self._ports.cluster, resource, status)
            self._ports.live.absorb(stored.body)
        except ClusterError as error:
            self._ports.log.warning("status not written", source=str(resource.key), error=str(error))

    def sources(self) -> Iterator[Source]:
        """Yield the sources whose specs make sense, in a fixed order."""
        present = self._ports.live.snapshot().sources
        for key in sorted(present):
            source = read_source(present[key])
            if isinstance(source, Source):
                yield source
