"""The scalars and containers of Istio's API, with Istio's bounds.

Stage: validate (pure). Source: the CRDs of Istio 1.30.3 (formats, CEL rules) and pkg/config/validation.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, Strict
from pydantic_core import PydanticCustomError

T = TypeVar("T")

_UNIT_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern})+", re.ASCII)
_DURATION_CHARS_MAX = 64


def duration_nanoseconds(text: str) -> float:
    """Return the length of a Go duration. Raises pydantic's error for other text.

    Source: Go, time.ParseDuration.
    """
    if text in ("0", "+0"):
        return 0
    unsigned = text.removeprefix("+")
    if len(text) > _DURATION_CHARS_MAX or not _DURATION.fullmatch(unsigned):
        raise PydanticCustomError("duration", "{found} is not a duration", {"found": repr(text)[:80]})
    return sum(float(n) * _UNIT_NANOSECONDS[u] for n, u in _DURATION_PART.findall(unsigned))


def _positive_duration(text: str) -> str:
    """Source: CEL rule `duration(self) >= duration('1ms')` of the CRDs; whole milliseconds: the webhook."""
    nanoseconds = duration_nanoseconds(text)
    if nanoseconds < 1_000_000:
        raise PydanticCustomError("duration", "a duration must be at least 1ms")
    if round(nanoseconds) % 1_000_000:
        raise PydanticCustomError("duration", "a duration must be a whole number of milliseconds")
    return text


def _any_duration(text: str) -> str:
    if duration_nanoseconds(text):
        _positive_duration(text)
    return text


def _readable_duration(text: str) -> str:
    duration_nanoseconds(text)
    return text


def _no_tuple_for_null(value: Any) -> Any:
    return () if value is None else value


def no_map_for_null(value: Any) -> Any:
    """Return an empty map for null, and anything else as it is."""
    return {} if value is None else value


# A list; an explicit null is an empty one, as an API server drops a null before it stores the object.
Items = Annotated[tuple[T, ...], Strict(False), BeforeValidator(_no_tuple_for_null)]
# A map from names to values; null as above.
Map = Annotated[dict[str, T], BeforeValidator(no_map_for_null)]

# Text such as 10s, 1m30s or 250ms.
Duration = Annotated[str, AfterValidator(_positive_duration)]
# The same, and 0s is allowed: never.
DurationOrZero = Annotated[str, AfterValidator(_any_duration)]
# The same, however short.
DurationOfAnyLength = Annotated[str, AfterValidator(_readable_duration)]

Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1, json_schema_extra={"format": "int32"})]
NotNegative = Annotated[int, Field(ge=0, le=2**31 - 1, json_schema_extra={"format": "int32"})]
UInt32 = Annotated[int, Field(ge=0, le=2**32 - 1)]
UInt64 = Annotated[int, Field(ge=0)]
Double = Annotated[float, Field(allow_inf_nan=False, json_schema_extra={"format": "double"})]
PercentDouble = Annotated[
    float, Field(ge=0, le=100, allow_inf_nan=False, json_schema_extra={"format": "double"})
]
PercentInt = Annotated[int, Field(ge=0, le=100, json_schema_extra={"format": "int32"})]
Port = Annotated[int, Field(ge=1, le=65535)]
PortOrZero = Annotated[int, Field(ge=0, le=65535)]
