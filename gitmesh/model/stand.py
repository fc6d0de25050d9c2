"""Where a rollout stands: everything that its present step says about what should be live.

Stage: none (pure).
"""

from __future__ import annotations

from dataclasses import dataclass

from gitmesh.model.policy import Walk
from gitmesh.model.steps import RequestMatch


@dataclass(frozen=True, slots=True)
class Stand:
    """A point on the way from stable to target.

    `progress` is percent of the way, `matches` are the requests that are there already, and `mirror` is the
    percentage of requests of which the canary gets a copy.
    """

    progress: float
    matches: tuple[RequestMatch, ...] = ()
    mirror: float = 0.0
    walk: Walk = Walk.WEIGHTS

    @property
    def is_start(self) -> bool:
        """True when no request, and no copy of one, reaches the canary."""
        return self.progress <= 0 and not self.matches and not self.mirror

    @property
    def is_end(self) -> bool:
        """True when everything is on the canary."""
        return self.progress >= 100


END = Stand(100.0)
