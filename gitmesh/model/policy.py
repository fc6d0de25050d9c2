"""RolloutPolicy: how a change travels from stable to desired, as it is written in Git.

Stage: none (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from gitmesh.model.analysis import Analysis
from gitmesh.model.intent import Overrule
from gitmesh.model.resource import ResourceKey
from gitmesh.model.selector import Precision, Selector, hosts_of
from gitmesh.model.steps import STEPS_MAX, Step, check_order, expand_ramp
from gitmesh.model.values import ApiModel, Duration

_Name = Annotated[str, Field(min_length=1, max_length=253)]


class Walk(StrEnum):
    """What a policy walks in steps."""

    WEIGHTS = "weights"  # other changes are live at once, then baked
    ROUTES = "routes"  # any change of a route, by the share of request ids that takes it


class OnDeadline(StrEnum):
    """What a rollout does that has not ended in time."""

    ROLL_BACK = "rollback"
    HOLD = "hold"


class Window(ApiModel):
    """When steps forward may be taken: from each moment of `cron`, local to `timezone`, for `duration`."""

    cron: Annotated[str, Field(min_length=1, max_length=200)]
    duration: Duration
    timezone: Annotated[str, Field(min_length=1, max_length=100)] = "UTC"

    @field_validator("duration")
    @classmethod
    def _some_time(cls, value: timedelta) -> timedelta:
        if not timedelta(0) < value <= timedelta(days=31):
            raise ValueError("a window lasts more than 0s and at most 744h")
        return value


class Rollback(ApiModel):
    """What a rollback does to Git, which is then ahead of the cluster."""

    revert: Literal["none", "push", "branch"] = "none"


class RolloutPolicySpec(ApiModel):
    """The spec of a RolloutPolicy. Without `analysis` the steps advance by time alone.

    In JSON that is an analysis of no metrics: a record holds this spec, and an API server drops a null, which
    would come back as the default analysis. `ramp` is another way to write `steps`, and is empty once read.
    """

    select: Selector = Selector()
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=STEPS_MAX)] = (Step(progress=100.0),)
    ramp: Annotated[str, Field(max_length=100)] = ""
    walk: Walk = Walk.WEIGHTS
    windows: Annotated[tuple[Window, ...], Field(max_length=20)] = ()
    overrule: Overrule = Overrule.ALLOWED
    max_concurrent: Annotated[int, Field(ge=1, le=10_000)] | None = None
    after: Annotated[tuple[_Name, ...], Field(max_length=100)] = ()
    group: Annotated[str, Field(max_length=253)] = ""
    analysis: Analysis | None = Analysis()
    bake: Duration = timedelta(0)
    deadline: Duration | None = None
    on_deadline: OnDeadline = OnDeadline.ROLL_BACK
    rollback: Rollback = Rollback()

    @model_validator(mode="before")
    @classmethod
    def _ramp_as_steps(cls, value: Any) -> Any:
        """Write a ramp out. One that is wrong stays, and is told where it stands."""
        if not isinstance(value, Mapping) or not isinstance(value.get("ramp"), str) or "steps" in value:
            return value
        try:
            steps = expand_ramp(value["ramp"])
        except ValueError:
            return value
        return {**{name: part for name, part in value.items() if name != "ramp"}, "steps": steps}

    @field_validator("ramp")
    @classmethod
    def _is_a_ramp(cls, value: str) -> str:
        if value:
            expand_ramp(value)
            raise ValueError("ramp and steps exclude each other: a ramp stands for steps")
        return value

    @field_validator("steps")
    @classmethod
    def _steps_climb(cls, value: tuple[Step, ...]) -> tuple[Step, ...]:
        check_order(value)
        return value

    @field_validator("analysis")
    @classmethod
    def _of_something(cls, value: Analysis | None) -> Analysis | None:
        return value if value and value.metrics else None

    @field_validator("deadline")
    @classmethod
    def _some_time(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and value <= timedelta(0):
            raise ValueError("a deadline is more than 0s")
        return value

    @model_serializer(mode="wrap")
    def _say_that_there_is_none(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        said: dict[str, Any] = handler(self)
        return said if self.analysis else {**said, "analysis": {"metrics": []}}


class RolloutPolicy(ApiModel):
    """One policy with its name and place in the cluster's namespaces."""

    name: str
    namespace: str
    spec: RolloutPolicySpec

    @property
    def full_name(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    def matches(self, key: ResourceKey, spec: Mapping[str, Any]) -> bool:
        """Say whether this policy is for the object `key` with that spec."""
        return self.precision(key, spec) is not None

    def precision(self, key: ResourceKey, spec: Mapping[str, Any]) -> Precision | None:
        """Return how precisely this policy is for an object; None when it is not for it."""
        return self.spec.select.precision(key, hosts_of(key, spec))


def most_precise(
    policies: Iterable[RolloutPolicy], key: ResourceKey, spec: Mapping[str, Any]
) -> tuple[RolloutPolicy, ...]:
    """Return the policies that select an object most precisely: none, one, or several that are equal.

    Names come before hosts, hosts before namespaces, and each exactly before by wildcard.
    """
    hosts = hosts_of(key, spec)
    found = [(how, p) for p in policies if (how := p.spec.select.precision(key, hosts)) is not None]
    best = max((how for how, _ in found), default=None)
    return tuple(policy for how, policy in found if how == best)
