"""Time as a part that is handed in, so that tests can move it.

Stage: engine (shell).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import anyio

LOOK_SECONDS = 0.5  # how often the time of day is held against the time that has passed
STEP_SECONDS = 0.1  # a clock that is only kept right differs by far less in one look


class Clock(Protocol):
    """Where every stage gets its time."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go back, for measuring spans."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 (this is the clock)

    def monotonic(self) -> float:
        """Return seconds that never go back, and go on while the machine is suspended.

        Source: clock_gettime(2): CLOCK_MONOTONIC stands still then, and a lease does not.
        """
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)


async def watch_steps(clock: Clock, stepped: Callable[[datetime], None]) -> None:
    """Call `stepped` with the new time of day each time that somebody has set the clock, until cancelled.

    What waits for a time of day would wait for it again when the clock is set back: the guard, too.
    """
    before = clock.now().timestamp() - clock.monotonic()
    while True:
        await clock.sleep(LOOK_SECONDS)
        now = clock.now()
        ahead = now.timestamp() - clock.monotonic()
        if abs(ahead - before) > STEP_SECONDS:
            stepped(now)
        before = ahead
