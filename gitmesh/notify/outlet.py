"""What the notifier asks of a target.

Stage: notify (pure).
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from gitmesh.notify.mailbox import Item


class Clock(Protocol):
    """The part of the clock that notifications need."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class Outlet(Protocol):
    """One target. `merges`: it shows where things stand, so that only the newest matters."""

    name: str
    merges: bool

    def takes(self, item: Item) -> bool:
        """Say whether the target is told of this."""

    def begin(self) -> None:
        """Take note that somebody else may have told the target things meanwhile."""

    async def deliver(self, item: Item) -> None:
        """Tell it. May be called again with the same. Raises DeliveryError."""

    async def close(self) -> None:
        """Release connections."""
