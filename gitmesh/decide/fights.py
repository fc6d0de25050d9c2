"""Fights: somebody else changes an object again and again, and GitMesh puts it right again and again.

Stage: decide (pure). Heat grows by one with each write of the same content and decays with time, as in the
fight detector of Config Sync. Above a threshold the object rests before it is written again, longer each
time. Source: kpt-config-sync, pkg/diff and pkg/syncer/reconcile/fight: more than 5 updates in a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp
from typing import Any

HEAT_MAX = 5.0
HEAT_SECONDS = 60.0  # after so long a third of the heat is left
REST_FIRST_SECONDS, REST_MAX_SECONDS = 10.0, 300.0
COLD = 0.1  # less heat than this is none
_DOUBLINGS_MAX = 10

Content = Mapping[str, Any] | None  # None: the object was deleted


@dataclass(frozen=True, slots=True)
class Contest:
    """How often one object was written with the same content. `at` is the last time, in monotonic seconds.

    `rests` counts the rests since it became a fight; 0: it is none. `by` is who else wrote, if that is known.
    """

    content: Content
    at: float
    heat: float = 0.0
    rests: int = 0
    by: str = ""

    @property
    def rest_seconds(self) -> float:
        """How long the object rests after the last write."""
        if not self.rests:
            return 0.0
        return min(REST_FIRST_SECONDS * 2.0 ** min(self.rests - 1, _DOUBLINGS_MAX), REST_MAX_SECONDS)

    @property
    def text(self) -> str:
        """What to say of a fight. It says nothing that changes while the fight lasts."""
        who = f"{self.by} changes it" if self.by else "somebody else changes it"
        return (
            f"{who} again and again, and it is put right at growing intervals; stop the other writer, "
            "or leave the object alone with the annotation gitmesh.dev/reconcile: disabled"
        )

    def rests_at(self, now: float) -> bool:
        """Say whether the object is left alone at this moment."""
        return now < self.at + self.rest_seconds

    def is_over(self, now: float) -> bool:
        """Say whether it can be forgotten: as long again as the rest was, nobody has changed the object."""
        if self.rests:
            return now >= self.at + 2 * self.rest_seconds
        return self.heat_at(now) < COLD and now >= self.at + HEAT_SECONDS

    def heat_at(self, now: float) -> float:
        """Return what is left of the heat."""
        return self.heat * exp(-(now - self.at) / HEAT_SECONDS)

    def next_moment(self, now: float) -> float | None:
        """Return when a fight is worth looking at again; None when it is no fight."""
        if not self.rests:
            return None
        moments = (self.at + self.rest_seconds, self.at + 2 * self.rest_seconds)
        return next((moment for moment in moments if moment > now), now)


def written(before: Contest | None, content: Content, now: float, *, drift: bool, by: str) -> Contest:
    """Return the contest over an object after one more write. Other content is another contest, and is no
    fight yet: a new commit, a step, a rollback."""
    if before is None or before.content != content or before.is_over(now):
        return Contest(content, now, 1.0 if drift else 0.0, by=by)
    heat = before.heat_at(now) + 1.0
    fights = before.rests > 0 or heat > HEAT_MAX
    return replace(before, at=now, heat=heat, rests=before.rests + fights, by=by or before.by)
