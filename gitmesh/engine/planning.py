"""From what is known of a source to the input of its plan: the same for a pass and for `gitmesh plan`.

Stage: decide, plan (pure; called by the pass).
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from anyio import to_thread

from gitmesh.decide.keeping import may_wait, patience
from gitmesh.decide.schedule import shut_now
from gitmesh.engine.memory import WALKED, Desired, Moved, SourceMemory
from gitmesh.engine.moving import move
from gitmesh.engine.report import Source
from gitmesh.engine.rollouts import records_of
from gitmesh.model.config import Config
from gitmesh.model.edition import changed_between
from gitmesh.model.plan import Plan
from gitmesh.model.policy import most_precise
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.model.rollout import Hold
from gitmesh.model.windows import Calendar
from gitmesh.observe.live import LiveState
from gitmesh.plan import adoption
from gitmesh.plan.overlay import overlay, overlay_reasons
from gitmesh.plan.planner import PlanInput, make_plan
from gitmesh.plan.skips import hands_off, never_pruned
from gitmesh.plan.twins import sharers

COMPARED_AT_ONCE_MAX = 300  # objects; they take about as long as the guard may be late


def move_rollouts(
    source: Source, memory: SourceMemory, live: LiveState, config: Config, now: datetime
) -> list[Moved]:
    """Decide for each rollout of a source, and which news of them are to be written down now."""

    def may_adopt(resource: Resource) -> bool:
        managers = live.managers.get(resource.key, ())
        return adoption.refusal(resource, live.resources[resource.key], managers, source.spec) is None

    moved = move(
        memory,
        live,
        source=source.name,
        suspended=source.spec.suspend,
        history_max=config.history_max,
        now=now,
        held=memory.waits.message if memory.waits else "",
        inventory=source.inventory,
        may_adopt=may_adopt,
    )
    most = patience(sum(item.after.phase.in_motion for item in moved), config.evidence_writes_per_minute)
    return [replace(m, waits=True) if may_wait(m.before, m.after, most) else m for m in moved]


def deletes_wait(source: Source, desired: Desired | None, live: LiveState, now: datetime) -> Hold | None:
    """Return what keeps routes that Git has no more from being deleted now; None when nothing does.

    To delete goes forward as any other change does. A window is that of the policy which would select them.
    """
    if desired is None or not (desired.freezes or any(policy.spec.windows for policy in desired.policies)):
        return None
    calendar, owned = Calendar(now), (live.owned_by(source.name) or frozenset()) | source.inventory
    for key in sorted(owned - desired.resources.keys()):
        gone = live.resources.get(key)
        if gone is None or key.kind not in WALKED or never_pruned(gone) or hands_off(gone):
            continue
        best = most_precise(desired.policies, key, gone.spec)
        hold = shut_now(best[0].spec if best else None, gone, desired.freezes, calendar)
        if hold is not None:
            return replace(hold, reason=f"{key.kind} {key.name} waits: {hold.reason}")
    return None


def plan_input(
    source: Source,
    memory: SourceMemory,
    desired: ResourceSet,
    moved: Iterable[Moved],
    live: LiveState,
    config: Config,
    waits: Hold | None = None,
) -> PlanInput:
    """Return everything that a plan is made from: Git, as far as the rollouts let it through, and live.

    `waits`: see `deletes_wait`.
    """
    moved = tuple(moved)
    records = records_of(moved)
    effective = overlay(desired, records, live.resources, memory.alike)
    restored = memory.desired is not None and memory.desired.restored
    before = _applied_before(memory)
    awaited = {m.key for m in moved if m.before is not None and (m.changed or m.after.effective_at is None)}
    moving = frozenset(awaited.union(*(sharers(key, effective, live.resources) for key in awaited)))
    return PlanInput(
        source=source.name,
        revision=memory.desired.revision.id if memory.desired else "",
        effective=effective,
        live=live.resources,
        inventory=source.inventory,
        previous_revision=source.status.last_applied_revision,
        spec=source.spec.model_copy(update={"prune": source.spec.prune and not restored}),
        settle_seconds=config.settle.total_seconds(),
        moving=moving,
        reasons=overlay_reasons(desired, records, effective),
        empty_source=not desired,
        managers=live.managers,
        marked=live.owned_by(source.name),
        alike=memory.alike,
        settled=_Settled(desired, before) if before else frozenset(),
        walked={key: desired[key] for key in moving if key in desired},
        kept=_kept(desired, before) if before else frozenset(),
        unread=memory.unread,
        deletes_wait=waits,
    )


async def make_plan_aside(given: PlanInput) -> Plan:
    """Make a plan; of much that is to be compared in a thread, so that guard and rollbacks go on."""
    if len(given.alike.look(given.effective, given.live).to_compare) <= COMPARED_AT_ONCE_MAX:
        return make_plan(given)
    return await to_thread.run_sync(make_plan, given, abandon_on_cancel=True)


def _applied_before(memory: SourceMemory) -> ResourceSet | None:
    """Return what Git said of the revision that was live wholly before the desired one; None: not known."""
    found = memory.applied
    if found is None or found is memory.desired:
        return None
    return found.resources


@dataclass(frozen=True, slots=True)
class _Settled(Container[ResourceKey]):
    """The objects of which two revisions say the same. Of few it is asked, so it is not looked up of all."""

    desired: ResourceSet
    before: ResourceSet

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, ResourceKey):
            return False
        now, was = self.desired.get(key), self.before.get(key)
        return now is not None and was is not None and (now is was or now.body == was.body)


def _kept(desired: ResourceSet, before: ResourceSet) -> frozenset[ResourceKey]:
    """Return what is gone from Git and was never to be pruned when it was there."""
    changed = changed_between(before, desired)
    gone = before.keys() - desired.keys() if changed is None else changed
    return frozenset(key for key in gone if key not in desired and never_pruned(before.get(key)))
