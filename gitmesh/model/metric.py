"""Metric: one thing that the guard looks at, and what it is held against.

Stage: none (pure).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, WithJsonSchema, field_validator, model_validator
from pydantic_core import PydanticCustomError

from gitmesh.model.values import ApiModel, parse_duration, parse_percent

ERROR_RATE, REQUEST_RATE = "error-rate", "requests-per-second"
QUERY_VARIABLES = ("namespace", "host", "subset", "version", "window")  # written as $namespace in a query
BUILT_IN = f"{ERROR_RATE}, latency-p99 (or another quantile), {REQUEST_RATE}"
_LATENCY = re.compile(r"latency-p(\d{1,2}(?:\.\d{1,3})?)")
_MARGINS = {"errors": "1%", "latency": "20%", "value": "10%"}

_Bound = Annotated[float | None, Field(allow_inf_nan=False), WithJsonSchema({"type": "number"})]


class Kind(StrEnum):
    """What is measured. The first two are shares of requests; the others are only numbers."""

    ERRORS = "errors"
    LATENCY = "latency"
    RATE = "rate"
    VALUE = "value"

    @property
    def is_share(self) -> bool:
        """True for what is counted request by request, so that evidence can be weighed."""
        return self in (Kind.ERRORS, Kind.LATENCY)


def kind_of(name: str) -> Kind:
    """Return what a metric of this name measures."""
    if name == ERROR_RATE:
        return Kind.ERRORS
    if name == REQUEST_RATE:
        return Kind.RATE
    return Kind.LATENCY if _LATENCY.fullmatch(name) else Kind.VALUE


class Metric(ApiModel):
    """One metric with its bound: a fixed one, or what the stable version shows in the same time.

    `max` and `min` are in percent for error-rate, in milliseconds for a latency, and else in whatever unit
    the query has. `margin` is by how much the canary may be worse than stable: percentage points for
    error-rate, a duration or a percentage of stable's for a latency, a number or a percentage for a query.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)] = ERROR_RATE
    max: _Bound = None
    min: _Bound = None
    compare: Literal["", "stable"] = ""
    margin: Annotated[str, Field(max_length=20)] = ""
    min_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    query: Annotated[str, Field(max_length=10_000)] = ""

    @property
    def kind(self) -> Kind:
        """What it measures."""
        return kind_of(self.name)

    @property
    def quantile(self) -> float:
        """Of a latency: the share of requests that must not be slower, from 0 to 1."""
        found = _LATENCY.fullmatch(self.name)
        assert found is not None, f"{self.name} has no quantile"
        return float(found[1]) / 100

    @property
    def unit(self) -> str:
        """What stands behind a value."""
        return {Kind.ERRORS: " %", Kind.LATENCY: " ms", Kind.RATE: "/s", Kind.VALUE: ""}[self.kind]

    @property
    def claim(self) -> str:
        """What evidence is evidence for or against. Another bound is another claim."""
        against = f"stable+{self.margin}" if self.compare else f"{self.min}..{self.max}"
        return f"{self.name} {against}"

    def above_stable(self, value: float) -> float:
        """Return the bound that follows from the stable version's value."""
        if self.kind is not Kind.ERRORS and self.margin.endswith("%"):
            return value + abs(value) * float(self.margin.removesuffix("%")) / 100
        if self.kind is Kind.LATENCY:
            return value + parse_duration(self.margin).total_seconds() * 1000
        return value + (parse_percent(self.margin) if self.kind is Kind.ERRORS else float(self.margin))

    @field_validator("max", mode="before")
    @classmethod
    def _in_its_unit(cls, value: Any, info: ValidationInfo) -> Any:
        kind = kind_of(info.data.get("name", ERROR_RATE))
        if value is None:
            return None
        if kind is Kind.ERRORS:
            return parse_percent(value)
        if kind is Kind.LATENCY and isinstance(value, str):
            return parse_duration(value).total_seconds() * 1000
        if isinstance(value, str):
            raise ValueError(f"{info.data.get('name')} takes a number; metrics with a unit are {BUILT_IN}")
        return value

    @field_validator("margin", mode="before")
    @classmethod
    def _as_text(cls, value: Any, info: ValidationInfo) -> Any:
        kind, text = kind_of(info.data.get("name", ERROR_RATE)), str(value).strip()
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return value
        if not text:
            return ""
        if kind is Kind.ERRORS:
            return f"{parse_percent(value):g}%"
        if text.endswith("%"):
            return f"{_positive(text.removesuffix('%')):g}%"
        if kind is Kind.LATENCY:
            parse_duration(text)
            return text
        return f"{_positive(text):g}"

    @model_validator(mode="after")
    def _says_a_bound(self) -> Metric:
        wrong = self._wrong()
        if wrong is not None:
            at, why = wrong
            raise PydanticCustomError("contradiction", "{why}", {"why": why, "at": (at,)})
        if self.compare and not self.margin:
            object.__setattr__(self, "margin", _MARGINS[self.kind])
        return self

    def _wrong(self) -> tuple[str, str] | None:
        """Say which field contradicts the others, and why."""
        kind = self.kind
        if kind is Kind.VALUE and not self.query:
            return "name", f"{self.name} is no metric of its own; there are {BUILT_IN}; any other has a query"
        if kind is Kind.LATENCY and not self.quantile > 0:
            return "name", f"{self.name} is no quantile; write for example latency-p99"
        if kind is not Kind.VALUE and self.query:
            return "query", f"{self.name} has a query of its own; give yours another name"
        if self.compare and (self.max is not None or self.min is not None):
            return "compare", "compare and a fixed bound are two metrics: write each by itself"
        if self.margin and not self.compare:
            return "margin", "margin is for compare: stable"
        if kind is Kind.RATE and (self.compare or self.max is not None or self.min is None):
            return "name", f"{self.name} has a floor: say min, for example min: 5"
        if kind.is_share and self.min is not None:
            return "min", f"{self.name} has no min"
        if not self.compare and self.max is None and self.min is None:
            return "name", f"say what {self.name} is held against: max, or compare: stable"
        return None


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number; write for example 20%, 50ms or 0.5") from None
    if not 0 <= number < 1e12:
        raise ValueError(f"a margin is 0 or more, not {text}")
    return number
