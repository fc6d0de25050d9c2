"""What is asked of a metrics provider, and what it answers.

Stage: none (pure).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from gitmesh.model.rollout import Target


@dataclass(frozen=True, slots=True)
class RequestQuery:
    """Count the requests to one target in the last `window`."""

    target: Target
    window: timedelta


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
class MetricsFailure:
    """Why a query has no answer. The guard is blind for it: neither good nor bad."""

    message: str
