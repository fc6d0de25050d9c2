"""How long the work for one source may take: as long as it gets on, and no longer than that.

Stage: engine (shell).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Protocol

import anyio

from gitmesh.engine.report import PassReport


class Alive(Protocol):
    """What work calls when it gets on; `more` seconds are what its next step may take on top."""

    def __call__(self, more: float = 0.0) -> None:
        """Take note."""


def nobody_waits(more: float = 0.0) -> None:
    """Take note of nothing: for work without a limit."""


async def within_limits(
    work: Callable[[Alive], Awaitable[PassReport]], limit: timedelta, log: Any
) -> PassReport:
    """Run work for one source; end it when nothing happens for `limit`. It must never stop other sources.

    So what is large takes longer, and only what stands is ended. `log` says which source it is.
    """
    seconds = limit.total_seconds()

    def alive(more: float = 0.0) -> None:
        scope.deadline = max(scope.deadline, anyio.current_time() + seconds + more)

    try:
        with anyio.fail_after(seconds) as scope:
            return await work(alive)
    except TimeoutError:
        return PassReport(errors=[f"the pass took too long: nothing happened for {seconds:g} s"])
    except Exception as error:
        log.exception("pass failed unexpectedly")
        return PassReport(errors=[f"{type(error).__name__}: {error}"])
