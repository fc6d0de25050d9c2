"""How much counters have grown since any moment, from scrapes of their totals.

Stage: observe (pure). A counter that became smaller, or that is new, began at zero: its process did. What had
been counted before the first scrape belongs to no time.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

SAMPLES_MAX = 1_024
ANCHORS_MAX = 10_000
STRETCH = 2.0  # a difference may span up to so many windows, never more

SeriesKey = tuple[str, str]  # name, labels as text
K = TypeVar("K", bound=Hashable)  # what a series counts for


@dataclass(frozen=True, slots=True)
class Totals(Generic[K]):
    """All that was counted since the first scrape, at one moment."""

    at: float
    counts: Mapping[K, float] = field(default_factory=dict)

    def since(self, base: Totals[K], key: K) -> float:
        """Return the growth of one count."""
        return self.counts.get(key, 0.0) - base.counts.get(key, 0.0)


class Growth(Generic[K]):
    """The totals of the last scrapes. Moments are seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self.history: list[Totals[K]] = []
        self._values: dict[SeriesKey, float] = {}  # of the last scrape
        self._anchors: OrderedDict[datetime, Totals[K]] = OrderedDict()

    @property
    def newest(self) -> Totals[K]:
        """The totals of the last scrape; there must have been one."""
        return self.history[-1]

    def take(
        self, at: float, found: Mapping[SeriesKey, float], counts_for: Mapping[SeriesKey, Sequence[K]]
    ) -> None:
        """Take in a scrape: the value of each series, and what each counts for."""
        if not self.history:
            self.history.append(Totals(at))
        else:
            counts = defaultdict(float, self.newest.counts)
            for series, value in found.items():
                before = self._values.get(series, 0.0)
                growth = value - before if value >= before else value
                for key in counts_for[series] if growth else ():
                    counts[key] += growth
            self.history.append(Totals(at, dict(counts)))
        self._values = dict(found)

    def prune(self, longest: float) -> None:
        """Forget what no window of so many seconds reaches."""
        keep_from = self.newest.at - STRETCH * longest
        self.history = [totals for totals in self.history if totals.at >= keep_from]
        if len(self.history) > SAMPLES_MAX:
            # The older half needs only half the resolution.
            del self.history[1 : SAMPLES_MAX // 2 : 2]

    def window(self, seconds: float) -> Totals[K]:
        """Return what to subtract: the newest that is a window old, else the oldest younger one.

        One that is far older is none: in the time between, nobody asked, and what happened then is not asked
        now.
        """
        newest = self.newest.at
        recent = [totals for totals in self.history if totals.at >= newest - STRETCH * seconds]
        old_enough = [totals for totals in recent if totals.at <= newest - seconds]
        return old_enough[-1] if old_enough else recent[0]

    def anchored(self, anchor: datetime, at: float) -> Totals[K]:
        """Return what to subtract for all that came since `anchor`, which was at `at`: always the same.

        The first scrape after it: what the scrape of that moment showed was counted up to there already.
        """
        base = self._anchors.get(anchor)
        if base is None:
            base = next((totals for totals in self.history if totals.at >= at), self.newest)
            self._anchors[anchor] = base
            if len(self._anchors) > ANCHORS_MAX:
                self._anchors.popitem(last=False)
        self._anchors.move_to_end(anchor)
        return base
