"""When what could not be done is tried again, for how long it is tried, and what may still be done late.

Stage: engine (shell).
"""

from __future__ import annotations

from datetime import timedelta
from math import inf

from gitmesh.apply.executor import Applied
from gitmesh.engine.report import PassReport
from gitmesh.model.resource import ResourceKey

RETRY_FIRST, RETRY_MAX = timedelta(seconds=1), timedelta(seconds=30)
ROLLBACK_RETRY = timedelta(milliseconds=500)
# What the server refused it may accept later, and nothing says when: a namespace comes, a webhook changes.
REFUSED_RETRY = timedelta(minutes=1)
_DOUBLINGS_MAX = 10
PATIENCE_FIRST_SECONDS = 2.0
DOUBT_SECONDS = 60.0  # how late a write may be carried out that nobody answered


def retry_delay(report: PassReport, failures: int) -> timedelta | None:
    """Return when to pass again after an incomplete pass; None after a complete one.

    `failures` counts the incomplete passes in a row before this one.
    """
    if report.preempted:
        return timedelta(0)
    if report.rollback_pending:
        return ROLLBACK_RETRY
    if report.errors or report.overtaken:
        return min(RETRY_FIRST * (1 << min(failures, _DOUBLINGS_MAX)), RETRY_MAX)
    return REFUSED_RETRY if report.refusals else None


class Patience:
    """How long the writes of a rollback are waited for: briefly at first, for others may have to wait too.

    Each time in vain it is doubled, up to the time limit of every request: a slow server gets its time.
    """

    def __init__(self, most_seconds: float) -> None:
        self.most_seconds = most_seconds
        self._failures: dict[ResourceKey, int] = {}
        self._tried: dict[ResourceKey, float] = {}

    def seconds(self, key: ResourceKey) -> float:
        """Return how long to wait this time."""
        doublings = min(self._failures.get(key, 0), _DOUBLINGS_MAX)
        return float(min(PATIENCE_FIRST_SECONDS * (1 << doublings), self.most_seconds))

    def since(self, key: ResourceKey, now: float) -> float:
        """Return how many seconds ago it was tried in vain; infinite when it was not."""
        return now - self._tried.get(key, -inf)

    def disappointed(self, key: ResourceKey, now: float) -> None:
        """Note that it was tried in vain."""
        self._failures[key] = self._failures.get(key, 0) + 1
        self._tried[key] = now

    def rewarded(self, key: ResourceKey) -> None:
        """Note that it is done."""
        self._failures.pop(key, None)
        self._tried.pop(key, None)


class Doubts:
    """The objects of which a write was never answered: it may be carried out yet."""

    def __init__(self) -> None:
        self._until: dict[ResourceKey, float] = {}

    def note(self, applied: Applied, now: float) -> None:
        """Remember a change without an answer."""
        if applied.is_open:
            self._until[applied.change.key] = now + DOUBT_SECONDS

    def standing(self, now: float) -> frozenset[ResourceKey]:
        """Return those that are in doubt now."""
        self._until = {key: until for key, until in self._until.items() if until > now}
        return frozenset(self._until)
