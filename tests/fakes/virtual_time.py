"""An event loop whose time jumps to the next thing that will happen: an hour of waiting costs nothing."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import anyio

T = TypeVar("T")
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class NothingWillHappenError(Exception):
    """Every task waits, and no timer is set."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits; tells how long it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is None:
            raise NothingWillHappenError("every task waits, and no timer is set")
        if not ready and timeout:
            self.waited += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop with a time of its own, which starts at 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.waited


class VirtualClock:
    """A `Clock` on a `VirtualTimeLoop`. Setting it moves the time of day alone."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._set_back = 0.0
        self.ahead = 0.0  # by how much it was set forward, in all

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic() - self._set_back)

    def steady(self) -> datetime:
        """The time of day of another machine, whose clock nobody sets."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    def set_back(self, seconds: float) -> None:
        self._set_back += seconds

    def set_forward(self, seconds: float) -> None:
        self._set_back -= seconds
        self.ahead += seconds


class VirtualAlarms:
    """`Alarms` that ring as virtual time passes, by the time of day as APScheduler does."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._due: dict[str, Callable[[], None]] = {}  # what happens when an alarm rings

    def every(self, name: str, interval: timedelta, ring: Callable[[], None]) -> None:
        def again() -> None:
            self.every(name, interval, ring)
            ring()

        self._arm(name, self._clock.now() + interval, again)

    def at(self, name: str, when: datetime, ring: Callable[[], None]) -> None:
        def once() -> None:
            self.cancel(name)
            ring()

        self._arm(name, when, once)

    def ring_all(self, now: datetime) -> None:
        for due in list(self._due.values()):
            due()

    def cancel(self, name: str) -> None:
        self._due.pop(name, None)
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def names(self) -> set[str]:
        return set(self._timers)

    def stop(self) -> None:
        for name in list(self._timers):
            self.cancel(name)

    def _arm(self, name: str, when: datetime, due: Callable[[], None]) -> None:
        def look() -> None:
            if self._clock.now() < when:  # the clock was set back meanwhile
                self._arm(name, when, due)
            else:
                due()

        self.cancel(name)
        self._due[name] = due
        seconds = max((when - self._clock.now()).total_seconds(), 0.0)
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, look)


def run_virtually(work: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine function on a loop of virtual time."""
    return anyio.run(work, backend="asyncio", backend_options={"loop_factory": VirtualTimeLoop})
