"""Whether what is stored is in effect: what the measured shares of requests say of a VirtualService.

Stage: none (pure). `Effect` is a part of the status of a TrafficSource, field for field.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gitmesh.model.values import ApiModel


class EffectState(StrEnum):
    """What is known of the effect of a change."""

    MEASURING = "Measuring"
    MEASURED = "Measured"  # requests go where the weights say
    CONTRADICTED = "Contradicted"  # they do not
    NOT_MEASURED = "NotMeasured"  # nothing can be said, as yet or at all

    @property
    def is_final(self) -> bool:
        """True when nothing more is asked until the object changes."""
        return self is EffectState.MEASURED


class Effect(ApiModel):
    """One object that has changed. `content` names its spec; `changed_at` is when that was written."""

    resource: str
    content: str
    state: EffectState = EffectState.MEASURING
    message: str = ""
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Watch:
    """One object whose effect is looked at. `since` is from when requests count; None: not yet.

    `due` is when to look next; None: never again. `against` counts the looks in a row that contradict.
    """

    effect: Effect
    due: datetime | None
    since: datetime | None = None
    looks: int = 0
    against: int = 0
