"""The steps of a policy: weights, matches, mirrors, their gates, and ramps that stand for many steps.

Stage: none (pure).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from gitmesh.model.values import ApiModel, Duration, Percent, read_duration

STEPS_MAX = 100
COOKIES_MAX = 4  # of one match: each order of them is part of a regular expression
_RAMP = re.compile(r"(linear|exponential)\s+(\d+(?:\.\d+)?)\s*%(?:\s+x\s*(\d+(?:\.\d+)?))?\s+every\s+(\S+)")
_HOW_RAMP = "write for example linear 10% every 5m, or exponential 1% x2 every 10m"


class TextMatch(ApiModel):
    """How a text has to be: exactly so, with this beginning, or as a regular expression (RE2) says."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None

    @model_validator(mode="after")
    def _one(self) -> TextMatch:
        if sum(part is not None for part in (self.exact, self.prefix, self.regex)) != 1:
            raise ValueError("say one of exact, prefix and regex")
        return self


class RequestMatch(ApiModel):
    """Requests that have all of this: headers, cookies, and labels of the workload that sends them."""

    headers: dict[str, TextMatch] = Field(default_factory=dict)
    cookies: Annotated[dict[str, str], Field(max_length=COOKIES_MAX)] = Field(default_factory=dict)
    source_labels: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _something(self) -> RequestMatch:
        if not (self.headers or self.cookies or self.source_labels):
            raise ValueError("a match names headers, cookies or sourceLabels: without any it would take all")
        if self.cookies and any(name.lower() == "cookie" for name in self.headers):
            raise ValueError("cookies and the header cookie exclude each other in one match")
        return self


class HttpGate(ApiModel):
    """Who is asked whether to go on: POST to `url`; a 2xx answer of {"allow": true} opens the gate."""

    url: Annotated[str, Field(min_length=1, max_length=2_000)]
    timeout: Duration = timedelta(seconds=5)
    interval: Duration = timedelta(seconds=10)

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not re.match(r"https?://[^/?#@\s]+(?:[/?#]\S*)?$", value):
            raise ValueError("a gate's url begins with http:// or https:// and holds no password")
        try:
            named = urlsplit(value)
            port = named.port
        except ValueError as error:  # brackets that are no address, a port that is no number
            raise ValueError(f"a gate's url cannot be read: {str(error)[:80]}") from None
        if not named.hostname or port == 0:
            raise ValueError("a gate's url names a host, and a port from 1 to 65535 if any")
        return value

    @field_validator("timeout")
    @classmethod
    def _short(cls, value: timedelta) -> timedelta:
        if not timedelta(0) < value <= timedelta(seconds=30):
            raise ValueError("timeout must be more than 0s and at most 30s")
        return value

    @field_validator("interval")
    @classmethod
    def _not_too_often(cls, value: timedelta) -> timedelta:
        if value < timedelta(seconds=1):
            raise ValueError("interval must be at least 1s")
        return value


class Gate(ApiModel):
    """What must be open before the next step is entered: `manual`, a CEL expression, or an HTTP hook.

    Written as the word manual, or as a mapping with one of its fields.
    """

    manual: bool = False
    cel: Annotated[str, Field(max_length=10_000)] = ""
    http: HttpGate | None = None

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value != "manual":
                raise ValueError(f"{value[:40]!r} is no gate; write manual, {{cel: ...}} or {{http: ...}}")
            return {"manual": True}
        return value

    @model_validator(mode="after")
    def _one(self) -> Gate:
        if sum(map(bool, (self.manual, self.cel, self.http))) != 1:
            raise ValueError("a gate is one of manual, cel and http")
        return self

    @property
    def text(self) -> str:
        """How people call it."""
        return "manual gate" if self.manual else "gate by expression" if self.cel else "gate by hook"


class Step(ApiModel):
    """One stop on the way, held for at least `hold`; its gate must open before the next one is entered.

    `progress` is percent of the way of the weights. A step with `match` sends these requests to the canary
    wholly, one with `mirror` sends it copies of so many percent of all; both come before the first weight,
    at a progress of 0. Matches stay in force while weights grow.
    """

    progress: Percent = 0.0
    match: Annotated[tuple[RequestMatch, ...], Field(max_length=20)] = ()
    mirror: Percent = 0.0
    hold: Duration = timedelta(0)
    gate: Gate | None = None

    @model_validator(mode="after")
    def _one(self) -> Step:
        moves = [name for name in ("progress", "match", "mirror") if getattr(self, name)]
        if len(moves) > 1:
            raise ValueError(f"{' and '.join(moves)} exclude each other in one step")
        if not moves and "progress" not in self.model_fields_set:
            raise ValueError("a step says one of progress, match and mirror")
        return self

    @property
    def moves_weight(self) -> bool:
        """True for a step of weights, so not of matches or mirrors."""
        return not self.match and not self.mirror


def check_order(steps: tuple[Step, ...]) -> None:
    """Raise unless weights climb to 100, after all matches and mirrors."""
    weights_began, last = False, -1.0
    for index, step in enumerate(steps):
        if not step.moves_weight:
            if weights_began:
                raise _wrong(index, "match" if step.match else "mirror", "comes before the first progress")
            continue
        weights_began = True
        if step.progress <= last:
            raise _wrong(index, "progress", "steps must grow: each progress is larger than the one before")
        last = step.progress
    if last != 100:
        raise _wrong(len(steps) - 1, "progress", "the last step must have progress: 100")


def _wrong(index: int, field: str, why: str) -> PydanticCustomError:
    return PydanticCustomError("contradiction", "{why}", {"why": why, "at": (index, field)})


def expand_ramp(text: str) -> list[dict[str, Any]]:
    """Return the steps that a ramp stands for, as they would be written. Raises ValueError."""
    found = _RAMP.fullmatch(text.strip())
    if found is None or (found[1] == "exponential") != (found[3] is not None):
        raise ValueError(f"{text[:60]!r} is not a ramp; {_HOW_RAMP}")
    first, factor = float(found[2]), float(found[3] or 1)
    read_duration(found[4])
    if not 0 < first <= 100:
        raise ValueError("a ramp begins with more than 0 % and at most 100 %")
    if found[3] is not None and factor <= 1:
        raise ValueError("an exponential ramp grows by a factor of more than 1")
    stops = _stops(first, factor if found[3] is not None else None)
    return [{"progress": stop, "hold": found[4]} for stop in stops] + [{"progress": 100}]


def _stops(first: float, factor: float | None) -> list[float]:
    stops: list[float] = []
    stop = first
    while stop < 100:
        stops.append(stop)
        if len(stops) >= STEPS_MAX:
            raise ValueError(f"a ramp has at most {STEPS_MAX} steps; begin with more")
        stop = round(stop * factor if factor else first * (len(stops) + 1), 6)
    return stops
