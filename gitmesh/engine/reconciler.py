"""One pass over one source: the whole loop, safe to repeat at any moment.

Stage: engine (shell). Every pass starts from what is true now, so drift, a restart, a new commit in the
middle of a ramp and a lost write are all the same case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

import anyio
import anyio.to_thread

from gitmesh.apply.executor import Applied, dry_run, execute
from gitmesh.apply.records import write_source_status
from gitmesh.engine.accept import accept
from gitmesh.engine.announce import announce
from gitmesh.engine.memory import SourceMemory
from gitmesh.engine.ports import Ports
from gitmesh.engine.report import PassReport, Source
from gitmesh.engine.rollouts import confirm, move, records_of, rollout_key, write_down
from gitmesh.engine.status import status_of
from gitmesh.kube.errors import ClusterError
from gitmesh.model.config import Config
from gitmesh.model.kinds import TRAFFIC_ROLLOUT
from gitmesh.model.plan import ChangeKind, Plan
from gitmesh.model.resource import ResourceKey, ResourceSet
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.observe.live import LiveState
from gitmesh.plan.overlay import overlay, overlay_reasons
from gitmesh.plan.planner import PlanInput, make_plan, make_rollback_plan


class Reconciler:
    """Runs passes. One at a time, for there is one writer."""

    def __init__(self, ports: Ports, config: Config) -> None:
        self._ports = ports
        self._config = config
        self._forward: anyio.CancelScope | None = None

    def preempt(self) -> None:
        """Stop a pass that is moving forward, between two writes, because a rollback is due."""
        if self._forward is not None:
            self._forward.cancel()

    async def run_pass(self, source: Source, memory: SourceMemory) -> PassReport:
        """Read everything, decide, write once."""
        report, now = PassReport(), self._ports.clock.now()
        live = self._ports.live.snapshot()  # observe
        await self._accept(source, memory, live)  # parse, validate
        report.moved = move(  # decide
            memory,
            live,
            source=source.name,
            suspended=source.spec.suspend,
            history_max=self._config.history_max,
            now=now,
        )
        try:
            await write_down(report.moved, memory, live, self._ports)
            await self._roll_back(source, memory, live, report)  # plan, apply: what nothing can block
            if memory.desired is not None and not source.spec.suspend:
                await self._go_forward(source, memory, report)  # plan, apply: everything else
        except ClusterError as error:
            report.errors.append(str(error))
        await self._tell(source, memory, report, live)
        return report

    async def _accept(self, source: Source, memory: SourceMemory, live: LiveState) -> None:
        revision = memory.fetched
        if revision is None or memory.judged == (
            revision.commit,
            source.default_namespace,
            live.service_hosts,
        ):
            return
        # Reading thousands of documents takes seconds; the guard must not wait for it.
        await anyio.to_thread.run_sync(
            lambda: accept(
                memory,
                default_namespace=source.default_namespace,
                limits=self._config.parse,
                known_hosts=live.service_hosts,
            )
        )

    async def _roll_back(
        self, source: Source, memory: SourceMemory, live: LiveState, report: PassReport
    ) -> None:
        records = {k: r for k, r in records_of(report.moved).items() if r.phase is Phase.ROLLED_BACK}
        if not records:
            return
        desired = memory.desired.resources if memory.desired else {}
        live = self._ports.live.snapshot()
        plan = make_rollback_plan(
            self._plan_input(source, memory, live, desired, records, report),
            frozenset(records),
        )
        applied = await self._execute(plan)
        report.applied += applied
        report.rollback_pending = any(a.error for a in applied)
        report.errors += [str(a.error) for a in applied if a.error]

    async def _go_forward(self, source: Source, memory: SourceMemory, report: PassReport) -> None:
        live = self._ports.live.snapshot()
        records = records_of(report.moved)
        assert memory.desired is not None
        plan = make_plan(self._plan_input(source, memory, live, memory.desired.resources, records, report))
        report.refusals = plan.refusals
        if not plan.is_empty:
            report.refusals += await dry_run(plan, self._ports.cluster)
            if any(refusal not in plan.refusals for refusal in report.refusals):
                return
            await self._record_union(source, plan)
            with anyio.CancelScope() as self._forward:
                await self._apply(plan, report)
            report.preempted = self._forward.cancelled_caught
            self._forward = None
        if report.complete:
            await confirm(report.moved, memory, self._ports, self._ports.clock.now())
            await self._forget_rollouts(source, memory, records.keys())

    async def _apply(self, plan: Plan, report: PassReport) -> None:
        async for applied in execute(plan, self._ports.cluster, self._ports.clock.sleep):
            self._absorb(applied)
            report.applied.append(applied)
            if applied.error:
                report.errors.append(str(applied.error))

    async def _execute(self, plan: Plan) -> list[Applied]:
        applied = []
        async for item in execute(plan, self._ports.cluster, self._ports.clock.sleep):
            self._absorb(item)
            applied.append(item)
        return applied

    def _absorb(self, applied: Applied) -> None:
        if applied.error is None and applied.change.kind is ChangeKind.DELETE:
            self._ports.live.drop(applied.change.key)
        elif applied.result is not None:
            self._ports.live.absorb(applied.result.body)

    def _plan_input(
        self,
        source: Source,
        memory: SourceMemory,
        live: LiveState,
        desired: ResourceSet,
        records: Mapping[ResourceKey, RolloutRecord],
        report: PassReport,
    ) -> PlanInput:
        effective = overlay(desired, records, live.resources)
        moving = frozenset(
            m.key
            for m in report.moved
            if m.before is not None and (m.changed or m.after.effective_at is None)
        )
        return PlanInput(
            source=source.name,
            revision=memory.desired.revision.id if memory.desired else "",
            effective=effective,
            live=live.resources,
            inventory=source.inventory,
            previous_revision=source.status.last_applied_revision,
            spec=source.spec,
            settle_seconds=self._config.settle.total_seconds(),
            moving=moving,
            reasons=overlay_reasons(desired, records, effective),
            empty_source=not desired,
        )

    async def _record_union(self, source: Source, plan: Plan) -> None:
        """Write the union of old and new inventory before the first write: a crash leaves no orphan."""
        created = {c.key.path for c in plan.changes() if c.kind is not ChangeKind.DELETE}
        current = self._ports.live.snapshot().sources.get(source.resource.key, source.resource)
        union = tuple(sorted({*source.status.inventory, *created}))
        if union == source.status.inventory:
            return
        status = source.status.model_copy(update={"inventory": union})
        stored = await write_source_status(self._ports.cluster, current, status)
        self._ports.live.absorb(stored.body)

    async def _forget_rollouts(
        self, source: Source, memory: SourceMemory, kept: Iterable[ResourceKey]
    ) -> None:
        """Delete the records of VirtualServices that are in Git no more and live no more."""
        live = self._ports.live.snapshot()
        kept_rollouts = {rollout_key(key) for key in kept}
        for key, rollout in live.rollouts.items():
            status = rollout.body.get("status") or {}
            service_is_live = any(
                k.kind == "VirtualService" and (k.namespace, k.name) == (key.namespace, key.name)
                for k in live.resources
            )
            if status.get("source") != source.name or key in kept_rollouts or service_is_live:
                continue
            await self._ports.cluster.delete(TRAFFIC_ROLLOUT, key.namespace, key.name)
            self._ports.live.drop(key)

    async def _tell(self, source: Source, memory: SourceMemory, report: PassReport, seen: LiveState) -> None:
        live = self._ports.live.snapshot()
        current = live.sources.get(source.resource.key, source.resource)
        status = status_of(source, memory, report, live, self._config, self._ports.clock.now())
        await announce(source, memory, report, status, seen, self._ports)
        try:
            stored = await write_source_status(self._ports.cluster, current, status)
            self._ports.live.absorb(stored.body)
        except ClusterError as error:
            report.errors.append(str(error))


RETRY_FIRST, RETRY_MAX = timedelta(seconds=1), timedelta(seconds=30)


def retry_delay(report: PassReport, failures: int) -> timedelta | None:
    """Return when to pass again after an incomplete pass; None when only an event can help."""
    if report.preempted:
        return timedelta(0)
    if report.rollback_pending:
        return RETRY_FIRST / 2
    if report.errors:
        return min(RETRY_FIRST * (1 << min(failures, 10)), RETRY_MAX)
    return None
