"""A TrafficSource that is deleted: it takes its objects along, or leaves them, as its spec says.

Stage: apply (called by the daemon). A finalizer keeps the TrafficSource there until everything is gone. It is
set only where `deletionPolicy` is `delete`, so that any other can be deleted also while no daemon runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gitmesh.apply.answered import Answered
from gitmesh.apply.executor import dry_run, execute
from gitmesh.apply.records import write_source_status
from gitmesh.engine.announce import note_change, note_status, tell
from gitmesh.engine.limits import Alive, nobody_waits
from gitmesh.engine.memory import News, SourceMemory
from gitmesh.engine.planning import plan_input
from gitmesh.engine.ports import Ports, taking_in
from gitmesh.engine.report import PassReport, Source
from gitmesh.engine.rollouts import object_key
from gitmesh.engine.scope import scope
from gitmesh.engine.status import Verdict, conditions_of
from gitmesh.kube.errors import ClusterError
from gitmesh.model.config import Config
from gitmesh.model.kinds import TRAFFIC_ROLLOUT, TRAFFIC_SOURCE
from gitmesh.model.notice import shortened
from gitmesh.model.plan import ChangeKind, Plan
from gitmesh.model.resource import Resource
from gitmesh.model.source import FINALIZER
from gitmesh.plan.planner import make_removal_plan


def deleted_at(resource: Resource) -> datetime | None:
    """Return when somebody asked to delete an object; None when nobody did."""
    text = str(resource.metadata.get("deletionTimestamp") or "")
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def wants_otherwise(source: Source, now: Resource | None) -> bool:
    """Say whether a source wants something else by now, or is gone. What is made anew is another one."""
    if now is None or deleted_at(now) != deleted_at(source.resource):
        return True
    same_object = now.metadata.get("uid") == source.resource.metadata.get("uid")
    return not (same_object and now.spec == source.resource.spec)


def takes_along(resource: Resource) -> bool:
    """Say whether a TrafficSource is being deleted and has to see to its objects first."""
    return bool(resource.metadata.get("deletionTimestamp")) and FINALIZER in _finalizers(resource)


async def keep_finalizer(source: Source, ports: Ports) -> None:
    """Set the finalizer where the source takes its objects along, and take it away where not.

    Call it before anything is applied. Raises ClusterError.
    """
    wanted = source.spec.deletion_policy == "delete"
    current = ports.live.snapshot().sources.get(source.resource.key, source.resource)
    if current.metadata.get("deletionTimestamp") or (FINALIZER in _finalizers(current)) == wanted:
        return
    await _patch_finalizers(current, ports, wanted=wanted)


@dataclass(frozen=True, slots=True)
class Leaver:
    """Sees a deleted TrafficSource off. `settle` waits between two waves."""

    ports: Ports
    config: Config
    settle: Callable[[float], Awaitable[None]]

    async def see_off(self, source: Source, memory: SourceMemory, alive: Alive = nobody_waits) -> PassReport:
        """Delete what the source owns, then its records, then let it go. What fails is tried again."""
        revision = shortened(source.status.accepted_revision)
        with scope(self.ports, "pass", stage="apply", source=source.name, revision=revision):
            return await self._see_off(source, memory, alive)

    async def _see_off(self, source: Source, memory: SourceMemory, alive: Alive) -> PassReport:
        report, reason = PassReport(), _why_left(source, self.ports.clock.now(), self.config.removal_timeout)
        try:
            if not reason:
                await self._remove(source, memory, report, alive)
            if reason or not (report.errors or report.refusals or report.overtaken):
                await self._let_go(source, memory, reason)
                return report
        except ClusterError as error:
            report.failed(error)
        await self._say(source, memory, report)
        return report

    async def _remove(self, source: Source, memory: SourceMemory, report: PassReport, alive: Alive) -> None:
        client = Answered(self.ports.cluster, answered=alive, stored=taking_in(self.ports.live))
        live = self.ports.live.snapshot()
        plan = make_removal_plan(plan_input(source, memory, {}, (), live, self.config))
        report.refusals = plan.refusals
        if not plan.is_empty and not report.refusals:
            report.refusals = await dry_run(plan, client)
        if not report.refusals:
            await self._carry_out(plan, source, memory, report, client)
        if not (report.errors or report.refusals):
            await self._remove_rollouts(source)

    async def _carry_out(
        self, plan: Plan, source: Source, memory: SourceMemory, report: PassReport, client: Answered
    ) -> None:
        seen = self.ports.live.snapshot()
        async for applied in execute(plan, client, self.settle):
            note_change(source, memory, applied, seen, self.ports)
            if applied.error is not None:
                report.failed(applied.error)
            elif applied.change.kind is ChangeKind.DELETE:
                self.ports.live.drop(applied.change.key)

    async def _remove_rollouts(self, source: Source) -> None:
        """Delete the records of what is gone; those of objects that stay go too, for nobody moves them."""
        for key, rollout in self.ports.live.snapshot().rollouts.items():
            if (rollout.body.get("status") or {}).get("source") == source.name:
                await self.ports.cluster.delete(TRAFFIC_ROLLOUT, key.namespace, key.name)
                self.ports.live.drop(key)
                self.ports.log.info("record deleted", rollout=str(object_key(key)))

    async def _let_go(self, source: Source, memory: SourceMemory, reason: str) -> None:
        live = self.ports.live.snapshot()
        owned = [key for key in sorted(source.inventory) if key in live.resources]
        if reason and owned:
            text = f"{len(owned)} objects are left in the cluster, {reason}: {', '.join(map(str, owned[:5]))}"
            text += f" and {len(owned) - 5} more" if len(owned) > 5 else ""
            memory.news.append(News(source.resource, "Warning", "Orphaned", text))
            self.ports.log.warning("objects are left in the cluster", why=reason, count=len(owned))
        else:
            memory.news.append(News(source.resource, "Normal", "Removed", "everything it owned is deleted"))
            self.ports.log.info("source is removed with everything it owned")
        await tell(memory, self.ports)  # before the object is gone that the event is about
        current = live.sources.get(source.resource.key, source.resource)
        await _patch_finalizers(current, self.ports, wanted=False)

    async def _say(self, source: Source, memory: SourceMemory, report: PassReport) -> None:
        verdict = _verdict(report)
        current = self.ports.live.snapshot().sources.get(source.resource.key, source.resource)
        generation = int(source.resource.metadata.get("generation") or 0)
        conditions = conditions_of(verdict, source.status, generation, self.ports.clock.now())
        status = source.status.model_copy(
            update={"observed_generation": generation, "conditions": conditions, "held_plan": None}
        )
        try:
            stored = await write_source_status(self.ports.cluster, current, status)
            self.ports.live.absorb(stored.body)
            note_status(source, memory, status, self.ports)
        except ClusterError as error:
            report.failed(error)
        await tell(memory, self.ports)


def _why_left(source: Source, now: datetime, patience: timedelta) -> str:
    """Say why the objects stay; empty when they are to be deleted."""
    if not source.spec.url:
        return "because the spec of the source makes no sense"
    if source.spec.suspend:
        return "because the source was suspended"
    if source.spec.deletion_policy != "delete":
        return "as deletionPolicy says"
    deleted = deleted_at(source.resource)
    if deleted is not None and now >= deleted + patience:
        return f"because they could not be deleted within {patience}"
    return ""


def _verdict(report: PassReport) -> Verdict:
    how_out = f"to let it go and keep them, remove the finalizer {FINALIZER}"
    if report.errors:
        return Verdict(
            "False", "DeletionFailed", f"{report.errors[0]}; tried again; {how_out}", reconciling=True
        )
    if report.refusals:
        first = report.refusals[0]
        text = f"{first.key}: {first.reason}; {first.hint}; {how_out}"
        return Verdict("False", "DeletionRefused", text, reconciling=True)
    return Verdict("False", "Deleting", "its objects are being deleted", reconciling=True)


def _finalizers(resource: Resource) -> list[str]:
    found = resource.metadata.get("finalizers")
    return [str(one) for one in found] if isinstance(found, list) else []


async def _patch_finalizers(resource: Resource, ports: Ports, *, wanted: bool) -> None:
    """Patch only what was read: another controller may keep its own finalizer in the same list."""
    others = [one for one in _finalizers(resource) if one != FINALIZER]
    finalizers = [*others, FINALIZER] if wanted else others
    key = resource.key
    metadata = {"finalizers": finalizers, "resourceVersion": resource.resource_version}
    stored = await ports.cluster.merge_patch(TRAFFIC_SOURCE, key.namespace, key.name, {"metadata": metadata})
    if wanted or not resource.metadata.get("deletionTimestamp"):
        ports.live.absorb(stored)
