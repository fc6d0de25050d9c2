"""When things happen: wakes passes, fetches and checks, and never decides anything itself.

Stage: engine (shell). Four tasks run side by side: passes (the single writer), fetches, the guard, and
who asks the hooks of gates. Each turn of one is a short method that a simulation can call by itself, with
its own clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import anyio

from gitmesh.decide.schedule import next_wake
from gitmesh.engine.clock import watch_steps
from gitmesh.engine.contests import next_look_seconds
from gitmesh.engine.counting import count
from gitmesh.engine.dependencies import Lookout, in_order
from gitmesh.engine.effects import Verifier
from gitmesh.engine.fetcher import Fetcher, asks_for
from gitmesh.engine.gates import Gatekeeper, Question
from gitmesh.engine.guard import Guard, Measurable
from gitmesh.engine.handover import Handover
from gitmesh.engine.invalid import report_invalid
from gitmesh.engine.leaving import Leaver, deleted_at, takes_along
from gitmesh.engine.limits import Alive, within_limits
from gitmesh.engine.memory import Memory
from gitmesh.engine.moving import lets_others_go
from gitmesh.engine.ports import Ports
from gitmesh.engine.reconciler import Reconciler
from gitmesh.engine.report import PassReport, Source, guarded_source, read_source
from gitmesh.engine.requests import asked_back
from gitmesh.engine.retries import ROLLBACK_RETRY, retry_delay
from gitmesh.engine.reverts import Job, Reverter
from gitmesh.engine.shards import guarded_sources, our_sources, ours
from gitmesh.model.config import Config
from gitmesh.model.kinds import TRAFFIC_SOURCE
from gitmesh.model.resource import ResourceKey
from gitmesh.model.rollout import Outcome
from gitmesh.model.source import SYNC_ANNOTATION

SETTLE_PART_SECONDS = 0.25  # how soon a rollback is noticed while a wave settles


class Daemon:
    """Follows every TrafficSource that it sees."""

    def __init__(self, ports: Ports, config: Config) -> None:
        self._ports = ports
        self._config = config
        self.memory = Memory()
        self.fetcher = Fetcher(ports, config)
        self.lookout = Lookout(self.memory, self.want_fetch)
        self.guard = Guard(ports, self.memory, config)
        self.gatekeeper = Gatekeeper(ports, self.memory)
        self.verifier = Verifier(ports, self.memory, config)
        self.reconciler = Reconciler(ports, config, self._settle)
        self.leaver = Leaver(ports, config, self._settle)
        self.handover = Handover(ports, config.lease)
        self._pass_wanted = anyio.Event()
        self._check_wanted = anyio.Event()
        self._fetch_wanted = anyio.Event()
        self.reverter = Reverter(ports, self.memory, config)
        self._gate_wanted = anyio.Event()
        self._revert_wanted = anyio.Event()
        self._fetches_due: set[ResourceKey] = set()
        self._fetching: set[ResourceKey] = set()
        self._rollback_wanted = anyio.Event()
        self._rollbacks_due: set[ResourceKey] = set()
        self._settling = False
        self._known: dict[ResourceKey, object] = {}  # what each source asks of its repository
        self.passes = 0
        self.watch_repository: Callable[[str], bool] = lambda url: False

    def configure(self, config: Config) -> None:
        """Go by other settings from now on. What is under way ends by those that it began with."""
        again, limits = config.resync != self._config.resync, config.parse != self._config.parse
        self._config = config
        for memory in self.memory.sources.values() if limits else ():
            memory.judged = memory.examined = None  # by other limits a revision may be judged otherwise
        for part in (self.fetcher, self.guard, self.reconciler, self.reverter, self.verifier):
            part.configure(config)
        self.leaver = Leaver(self._ports, config, self._settle)
        if again:
            self._ports.alarms.every("resync", config.resync, self.wake)
        self.wake()

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
        for source in our_sources(self._ports):
            self.want_fetch(source.resource.key)

    def live_changed(self, key: ResourceKey) -> None:
        """Take note that the cluster has changed."""
        if key.kind == TRAFFIC_SOURCE.kind:
            self._source_changed(key)
        going_back = asked_back(key, self._ports.live.get)
        if going_back is not None:
            self._make_way(going_back)
        self.wake()

    def _source_changed(self, key: ResourceKey) -> None:
        resource = ours(self._ports).get(key)
        self.reconciler.source_changed(key, resource)
        source = read_source(resource) if resource else None
        if not isinstance(source, Source):
            self._known.pop(key, None)
            self._ports.alarms.cancel(f"poll {key}")
            return
        known = asks_for(source)
        if self._known.get(key) != known:
            self._known[key] = known
            self.watch_repository(source.spec.url)
            self.want_fetch(key)
        wanted = source.resource.annotations.get(SYNC_ANNOTATION, "")
        if wanted and wanted not in (source.status.last_handled_sync, self.memory.of(key).handled_sync):
            self.want_fetch(key)

    # The three tasks -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled. Begins with an empty memory: another replica may have led meanwhile."""
        self.memory.sources.clear()
        if self._ports.notices is not None:
            self._ports.notices.begin()
        for part in (self.guard, self.gatekeeper, self.reverter):
            part.forget()
        self._known.clear()
        for key in ours(self._ports):
            self._source_changed(key)
        # Nothing is lost by looking again now and then, and whatever was missed is found.
        self._ports.alarms.every("resync", self._config.resync, self.wake)
        self.wake()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._pass_loop)
                group.start_soon(self._rollback_loop, group)
                group.start_soon(self._guard_loop, group)
                group.start_soon(self._gate_loop, group)
                group.start_soon(self._revert_loop, group)
                group.start_soon(watch_steps, self._ports.clock, self._ports.alarms.ring_all)
                group.start_soon(self.verifier.run, self.wake)
                group.start_soon(self.reconciler.ground.run, self.memory, self.wake)
                await self._fetch_loop(group)
        finally:
            self.reconciler.gauges.clear()
            await self.fetcher.close()

    async def _pass_loop(self) -> None:
        while True:
            await self._pass_wanted.wait()
            # One commit or one kubectl apply is often several events: take them together.
            await self._ports.clock.sleep(self._config.debounce.total_seconds())
            self._pass_wanted = anyio.Event()
            await self.pass_all()

    async def _guard_loop(self, group: anyio.abc.TaskGroup) -> None:
        while True:
            self._check_wanted = anyio.Event()
            turn = self.guard.turn(guarded_sources(self._ports))
            if turn.new:
                group.start_soon(self.guard.prepare, turn.new)
            for item in turn.due:
                group.start_soon(self.check, item)
            if turn.again is None:
                self._ports.alarms.cancel("guard")
            else:
                self._ports.alarms.at("guard", turn.again, self._check_wanted_now)
            await self._check_wanted.wait()
            # A turn looks at every rollout. With many of them some check ends at any moment.
            await self._ports.clock.sleep(self._config.debounce.total_seconds())

    async def _gate_loop(self, group: anyio.abc.TaskGroup) -> None:
        while True:
            await self._gate_wanted.wait()
            self._gate_wanted = anyio.Event()
            for question in self.gatekeeper.take():
                group.start_soon(self._ask, question)

    async def _revert_loop(self, group: anyio.abc.TaskGroup) -> None:
        while True:
            await self._revert_wanted.wait()
            self._revert_wanted = anyio.Event()
            for job in self.reverter.take():
                group.start_soon(self._revert, job)

    async def _fetch_loop(self, group: anyio.abc.TaskGroup) -> None:
        while True:
            await self._fetch_wanted.wait()
            self._fetch_wanted = anyio.Event()
            for source in our_sources(self._ports):
                if source.resource.key in self._fetches_due - self._fetching:
                    self._fetches_due.discard(source.resource.key)
                    self._fetching.add(source.resource.key)
                    group.start_soon(self.fetch, source)

    # One turn of each ------------------------------------------------------------------------------------

    async def fetch(self, source: Source) -> None:
        """Fetch one source, and pass when there is news."""
        key, memory = source.resource.key, self.memory.of(source.resource.key)
        before = memory.news_of_git
        try:
            if await self.fetcher.restore(source, memory):
                self.wake()  # an unreachable remote may keep us waiting for long
            again = await self.fetcher.fetch(source, memory)
        except Exception as error:
            self._ports.log.exception("fetch failed unexpectedly", stage="fetch", source=source.name)
            memory.fetch_error, again = f"{type(error).__name__}: {error}", source.spec.interval
        finally:
            self._fetching.discard(key)
        self._ports.meters.fetches.labels("failure" if memory.fetch_error else "success").inc()
        if key in self._known:
            self._ports.alarms.every(f"poll {key}", again, lambda: self.want_fetch(key))
        if memory.news_of_git != before or self.lookout.is_awaited(key):
            self.wake()
        if key in self._fetches_due:
            self._fetch_wanted.set()

    async def check(self, item: Measurable) -> None:
        """Measure one rollout; a failure stops what must not go on."""
        verdict = await self.guard.check(item)
        if verdict.outcome is Outcome.FAIL:
            self._make_way(item.source)
        self.wake()
        self._check_wanted.set()

    async def _ask(self, question: Question) -> None:
        """Ask one hook whether a rollout may go on, and pass with the answer."""
        await self.gatekeeper.ask(question)
        self.wake()

    async def _revert(self, job: Job) -> None:
        """Make one revert commit; whatever became of it, the next pass writes it down."""
        key = job.source.resource.key
        again = await self.reverter.work(job, self.fetcher.repository(job.source))
        self.want_fetch(key)
        if again is not None:
            self._ports.alarms.at(f"revert {job.name}", self._ports.clock.now() + again, self.wake)
        self.wake()

    def _make_way(self, source: ResourceKey) -> None:
        """Stop a pass that may give the failing version more, or that a rollback would have to wait for."""
        self._rollbacks_due.add(source)
        self._rollback_wanted.set()
        if self.reconciler.moving == source or not self._settling:
            self.reconciler.preempt()

    async def pass_all(self) -> None:
        """Run one pass over each source, then set the alarms."""
        self.passes += 1
        present = ours(self._ports)
        for key in self.memory.sources.keys() - present.keys():
            del self.memory.sources[key]
            self.reconciler.gauges.forget(f"{key.namespace}/{key.name}")
            self._ports.alarms.cancel(f"pass {key}")
            await self.fetcher.discard(key)
        if not await self.handover.let_go():
            self._look_again("let go")
        await self._roll_back_all(present)
        for key in in_order(present):
            await self._pass_one(key)
        count(self._ports.live.snapshot(), self.memory, self._ports.meters)
        self.reconciler.gauges.show_rollouts(self._ports.live.snapshot().rollouts)
        self._check_wanted.set()
        self.verifier.look()

    async def _pass_one(self, key: ResourceKey) -> None:
        resource = ours(self._ports).get(key)
        if resource is None:
            return
        leaves = takes_along(resource)
        if deleted_at(resource) and not leaves:
            return  # somebody else's finalizer keeps it; nothing more is done for it
        resource = await self.handover.take(resource)
        if resource is None:
            self._look_again(f"pass {key}")
            return
        source = guarded_source(resource) if leaves else read_source(resource)
        if not isinstance(source, Source):
            await report_invalid(resource, source, self.memory.of(key), self._ports)
            return
        memory, log = self.memory.of(key), self._log(source)
        self.lookout.before_pass(source, ours(self._ports))
        work = self.leaver.see_off if leaves else self.reconciler.run_pass
        began = self._ports.clock.monotonic()
        report = await within_limits(
            lambda alive: work(source, memory, alive), self._config.pass_timeout, log
        )
        self._ports.meters.pass_seconds.observe(self._ports.clock.monotonic() - began)
        if report.errors:
            log.warning("pass incomplete", errors=report.errors[:5], count=len(report.errors))
        self._ports.meters.passes.labels("complete" if report.complete else "incomplete").inc()
        delay = retry_delay(report, memory.failures)
        memory.failures = memory.failures + 1 if report.errors or report.overtaken else 0
        self._arm_pass(key, report, delay)
        if self.gatekeeper.want(key, report.moved):
            self._gate_wanted.set()
        if self.reverter.want(source, report.moved):
            self._revert_wanted.set()
        if lets_others_go(report.moved):
            self.wake()

    def _look_again(self, name: str) -> None:
        """Pass again after a moment: what another daemon or the API server kept from us may go then."""
        again = self._ports.clock.now() + self._config.lease.retry_period
        self._ports.alarms.at(name, again, self.wake)

    def _log(self, source: Source) -> Any:
        said = {"source": source.name, "revision": self.memory.of(source.resource.key).at}
        return self._ports.log.bind(stage="engine", **said)

    async def _roll_back_all(self, keys: Iterable[ResourceKey]) -> None:
        async with anyio.create_task_group() as group:
            for key in sorted(keys):
                group.start_soon(self._roll_back, key)

    async def _rollback_loop(self, group: anyio.abc.TaskGroup) -> None:
        """Begin a rollback that comes due while the pass is busy with another one, which may be stuck."""
        while True:
            await self._rollback_wanted.wait()
            await self._ports.clock.sleep(self._config.debounce.total_seconds())
            self._rollback_wanted = anyio.Event()
            if self.reconciler.going_back:
                group.start_soon(self._roll_back_all, frozenset(self._rollbacks_due))

    async def _roll_back(self, key: ResourceKey) -> None:
        """Do for one source what nothing may hold up: not a settle time, not a pass of another source."""
        self._rollbacks_due.discard(key)
        resource = ours(self._ports).get(key)
        if resource is None or takes_along(resource) or not self.handover.holds(resource):
            return
        source, report = guarded_source(resource), PassReport()

        async def work(_: Alive) -> PassReport:
            await self.reconciler.roll_back(source, self.memory.of(key), report)
            return report

        with self.handover.at_work(key):
            await within_limits(work, self._config.pass_timeout, self._log(source))
        if report.rollback_pending:
            again = self._ports.clock.now() + ROLLBACK_RETRY
            self._ports.alarms.at(f"rollback {key}", again, lambda: self._rollback_again(key))

    def _rollback_again(self, key: ResourceKey) -> None:
        self._rollbacks_due.add(key)
        self.wake()

    async def _settle(self, seconds: float) -> None:
        """Wait between two waves of one source; the rollbacks of others go out meanwhile."""
        self._settling = True
        try:
            while seconds > 0:
                part = min(seconds, SETTLE_PART_SECONDS)
                await self._ports.clock.sleep(part)
                seconds -= part
                await self._roll_back_all(self._rollbacks_due - {self.reconciler.moving})
        finally:
            self._settling = False

    def _arm_pass(self, key: ResourceKey, report: PassReport, delay: timedelta | None) -> None:
        now = self._ports.clock.now()
        wakes = [next_wake(item.after, now) for item in report.moved]
        moments = [moment for moment in wakes if moment is not None]
        if delay is not None:
            moments.append(now + delay)
        if report.deletes is not None and report.deletes.until is not None:
            moments.append(report.deletes.until)
        seconds = next_look_seconds(self.memory.of(key), self._ports.clock.monotonic())
        if seconds is not None:
            moments.append(now + timedelta(seconds=seconds))
        if moments:
            self._ports.alarms.at(f"pass {key}", min(moments), self.wake)
        else:
            self._ports.alarms.cancel(f"pass {key}")

    def _check_wanted_now(self) -> None:
        self._check_wanted.set()
