"""What the demo promises, what it measured, and what it shows on the way.

Stage: playground (face).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Promise:
    """One line of the table at the end."""

    title: str
    promised: str
    measured: str
    held: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """A rollout at one moment, as the progress display shows it."""

    phase: str
    step: int
    steps: int
    written: str  # weights in the VirtualService, "v1 75, v2 25"
    share_percent: float | None  # of real requests that v2 answered; None before the first of this step
    error_percent: float
    next_seconds: float | None
    verdict: str


class Teller(Protocol):
    """Where the story is told: a terminal, or plain lines."""

    def scene(self, title: str) -> None:
        """Begin a scene."""

    def say(self, text: str) -> None:
        """Tell one thing that happened."""

    def show(self, moment: Moment) -> None:
        """Show where the rollout is now."""

    def settle(self) -> None:
        """End a progress display; what it showed last stays."""
