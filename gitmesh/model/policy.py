"""RolloutPolicy: how a change travels from stable to desired, as it is written in Git.

Stage: none (pure).
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from gitmesh.model.resource import ResourceKey
from gitmesh.model.values import ApiModel, Duration, Percent


class Selector(ApiModel):
    """Which VirtualServices a policy is for. An empty list matches everything; patterns use `*` and `?`."""

    kinds: tuple[Literal["VirtualService"], ...] = ("VirtualService",)
    namespaces: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def matches(self, key: ResourceKey, hosts: tuple[str, ...]) -> bool:
        """Say whether the policy is for this object; `hosts` as the VirtualService writes them."""
        return (
            key.kind in self.kinds
            and _any_match(self.namespaces, (key.namespace,))
            and _any_match(self.names, (key.name,))
            and _any_match(self.hosts, hosts)
        )


def _any_match(patterns: tuple[str, ...], values: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(value, pattern) for value in values for pattern in patterns)


class Step(ApiModel):
    """One stop on the way: `progress` percent of the way to the target, held for at least `hold`."""

    progress: Percent
    hold: Duration = timedelta(0)


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


class RolloutPolicySpec(ApiModel):
    """The spec of a RolloutPolicy. Without `analysis` the steps advance by time alone.

    In JSON that is an analysis of no metrics: a record holds this spec, and an API server drops a null, which
    would come back as the default analysis.
    """

    select: Selector = Selector()
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=100)] = (Step(progress=100.0),)
    analysis: Analysis | None = Analysis()
    bake: Duration = timedelta(0)

    @field_validator("analysis")
    @classmethod
    def _of_something(cls, value: Analysis | None) -> Analysis | None:
        return value if value and value.metrics else None

    @model_serializer(mode="wrap")
    def _say_that_there_is_none(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        said: dict[str, Any] = handler(self)
        return said if self.analysis else {**said, "analysis": {"metrics": []}}

    @model_validator(mode="after")
    def _steps_climb(self) -> RolloutPolicySpec:
        progresses = [step.progress for step in self.steps]
        if any(later <= earlier for earlier, later in pairwise(progresses)):
            raise ValueError("steps must grow: each progress must be larger than the one before")
        if progresses[-1] != 100:
            raise ValueError("the last step must have progress: 100")
        return self


class RolloutPolicy(ApiModel):
    """One policy with its name and place in the cluster's namespaces."""

    name: str
    namespace: str
    spec: RolloutPolicySpec

    def matches(self, key: ResourceKey, spec: dict[str, Any] | Any) -> bool:
        """Say whether this policy is for the VirtualService `key` with that spec."""
        hosts = tuple(h for h in spec.get("hosts") or () if isinstance(h, str))
        return self.spec.select.matches(key, hosts)
