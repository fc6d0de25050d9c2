"""From what is known of a source to the input of its plan: the same for a pass and for `gitmesh plan`.

Stage: decide, plan (pure; called by the pass).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from gitmesh.engine.memory import Moved, SourceMemory
from gitmesh.engine.moving import move
from gitmesh.engine.report import Source
from gitmesh.engine.rollouts import records_of
from gitmesh.model.config import Config
from gitmesh.model.resource import ResourceSet
from gitmesh.observe.live import LiveState
from gitmesh.plan.overlay import overlay, overlay_reasons
from gitmesh.plan.planner import PlanInput
from gitmesh.plan.twins import sharers


def move_rollouts(
    source: Source, memory: SourceMemory, live: LiveState, config: Config, now: datetime
) -> list[Moved]:
    """Decide for each rollout of a source."""
    return move(
        memory,
        live,
        source=source.name,
        suspended=source.spec.suspend,
        history_max=config.history_max,
        now=now,
        inventory=source.inventory,
        adopt=source.spec.adopt,
    )


def plan_input(
    source: Source,
    memory: SourceMemory,
    desired: ResourceSet,
    moved: Iterable[Moved],
    live: ResourceSet,
    config: Config,
) -> PlanInput:
    """Return everything that a plan is made from: Git, as far as the rollouts let it through, and live."""
    moved = tuple(moved)
    records = records_of(moved)
    effective = overlay(desired, records, live)
    restored = memory.desired is not None and memory.desired.restored
    awaited = {m.key for m in moved if m.before is not None and (m.changed or m.after.effective_at is None)}
    return PlanInput(
        source=source.name,
        revision=memory.desired.revision.id if memory.desired else "",
        effective=effective,
        live=live,
        inventory=source.inventory,
        previous_revision=source.status.last_applied_revision,
        spec=source.spec.model_copy(update={"prune": source.spec.prune and not restored}),
        settle_seconds=config.settle.total_seconds(),
        moving=frozenset(awaited.union(*(sharers(key, effective, live) for key in awaited))),
        reasons=overlay_reasons(desired, records, effective),
        empty_source=not desired,
    )
