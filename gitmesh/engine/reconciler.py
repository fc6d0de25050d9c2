"""One pass over one source: the whole loop, safe to repeat at any moment.

Stage: engine (shell). Every pass starts from what is true now, so drift, a restart, a new commit in the
middle of a ramp and a lost write are all the same case.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

import anyio

from gitmesh.apply.answered import Answered
from gitmesh.apply.executor import Applied, Writer, dry_run, execute, whatever_becomes_of_it
from gitmesh.apply.hurry import Hurried
from gitmesh.apply.records import write_source_status
from gitmesh.engine.accept import accept, question_of
from gitmesh.engine.announce import note_change, note_guardrails, note_refusals, note_status, tell
from gitmesh.engine.contests import forget_quiet, note_write, resting
from gitmesh.engine.dependencies import waits_for
from gitmesh.engine.effects import note_written, restore
from gitmesh.engine.founding import with_foundations_due
from gitmesh.engine.gauges import Gauges
from gitmesh.engine.ground import GroundWatch
from gitmesh.engine.holding import approval_of, close_approval, let_through, may_go, settled_before
from gitmesh.engine.leaving import keep_finalizer, wants_otherwise
from gitmesh.engine.limits import Alive, nobody_waits
from gitmesh.engine.memory import Decided, Moved, SourceMemory
from gitmesh.engine.planning import deletes_wait, make_plan_aside, move_rollouts, plan_input
from gitmesh.engine.ports import Ports, taking_in
from gitmesh.engine.report import PassReport, Source
from gitmesh.engine.requests import take_requests
from gitmesh.engine.retries import ROLLBACK_RETRY, Doubts, Patience
from gitmesh.engine.rollouts import (
    confirmed,
    object_key,
    rollout_key,
    write_down,
    write_down_urgently,
)
from gitmesh.engine.scope import now_at, scope
from gitmesh.engine.status import status_of
from gitmesh.kube.errors import ClusterError
from gitmesh.model.config import Config
from gitmesh.model.kinds import NETWORKING, TRAFFIC_ROLLOUT
from gitmesh.model.plan import ChangeKind, Plan
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.plan.foundations import stages
from gitmesh.plan.planner import PlanInput, is_live, make_rollback_plan
from gitmesh.plan.twins import sharers
from gitmesh.validate.guardrails_plan import guarded

READ_SECONDS_MAX = 0.02  # for one file of a new revision, on a busy machine
READ_SECONDS_PER_BYTE_MAX = 1e-5  # for each byte of it, where every second one is a value


class Reconciler:
    """Runs passes. One at a time, for there is one writer.

    `settle(seconds)` waits between two waves; what must not wait with it, it may do meanwhile.
    """

    def __init__(self, ports: Ports, config: Config, settle: Callable[[float], Awaitable[None]]) -> None:
        self._ports = ports
        self._config = config
        self._settle = settle
        self._forward: anyio.CancelScope | None = None
        self._doubts = Doubts()
        self._patience = Patience(config.api_timeout.total_seconds())
        self.gauges = Gauges(ports.meters)
        self.ground = GroundWatch(ports)
        self._writer: Writer = ports.cluster
        self._source: Source | None = None  # whose pass is moving forward
        self.going_back: set[ResourceKey] = set()  # the VirtualServices that are being rolled back now

    def configure(self, config: Config) -> None:
        """Go by other settings from now on."""
        self._config = config
        self._patience.most_seconds = config.api_timeout.total_seconds()

    @property
    def moving(self) -> ResourceKey | None:
        """The source whose pass is moving forward."""
        return self._source.resource.key if self._source is not None else None

    def source_changed(self, key: ResourceKey, now: Resource | None) -> None:
        """Stop the pass that moves forward, if its source wants something else by now, or is gone."""
        if self._source is not None and self.moving == key and wants_otherwise(self._source, now):
            self.preempt()

    def preempt(self) -> None:
        """Stop a pass that is moving forward, between two writes, because something more urgent is due."""
        if self._forward is not None:
            self._forward.cancel()

    async def run_pass(self, source: Source, memory: SourceMemory, alive: Alive = nobody_waits) -> PassReport:
        """Do what nothing may hold up, then everything else, then tell. `alive` is told that it gets on."""
        with scope(self._ports, "pass", stage="engine", source=source.name, revision=memory.at):
            return await self._run_pass(source, memory, alive)

    async def _run_pass(self, source: Source, memory: SourceMemory, alive: Alive) -> PassReport:
        report = PassReport(handled_sync=memory.handled_sync)
        restore(source, memory, self._ports)
        await self.roll_back(source, memory, report)
        self._source = source
        try:
            with anyio.CancelScope() as self._forward:
                await self._go_forward(source, memory, report, alive)
            report.preempted = self._forward.cancelled_caught
        finally:
            self._forward = self._source = None
        return report

    # Back: decide, plan and apply what was rolled back, one by one, so that none waits for another ---------

    async def roll_back(self, source: Source, memory: SourceMemory, report: PassReport) -> None:
        """Make stable live where a rollout was rolled back and that has not been seen live yet.

        Another call may be at work meanwhile: what it does is left to it.
        """
        moved = self._move(source, memory)
        back = [item for item in moved if item.goes_back]
        async with anyio.create_task_group() as group:
            for item in [item for item in back if self._takes(item.key, report)]:
                group.start_soon(self._roll_back_alone, source, memory, item, moved, report)

    async def _roll_back_alone(
        self, source: Source, memory: SourceMemory, item: Moved, moved: list[Moved], report: PassReport
    ) -> None:
        said = {"source": source.name, "rollout": str(item.key), "revision": item.after.revision}
        try:
            with scope(self._ports, "rollback", stage="apply", **said):
                await self._roll_back_one(source, memory, item, moved, report)
        except Exception as error:  # a bug that one rollout meets must not keep another on its canary
            self._ports.log.exception("rollback failed unexpectedly", stage="apply", **said)
            report.errors.append(f"{type(error).__name__}: {error}")
            report.rollback_pending = True
            self._patience.disappointed(item.key, self._ports.clock.monotonic())
        finally:
            self.going_back.discard(item.key)

    def _takes(self, key: ResourceKey, report: PassReport) -> bool:
        """Take one rollback upon this call, unless it is being tried, or was a moment ago."""
        if key in self.going_back:
            return False
        if self._patience.since(key, self._ports.clock.monotonic()) < ROLLBACK_RETRY.total_seconds():
            report.rollback_pending = True
            return False
        self.going_back.add(key)
        return True

    async def _roll_back_one(
        self, source: Source, memory: SourceMemory, item: Moved, moved: list[Moved], report: PassReport
    ) -> None:
        await write_down_urgently(item, memory, self._ports)
        live = self._ports.live.snapshot().resources
        follows = {} if source.spec.suspend or memory.desired is None else memory.desired.resources
        back = [other.key for other in moved if other.goes_back]
        desired = {**{key: live[key] for key in back if key in live}, **follows}
        given = self._plan_input(source, memory, desired, moved)
        if item.may_have_moved:
            given = replace(given, doubtful=given.doubtful | {item.key})
        plan = make_rollback_plan(given, frozenset({item.key}))
        report.refusals += plan.refusals
        client = Hurried(self._ports.urgent, self._patience.seconds(item.key))
        errors = await self._apply(plan, source, memory, report, client)
        if errors:
            report.rollback_pending = True
            self._patience.disappointed(item.key, self._ports.clock.monotonic())
        if self._is_live(given, item):
            self._patience.rewarded(item.key)
            await write_down_urgently(confirmed(item, self._ports.clock.now()), memory, self._ports)

    # Forward ---------------------------------------------------------------------------------------------

    async def _go_forward(
        self, source: Source, memory: SourceMemory, report: PassReport, alive: Alive
    ) -> None:
        self._writer = Answered(self._ports.cluster, answered=alive, stored=taking_in(self._ports.live))
        try:
            await keep_finalizer(source, self._ports)
            await take_requests(source.name, memory, self._ports, report)
            alive(_reading_seconds(memory))
            await self._accept(source, memory)  # parse, validate
            await self._let_through(source, memory, report)
            await self._move_forward(source, memory, report)  # decide, plan, apply
        except ClusterError as error:
            report.failed(error)
        forget_quiet(source, memory, self._ports.live.snapshot(), self._ports)
        await self._tell(source, memory, report)

    async def _accept(self, source: Source, memory: SourceMemory) -> None:
        if memory.fetched is None:
            return
        with scope(self._ports, "validate", stage="validate"):
            live = self._ports.live.snapshot()
            question = question_of(source, memory.fetched, live, self._config)
            await accept(memory, question, limits=self._config.parse, log=self._ports.log)

    async def _let_through(self, source: Source, memory: SourceMemory, report: PassReport) -> None:
        """Make the candidate desired, unless it would do too much at once: then what was desired stays so."""
        candidate, memory.held = memory.candidate, None
        memory.waits = waits_for(source, self._ports.live.snapshot().sources, memory)
        if candidate is None or source.spec.suspend or memory.waits is not None:
            return
        trial = replace(memory, desired=candidate, applied=settled_before(memory))
        given = self._plan_input(source, trial, candidate.resources, self._move(source, trial))
        plan = await make_plan_aside(given)
        if refused := [refusal for refusal in plan.refusals if refusal.key is None]:
            report.refusals += tuple(refused)
        elif await may_go(source, memory, candidate, plan, self._ports):
            let_through(source, memory, candidate)

    async def _move_forward(self, source: Source, memory: SourceMemory, report: PassReport) -> None:
        now_at(memory.at)
        report.moved, is_read = self._move(source, memory), memory.desired is not None
        if is_read and not source.spec.suspend and any(m.changed for m in report.moved):
            await self._record_intent(source, memory)
        for item in report.moved:
            await write_down(item, memory, self._ports)
        # What a fetch has restored meanwhile is for the next pass: nothing was decided for it in this one.
        if not is_read or memory.desired is None or source.spec.suspend:
            return
        given = self._plan_input(source, memory, memory.desired.resources, report.moved)
        report.deletes = given.deletes_wait
        plan, notes = guarded(await self._allowed(source, memory, given), memory.desired.guardrails)
        note_guardrails(source, memory, notes, self._ports)
        plan = await with_foundations_due(plan, source, memory, self._ports, self._config, self.ground)
        report.refusals += plan.refusals
        report.skipped = plan.skipped
        await self._carry_out(plan, source, memory, report)
        await self._confirm(given, memory, report)
        if report.complete:
            memory.applied = memory.desired
            if not memory.desired.restored:  # one that is deletes nothing: its plan is not done yet
                close_approval(source, memory)
            await self._forget_rollouts(source, report.moved)

    async def _carry_out(self, plan: Plan, source: Source, memory: SourceMemory, report: PassReport) -> None:
        """Ask the server about everything, then write it; what needs foundations is asked about on them."""
        for asked, written in stages(plan):
            with scope(self._ports, "dry run", stage="plan"):
                refused = await dry_run(asked, self._writer)
            report.refusals += refused
            if refused:
                return
            await self._record_intent(source, memory, written)
            if await self._apply(written, source, memory, report, self._writer):
                return

    async def _allowed(self, source: Source, memory: SourceMemory, given: PlanInput) -> Plan:
        """Return the plan of what is desired. It may be too much although its revision was let through: when
        pruning was switched on, say. Then it deletes nothing until a person approves it."""
        plan = await make_plan_aside(given)
        assert memory.desired is not None
        if plan.excess is None or await may_go(source, memory, memory.desired, plan, self._ports):
            return replace(plan, excess=None)
        rest = await make_plan_aside(replace(given, spec=given.spec.model_copy(update={"prune": False})))
        return rest if rest.excess is None else replace(rest, waves=(), excess=None)

    async def _confirm(self, given: PlanInput, memory: SourceMemory, report: PassReport) -> None:
        """Note for each rollout that is live as its record says, also when something else went wrong."""
        for index, item in enumerate(report.moved):
            if item.after.effective_at is None and self._is_live(given, item):
                report.moved[index] = seen = confirmed(item, self._ports.clock.now())
                await write_down(seen, memory, self._ports)

    async def _forget_rollouts(self, source: Source, moved: Iterable[Moved]) -> None:
        """Delete the records of objects that are in Git no more and live no more."""
        live = self._ports.live.snapshot()
        kept = {rollout_key(item.key) for item in moved}
        for key, rollout in live.rollouts.items():
            status = rollout.body.get("status") or {}
            if status.get("source") != source.name or key in kept or object_key(key) in live.resources:
                continue
            await self._ports.cluster.delete(
                TRAFFIC_ROLLOUT,
                key.namespace,
                key.name,
                uid=str(rollout.metadata.get("uid", "")),
                version=rollout.resource_version,
            )
            self._ports.live.drop(key)

    # Both ------------------------------------------------------------------------------------------------

    def _move(self, source: Source, memory: SourceMemory) -> list[Moved]:
        """Decide for each rollout. A pass asks more than once, and mostly about the very same world."""
        live, now = self._ports.live.snapshot(), self._ports.clock.now()
        known, world = memory.decided, (source, *memory.heard)
        if not (known and known.live is live and known.world == world and known.is_of(now)):
            moved = tuple(move_rollouts(source, memory, live, self._config, now))
            known = memory.decided = Decided(live, world, now, moved)
        return list(known.moved)

    def _plan_input(
        self, source: Source, memory: SourceMemory, desired: ResourceSet, moved: Iterable[Moved]
    ) -> PlanInput:
        live = self._ports.live.snapshot()
        waits = deletes_wait(source, memory.desired, live, self._ports.clock.now())
        given = plan_input(source, memory, desired, moved, live, self._config, waits)
        now = self._ports.clock.monotonic()
        return replace(given, doubtful=self._doubts.standing(now), resting=resting(memory, now))

    def _is_live(self, given: PlanInput, item: Moved) -> bool:
        """Say whether what a rollout asks for is live: its object, and routes that share with its twins."""
        live = self._ports.live.snapshot().resources
        keys = {item.key} | sharers(item.key, given.effective, live)
        return all(
            key in given.effective and key in live and is_live(given.effective[key], live[key], given)
            for key in keys
        )

    async def _apply(
        self, plan: Plan, source: Source, memory: SourceMemory, report: PassReport, client: Writer
    ) -> int:
        """Carry out a plan and take in what became of each change; return how many were not carried out."""
        failed, seen = 0, self._ports.live.snapshot()
        # Forward, a wave relies on the one before it. Back, nothing is waited for.
        stands = self._stands if client is self._writer else whatever_becomes_of_it
        with scope(self._ports, "apply", stage="apply"):
            async for applied in execute(plan, client, self._settle, stands):
                self._absorb(applied)
                self._doubts.note(applied, self._ports.clock.monotonic())
                note_change(source, memory, applied, seen, self._ports)
                note_write(source, memory, applied, seen, self._ports)
                note_written(memory, applied, self._ports)
                if applied.error is not None:
                    report.failed(applied.error, applied.change)
                    failed += 1
        return failed

    def _stands(self, written: Resource) -> bool:
        if written.key.group != NETWORKING:
            return True  # of others nothing tells when they change
        live = self._ports.live.get(written.key)
        return live is not None and live.spec == written.spec

    def _absorb(self, applied: Applied) -> None:
        if applied.error is None and applied.change.kind is ChangeKind.DELETE:
            self._ports.live.drop(applied.change.key)
        elif applied.result is not None and "managedFields" in applied.result.metadata:  # not yet taken in
            self._ports.live.absorb(applied.result.body)

    async def _record_intent(self, source: Source, memory: SourceMemory, plan: Plan | None = None) -> None:
        """Before the first write, keep what a crash must not lose.

        The union of old and new inventory leaves no orphan. The accepted revision keeps a restart from going
        on with an older one, which could delete what this one brought, or take its rollouts for reverted.
        """
        assert memory.desired is not None
        changes = plan.changes() if plan else ()
        ours = (c.key for c in changes if c.key.group == NETWORKING and c.kind is not ChangeKind.DELETE)
        created = frozenset(ours)
        current = self._ports.live.snapshot().sources.get(source.resource.key, source.resource)
        status = source.status.model_copy(
            update={
                "accepted_revision": memory.desired.revision.id,
                "accepted_url": memory.desired.revision.url,
                "approval": approval_of(source, memory),
                "held_plan": memory.held,
            }
        )
        if created - source.inventory:
            status = status.owning(source.inventory | created)
        if status != source.status:
            stored = await write_source_status(self._ports.cluster, current, status)
            self._ports.live.absorb(stored.body)

    async def _tell(self, source: Source, memory: SourceMemory, report: PassReport) -> None:
        live = self._ports.live.snapshot()
        current = live.sources.get(source.resource.key, source.resource)
        note_refusals(source, memory, report.refusals, self._ports)
        status = status_of(source, memory, report, live, self._config, self._ports.clock.now())
        try:
            stored = await write_source_status(self._ports.cluster, current, status)
            self._ports.live.absorb(stored.body)
            note_status(source, memory, status, self._ports)
            self.gauges.show(source, memory, status, (self._ports.clock.now(), self._ports.clock.monotonic()))
        except ClusterError as error:
            report.failed(error)
        await tell(memory, self._ports)


def _reading_seconds(memory: SourceMemory) -> float:
    """Return how long the fetched revision may take to be read, if it is new: many and large files do."""
    if memory.fetched is None or (memory.judged is not None and memory.judged.revision is memory.fetched):
        return 0.0
    files = memory.fetched.files.values()
    return sum(READ_SECONDS_MAX + len(file.content) * READ_SECONDS_PER_BYTE_MAX for file in files)
