"""Windows: whether steps forward may be taken now, until when, and when they may again.

Stage: none (pure). A window is open for a time that has passed, not for what a clock on the wall shows: one
of 8h is open for 8 hours also in the night in which clocks are set.
Source: Debian cron(8) for times that do not exist or come twice: 02:30 runs at 03:00, or once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from gitmesh.model.calendar import cron_problem, zone_named, zone_problem
from gitmesh.model.policy import Window

_LINKS_MAX = 64  # windows that follow one another without a gap, as far as anybody wants to know
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether a set of windows is open, and the moment that changes it; None: never, as far as one can see.

    `problem` says why a window cannot be read. Such a window never opens.
    """

    is_open: bool
    until: datetime | None = None
    problem: str = ""


@dataclass(slots=True)
class Calendar:
    """Answers for one moment; each set of windows is looked at once."""

    now: datetime
    _known: dict[tuple[Window, ...], Opening] = field(default_factory=dict)

    def opening(self, windows: tuple[Window, ...]) -> Opening:
        """Say whether one of the windows is open now. Without windows it always is."""
        if not windows:
            return Opening(True)
        known = self._known.get(windows)
        if known is None:
            known = self._known[windows] = opening_at(windows, self.now)
        return known


def opening_at(windows: tuple[Window, ...], at: datetime) -> Opening:
    """Say whether one of the windows is open at a moment."""
    if not windows:
        return Opening(True)
    problem = next((text for window in windows if (text := problem_of(window))), "")
    readable = [window for window in windows if not problem_of(window)]
    end = _open_until(readable, at)
    if end is None or end > at:
        return Opening(True, end, problem)
    starts = [start for window in readable if (start := next_start(window, at)) is not None]
    return Opening(False, min(starts, default=None), problem)


def problem_of(window: Window) -> str:
    """Say why a window cannot be read, or never opens; empty when it can."""
    return zone_problem(window.timezone) or cron_problem(window.cron)


def _open_until(windows: Iterable[Window], at: datetime) -> datetime | None:
    """Return the end of what is open at a moment, without a gap: the moment itself when nothing is.

    None when no end is in sight.
    """
    windows, end = tuple(windows), at
    for _ in range(_LINKS_MAX):
        later = max((_end(window, end) for window in windows), default=end)
        if later <= end:
            return end
        end = later
    return None


def _end(window: Window, at: datetime) -> datetime:
    """Return the end of the latest occurrence that is open at a moment; the moment itself when none is."""
    start = next_start(window, at - window.duration)
    if start is None or start > at:
        return at
    # Of several that are open the latest lasts longest. Where clocks are set it may not be found so; then
    # the first one ends earlier, and the next link of the chain goes on from there.
    return max(start, _latest(window, at) or start) + window.duration


def _latest(window: Window, at: datetime) -> datetime | None:
    zone = _zone(window)
    local = next(_wall(window, at.astimezone(zone) + _SECOND, reverse=True), None)
    if local is None:
        return None
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    is_wall_time = moment.astimezone(zone).replace(tzinfo=None) == local
    return moment if is_wall_time and moment <= at else None


def next_start(window: Window, after: datetime) -> datetime | None:
    """Return when a window opens next, later than `after`; None when it never does."""
    if _every_hour(window.cron):
        return _next_on_any_clock(window, after)
    zone = _zone(window)
    for local in _wall(window, after.astimezone(zone)):
        # One that comes twice is the first of them; one that does not exist is the next moment that does.
        moment = _existing(local, zone)
        if moment > after:
            return moment
    return None


def _next_on_any_clock(window: Window, after: datetime) -> datetime | None:
    """Return the next start where hours that come twice count twice, and hours that do not exist never."""
    zone, begin, inclusive = _zone(window), after, False
    for _ in range(_LINKS_MAX):
        here = begin.astimezone(zone)
        local = next(_wall(window, here - _SECOND if inclusive else here), None)
        if local is None:
            return None
        offset = here.utcoffset() or timedelta(0)
        moment = (local - offset).replace(tzinfo=UTC)
        if moment.astimezone(zone).utcoffset() == offset:
            return moment
        begin, inclusive = _setting(zone, begin, moment), True
    return None


def _setting(zone: ZoneInfo, early: datetime, late: datetime) -> datetime:
    """Return the first second with another offset than `early`, between it and `late`."""
    offset = early.astimezone(zone).utcoffset()
    low, high = early.replace(microsecond=0), late
    while high - low > _SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == offset else (low, middle)
    return high


def _existing(local: datetime, zone: ZoneInfo) -> datetime:
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    return _setting(zone, moment - timedelta(days=1), moment)


def _every_hour(cron: str) -> bool:
    """Say whether an expression is for every hour, or minute, so that it is not about a time of the day."""
    minute, hour, *_ = cron.split()
    return minute.startswith("*") or hour.startswith("*")


def _zone(window: Window) -> ZoneInfo:
    zone = zone_named(window.timezone)
    assert zone is not None, "the caller leaves out what cannot be read"
    return zone


def _wall(window: Window, at: datetime, *, reverse: bool = False) -> CronSim:
    """Iterate what a clock on the wall shows, which knows no offsets.

    With offsets the library misses hours of zones that set their clocks by half an hour.
    """
    return CronSim(window.cron, at.replace(tzinfo=None), reverse=reverse)
