"""The way of one object from its stable spec to its target, whatever its kind.

Stage: decide, plan (pure).
"""

from __future__ import annotations

from dataclasses import dataclass

from gitmesh.istio.canonical import canonical
from gitmesh.istio.routes import Destination, Spec
from gitmesh.istio.walks import rules, services
from gitmesh.istio.weights import growing_destinations, served_by
from gitmesh.model.kinds import DESTINATION_RULE
from gitmesh.model.policy import Walk
from gitmesh.model.rollout import RolloutRecord
from gitmesh.model.stand import Stand


@dataclass(frozen=True, slots=True)
class Way:
    """From stable to target. `walk` is what the policy walks; `namespace` that of the object."""

    kind: str
    stable: Spec
    target: Spec
    walk: Walk = Walk.WEIGHTS
    namespace: str = ""

    @property
    def is_of_rule(self) -> bool:
        """True for a DestinationRule, which is walked through twin subsets."""
        return self.kind == DESTINATION_RULE.kind

    @property
    def moves(self) -> bool:
        """Say whether there are steps to take; else the target is live at once, and is baked."""
        if self.is_of_rule:
            return rules.moves(self.stable, self.target)
        return services.moves(self.stable, self.target, self.walk, namespace=self.namespace)

    @property
    def watched(self) -> tuple[Destination, ...]:
        """Return the destinations that the guard looks at."""
        if self.is_of_rule:
            return rules.watched(self.stable, self.target, namespace=self.namespace)
        return services.watched(self.stable, self.target, self.walk, namespace=self.namespace)

    def shares(self, destination: Destination) -> bool:
        """Say whether both variants go to a destination, so that their requests are counted together."""
        if self.is_of_rule:
            return self.moves
        by_routes = services.walks_routes(self.stable, self.target, self.walk)
        before = served_by(self.stable, namespace=self.namespace) if by_routes else ()
        return (destination.host, destination.subset) in before

    @property
    def baselines(self) -> tuple[Destination, ...]:
        """Return the destinations that lose traffic, and only stable requests go to.

        Where both variants go to one destination, what is counted there is of both: there is none.
        """
        if self.is_of_rule:
            return ()
        # What shrinks on the way there is what grows on the way back.
        shrinking = growing_destinations(self.target, self.stable, namespace=self.namespace)
        return tuple(destination for destination in shrinking if destination not in self.watched)

    def stays_on_course(self, other: Spec) -> bool:
        """Say whether what was seen on this way holds for the way to another target too."""
        if self.is_of_rule:
            return bool(canonical(self.target) == canonical(other))
        return services.stays_on_course(self.stable, self.target, other, self.walk, namespace=self.namespace)

    def at(self, stand: Stand) -> Spec:
        """Return the spec that should be live where the rollout stands."""
        if self.is_of_rule:
            return rules.effective(self.stable, self.target, stand, namespace=self.namespace)
        return services.effective(self.stable, self.target, stand, namespace=self.namespace)

    def describe(self, stand: Stand) -> str:
        """Write for people what is live there."""
        if self.is_of_rule:
            return rules.describe(self.stable, self.target, stand)
        return services.describe(self.stable, self.target, stand, namespace=self.namespace)


def way_of(record: RolloutRecord, namespace: str, target: Spec | None = None) -> Way:
    """Return the way of a record; to another target than its own when one is given."""
    own = record.canary.spec if record.canary else record.stable.spec
    return Way(
        record.kind,
        record.stable.spec,
        own if target is None else target,
        record.policy_spec.walk if record.policy_spec else Walk.WEIGHTS,
        namespace,
    )
