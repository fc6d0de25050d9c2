"""Values that people write in YAML: durations, percentages, names; and the base of all our own kinds.

Stage: none (pure).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_READABLE_MAX = timedelta(hours=2_562_047)  # Source: pkg.go.dev/time, Duration: int64 nanoseconds
DURATION_MAX = timedelta(days=366)  # of what our own kinds ask for; a hundred of them are still a date


def parse_duration(text: str) -> timedelta:
    """Read a Go-style duration such as `10s`, `1m30s` or `250ms`. Raises ValueError.

    Source: kubernetes.io, metav1.Duration; Istio writes its durations in the same form.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; write for example 30s, 10m or 1h30m")
    seconds = sum(float(n) * _UNIT_SECONDS[u] for n, u in _DURATION_PART.findall(text))
    if seconds > _READABLE_MAX.total_seconds():
        raise ValueError(f"{text[:40]!r} is too long: at most {format_duration(_READABLE_MAX)}")
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """Write a duration in the form that `parse_duration` reads, for example `1m30s`."""
    milliseconds = round(value.total_seconds() * 1000)
    if milliseconds == 0:
        return "0s"
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def read_duration(value: Any) -> Any:
    """Return the duration that a text of one of our own kinds stands for. Raises ValueError."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("a duration is text such as 30s, 10m or 1h30m")
    duration = parse_duration(value)
    if duration > DURATION_MAX:
        raise ValueError(f"{value[:40]!r} is too long: at most {format_duration(DURATION_MAX)}")
    return duration


def parse_percent(value: Any) -> float:
    """Read a percentage such as `1%`, `0.5 %` or 2. Raises ValueError."""
    if isinstance(value, str):
        number = value.strip().removesuffix("%").strip()
        try:
            value = float(number)
        except ValueError:
            raise ValueError(f"{value!r} is not a percentage; write for example 1% or 0.5") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a percentage is a number or text such as 1%")
    if not 0 <= value <= 100:
        raise ValueError(f"{value:g} is not between 0 and 100")
    return float(value)


Duration = Annotated[
    timedelta,
    BeforeValidator(read_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string"}),
]
Percent = Annotated[
    float,
    BeforeValidator(parse_percent),
    WithJsonSchema({"type": "number"}),
]


class ApiModel(BaseModel):
    """Base of everything that GitMesh itself defines in YAML or JSON: camelCase, strict, immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, strict=False
    )

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form, without the fields that are unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
