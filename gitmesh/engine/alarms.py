"""The alarm clock of the daemon, by APScheduler.

Stage: engine (shell). Jobs only wake a task; a missed one rings at once after the machine was asleep.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler


class SchedulerAlarms:
    """Alarms in memory, in UTC. Must be started inside a running event loop."""

    def __init__(self) -> None:
        # APScheduler drops a job that is a second late unless it is told otherwise.
        # Source: APScheduler 3.11, BaseScheduler job defaults: misfire_grace_time is 1.
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def start(self) -> None:
        """Begin to ring."""
        self._scheduler.start()

    def stop(self) -> None:
        """Forget every alarm."""
        self._scheduler.shutdown(wait=False)

    def every(self, name: str, interval: timedelta, ring: Callable[[], None]) -> None:
        """Ring again and again, first after one interval."""
        seconds = interval.total_seconds()
        self._scheduler.add_job(_on_loop(ring), "interval", seconds=seconds, id=name, replace_existing=True)

    def at(self, name: str, when: datetime, ring: Callable[[], None]) -> None:
        """Ring once."""
        self._scheduler.add_job(_on_loop(ring), "date", run_date=when, id=name, replace_existing=True)

    def ring_all(self, now: datetime) -> None:
        """Ring every alarm: the clock was set, and what waits for a time of day might wait for long."""
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=now)

    def cancel(self, name: str) -> None:
        """Forget an alarm, if there is one."""
        try:
            self._scheduler.remove_job(name)
        except JobLookupError:
            return


def _on_loop(ring: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    """Return a coroutine function: APScheduler runs those on the event loop, and all others in a thread."""

    async def job() -> None:
        ring()

    return job
