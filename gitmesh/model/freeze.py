"""FreezeWindow: a time in which no rollout goes forward, as it is written in Git.

Stage: none (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from gitmesh.model.calendar import zone_named, zone_problem
from gitmesh.model.intent import Overrule, shown
from gitmesh.model.resource import ResourceKey
from gitmesh.model.selector import SelectedKind, Selector, hosts_of
from gitmesh.model.values import ApiModel

_Moment = Annotated[str, Field(min_length=1, max_length=40)]
_Text = Annotated[str, Field(min_length=1, max_length=200)]


class Frozen(Selector):
    """What a freeze is for. Unlike a policy it means every kind, unless it names some."""

    kinds: tuple[SelectedKind, ...] = ("VirtualService", "DestinationRule")


class FreezeSpec(ApiModel):
    """The spec of a FreezeWindow.

    `from` and `to` are ISO 8601 with an offset, or local to `timezone`. Without `select` it is for every
    rollout. Rolling back is never frozen. With `overrule: allowed` a person can except one content from it.
    """

    from_: Annotated[_Moment, Field(alias="from")]
    to: _Moment
    timezone: Annotated[str, Field(max_length=100)] = ""
    who: _Text
    why: _Text
    select: Frozen | None = None
    overrule: Overrule = Overrule.DENIED


class FreezeWindow(ApiModel):
    """One freeze with its name. Its namespace limits nothing: `select` says what it is for."""

    name: str
    namespace: str
    spec: FreezeSpec


@dataclass(frozen=True, slots=True)
class Freeze:
    """A freeze with its moments. Without `select` it is for every rollout."""

    name: str
    start: datetime
    end: datetime
    who: str
    why: str
    select: Selector | None = None
    overrule: Overrule = Overrule.DENIED

    def covers(self, key: ResourceKey, spec: Mapping[str, Any]) -> bool:
        """Say whether the freeze is for this object."""
        return self.select is None or self.select.matches(key, hosts_of(key, spec))

    @property
    def text(self) -> str:
        """Say which freeze, by whom, and why."""
        return f"freeze {self.name} by {shown(self.who)}: {shown(self.why)}"


def read_freeze(window: FreezeWindow) -> Freeze:
    """Return the freeze with its moments. Raises ValueError, see `freeze_problems`."""
    spec = window.spec
    start, end = _moment(spec.from_, spec.timezone, last=False), _moment(spec.to, spec.timezone, last=True)
    if end <= start:
        raise ValueError("to is not after from")
    return Freeze(window.name, start, end, spec.who, spec.why, spec.select, spec.overrule)


def freeze_problems(spec: FreezeSpec) -> dict[str, str]:
    """Return what is wrong with the moments of a freeze, by field; empty when they can be read."""
    if spec.timezone and (problem := zone_problem(spec.timezone)):
        return {"timezone": problem}
    moments, problems = {}, {}
    for name, text, last in (("from", spec.from_, False), ("to", spec.to, True)):
        try:
            moments[name] = _moment(text, spec.timezone, last=last)
        except ValueError as error:
            problems[name] = str(error)
    if not problems and moments["to"] <= moments["from"]:
        problems["to"] = "it is not after from"
    return problems


def _moment(text: str, timezone: str, *, last: bool) -> datetime:
    """Read a moment. Of one that comes twice when clocks are set back, take what makes the freeze longer."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no moment; write for example 2026-12-20T18:00:00+01:00") from None
    if moment.tzinfo is None:
        if not timezone:
            raise ValueError(f"{text!r} has no offset; write one, or say timezone")
        zone = zone_named(timezone)
        if zone is None:
            raise ValueError(zone_problem(timezone))
        moment = moment.replace(tzinfo=zone, fold=int(last))
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is too far away") from None
