"""Analysis: how the guard judges a rollout, as it is written in a policy.

Stage: none (pure).
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gitmesh.model.values import ApiModel, Duration, Percent


class ErrorRate(ApiModel):
    """The share of requests to the canary that failed, in percent."""

    name: Literal["error-rate"] = "error-rate"
    max: Percent
    min_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 50


class Response(StrEnum):
    """What a rollout does when there is no verdict. Rolling back on blindness is never the default."""

    HOLD = "hold"
    ROLL_BACK = "rollback"


class Analysis(ApiModel):
    """How the guard judges a rollout: every `interval`, over the last `window` of requests.

    A rollout is rolled back once `failures` checks in a row failed.
    """

    interval: Duration = timedelta(seconds=10)
    window: Duration = timedelta(minutes=1)
    failures: Annotated[int, Field(ge=1, le=100)] = 2
    metrics: tuple[ErrorRate, ...] = (ErrorRate(max=1.0),)
    on_insufficient_data: Response = Response.HOLD
    on_metrics_unavailable: Response = Response.HOLD

    @model_validator(mode="after")
    def _bounds(self) -> Analysis:
        if self.interval < timedelta(milliseconds=100):
            raise ValueError("interval must be at least 100ms")
        if self.window < self.interval:
            raise ValueError("window must not be shorter than interval")
        return self
