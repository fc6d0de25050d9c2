"""What is asked of a metrics provider, and what it answers.

Stage: none (pure).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitmesh.model.rollout import Target

# From there on a float cannot be counted up by one: no counter of requests has ever got so far.
COUNT_MAX = 2.0**53
VALUE_MAX = 1e300  # of any number: with a margin added, it still is one


@dataclass(frozen=True, slots=True)
class RequestQuery:
    """Count the requests to one target in the last `window`.

    With `since` the question is how many there were since that moment, which is a window ago: asked again
    with the same moment, the answer grows by what has happened meanwhile. `provider` is the name of one of
    the daemon's providers; empty: the first. With `copies` the copies of requests count as well: those who
    send them do not count them, so that other counters have to be asked.
    """

    target: Target
    window: timedelta
    since: datetime | None = None
    provider: str = ""
    copies: bool = False


@dataclass(frozen=True, slots=True)
class LatencyQuery:
    """Count the requests to one target by how long they took. The fields are those of a RequestQuery."""

    target: Target
    window: timedelta
    since: datetime | None = None
    provider: str = ""
    copies: bool = False


@dataclass(frozen=True, slots=True)
class ValueQuery:
    """Ask for one number with a query in the provider's own words."""

    text: str
    provider: str = ""


Query = RequestQuery | LatencyQuery | ValueQuery


@dataclass(frozen=True, slots=True)
class RequestStats:
    """Requests to one target in one window; counts may be fractions where a provider interpolates.

    Failed means: HTTP status 5xx, no answer at all (status 0), or a gRPC status that is a server's failure,
    also on HTTP 200. `query` is what was asked, in the provider's own words.
    """

    requests: float
    failed: float
    query: str


@dataclass(frozen=True, slots=True)
class LatencyStats:
    """Requests by duration. `buckets`: (upper bound in milliseconds, how many took at most so long), rising.

    The last bound is infinite, and its count is that of all requests.
    """

    buckets: tuple[tuple[float, float], ...]
    query: str

    @property
    def requests(self) -> float:
        """How many there were."""
        return self.buckets[-1][1] if self.buckets else 0.0

    def slower_than(self, milliseconds: float) -> float:
        """Return how many took longer. Inside a bucket they are taken as spread evenly."""
        low = count_below = 0.0
        for bound, count in self.buckets:
            if milliseconds <= bound:
                inside = count - count_below
                part = 0.0 if math.isinf(bound) or bound <= low else (milliseconds - low) / (bound - low)
                return self.requests - count_below - inside * part
            low, count_below = bound, count
        return 0.0

    def quantile(self, share: float) -> float:
        """Return how long at most the fastest `share` of the requests took; of a last bucket its start."""
        wanted, low, count_below = share * self.requests, 0.0, 0.0
        for bound, count in self.buckets:
            if count >= wanted and count > count_below:
                if math.isinf(bound):
                    return low
                return low + (bound - low) * (wanted - count_below) / (count - count_below)
            low, count_below = bound, count
        return low if math.isfinite(low) else 0.0


@dataclass(frozen=True, slots=True)
class ValueStats:
    """One number."""

    value: float
    query: str


@dataclass(frozen=True, slots=True)
class MetricsFailure:
    """Why a query has no answer. The guard is blind for it: neither good nor bad."""

    message: str


Answer = RequestStats | LatencyStats | ValueStats | MetricsFailure
