"""What a receiver remembers, within bounds: deliveries that came before, and how many came of late.

Stage: none (face). The clock comes with each question.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable


class Deliveries:
    """Marks of deliveries, each until its moment has passed. The oldest leave where there are too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._until: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def is_new(self, marks: Iterable[str], until: float, now: float) -> bool:
        """Say whether none of the marks is known, and know them from now on."""
        wanted = list(marks)
        if any(self._until.get(mark, now) > now for mark in wanted):
            return False
        for mark in wanted:
            self._until.pop(mark, None)
            self._until[mark] = until
        self._tidy(now)
        return True

    def forget(self, marks: Iterable[str]) -> None:
        """Let a delivery come again: it could not be served."""
        for mark in marks:
            self._until.pop(mark, None)

    def _tidy(self, now: float) -> None:
        while self._until:
            first = next(iter(self._until))
            if len(self._until) <= self._most and self._until[first] > now:
                return
            del self._until[first]


class Allowance:
    """So many a minute, and as many at once as a minute has."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._left = float(per_minute)
        self._seen = 0.0

    def takes(self, now: float) -> bool:
        """Take one, if there is one left; `now` is in seconds that never go back."""
        if self._seen:
            self._left = min(self._per_minute, self._left + (now - self._seen) * self._per_minute / 60)
        self._seen = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
