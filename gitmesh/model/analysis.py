"""Analysis: how the guard judges a rollout, as it is written in a policy.

Stage: none (pure).
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from gitmesh.model.metric import Metric
from gitmesh.model.values import ApiModel, Duration, Percent


class Mode(StrEnum):
    """How shares of requests are judged: by evidence, or by what the last window shows."""

    SEQUENTIAL = "sequential"
    THRESHOLD = "threshold"


class Response(StrEnum):
    """What a rollout does when there is no verdict. Rolling back on blindness is never the default."""

    HOLD = "hold"
    ROLL_BACK = "rollback"


class Analysis(ApiModel):
    """How the guard judges a rollout, every `interval`.

    Mode sequential counts all requests since the rollout began. It rolls back as soon as the evidence says
    that a bound is broken, wrongly in at most `alpha` of all rollouts, and advances when the evidence of the
    step says with `confidence` that it is kept. Mode threshold looks at the last `window`, and rolls back
    when a bound was broken in `failures` of the last `of` checks; so are judged, in both modes, metrics that
    are no share of requests. `of` is `failures` where it is not said, which means in a row.
    """

    mode: Mode = Mode.SEQUENTIAL
    interval: Duration = timedelta(seconds=5)
    window: Duration = timedelta(minutes=1)
    failures: Annotated[int, Field(ge=1, le=100)] = 2
    of: Annotated[int, Field(ge=1, le=100)] | None = None
    alpha: Percent = 0.1
    confidence: Percent = 95.0
    provider: Annotated[str, Field(max_length=100)] = ""
    metrics: Annotated[tuple[Metric, ...], Field(max_length=20)] = (Metric(max=1.0),)
    on_insufficient_data: Response = Response.HOLD
    on_metrics_unavailable: Response = Response.HOLD

    @property
    def checks(self) -> int:
        """How many checks are looked at together."""
        return self.of or self.failures

    @field_validator("alpha")
    @classmethod
    def _may_be_wrong(cls, value: float) -> float:
        if not 1e-7 <= value <= 20:
            raise ValueError("alpha is more than 0% and at most 20%: no evidence is ever certain")
        return value

    @field_validator("confidence")
    @classmethod
    def _may_be_unsure(cls, value: float) -> float:
        if not 50 <= value <= 99.9999:
            raise ValueError("confidence is at least 50% and less than 100%: no evidence is ever certain")
        return value

    @field_validator("metrics")
    @classmethod
    def _told_apart(cls, value: tuple[Metric, ...]) -> tuple[Metric, ...]:
        seen: set[str] = set()
        for index, metric in enumerate(value):
            if metric.claim in seen:
                why = f"{metric.name} stands twice with the same bound"
                raise PydanticCustomError("contradiction", "{why}", {"why": why, "at": (index, "name")})
            seen.add(metric.claim)
        return value

    @model_validator(mode="after")
    def _bounds(self) -> Analysis:
        if self.interval < timedelta(milliseconds=100):
            raise ValueError("interval must be at least 100ms")
        if self.window < self.interval:
            raise ValueError("window must not be shorter than interval")
        if self.of is not None and self.of < self.failures:
            raise ValueError("of must not be less than failures: so many could never fail")
        return self
