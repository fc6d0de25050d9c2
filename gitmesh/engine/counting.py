"""What the gauges show after a pass: rollouts, held plans, fights, and objects that are left alone.

Stage: engine (shell). Counted from the statuses where it is in them, so that it is what everybody can see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gitmesh.engine.contests import fights_of
from gitmesh.engine.memory import Memory
from gitmesh.engine.meters import Meters
from gitmesh.model.plan import SkipReason
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.rollout import Phase
from gitmesh.observe.live import LiveState


def count(live: LiveState, memory: Memory, meters: Meters) -> None:
    """Set the gauges to what is now."""
    phases = [status.get("phase") for status in _statuses(live.rollouts)]
    for phase in Phase:
        meters.rollouts.labels(phase.value).set(phases.count(phase.value))
    sources = list(_statuses(live.sources))
    meters.held_plans.set(sum(1 for status in sources if status.get("heldPlan")))
    skipped = [one.get("why") for status in sources for one in status.get("skipped") or ()]
    for why in SkipReason:
        meters.skipped.labels(why.value).set(skipped.count(why.value))
    meters.fights.set(sum(len(fights_of(one)) for one in memory.sources.values()))


def _statuses(resources: Mapping[ResourceKey, Resource]) -> Iterator[Mapping[str, Any]]:
    return (resource.body.get("status") or {} for resource in resources.values())
