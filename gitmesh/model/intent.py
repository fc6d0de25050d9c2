"""What people ask of a rollout, and with which words.

Stage: none (pure). `RolloutIntent` is the spec of a TrafficRollout, field for field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from gitmesh.model.values import ApiModel

WORDS_MAX = 1_000
_SHOWN_MAX = 200
ALL = "all"  # as in `hash@all`: every step that is left


class Verb(StrEnum):
    """What a person can ask of a rollout. In a request, the later ones come first."""

    RESUME = "resume"
    OVERRULE = "overrule"
    PROMOTE = "promote"
    RETRY = "retry"
    PAUSE = "pause"
    ROLL_BACK = "rollback"

    @property
    def annotation(self) -> str:
        """The annotation on a TrafficRollout or VirtualService that asks the same."""
        return f"gitmesh.dev/{self.value}"


class Overrule(StrEnum):
    """Whether a person may send one content past a window, or past a freeze."""

    ALLOWED = "allowed"
    DENIED = "denied"


class Asked(ApiModel):
    """Who asked for a value of the intent, and why; for another value than `what` it says nothing."""

    what: str = ""
    by: Annotated[str, Field(max_length=WORDS_MAX)] = ""
    why: Annotated[str, Field(max_length=WORDS_MAX)] = ""

    @property
    def text(self) -> str:
        """For people, behind what was done: ` by ada (too many errors)`."""
        by, why = shown(self.by), shown(self.why)
        return (f" by {by}" if by else "") + (f" ({why})" if why else "")


class Reasons(ApiModel):
    """Who asked, for each field of the intent."""

    suspend: Asked = Asked()
    roll_back: Asked = Asked()
    retry: Asked = Asked()
    promote: Asked = Asked()
    overrule: Asked = Asked()


@dataclass(frozen=True, slots=True)
class Overruling:
    """That one content waits for no window, nor for the freezes that are named. `text` says who and why."""

    freezes: frozenset[str] = frozenset()
    text: str = ""


def overruling_of(value: str, content: str, text: str = "") -> Overruling | None:
    """Read `RolloutIntent.overrule` for one content; None when it is about another, or nothing was asked."""
    about, _, freezes = value.partition("@")
    if not content or about != content:
        return None
    return Overruling(frozenset(filter(None, freezes.split(","))), text)


class RolloutIntent(ApiModel):
    """The spec of a TrafficRollout: what a person asked for. Each is a state, so asking twice is harmless."""

    suspend: bool = False
    roll_back: str = ""  # hash of the content that must leave: quarantined from now on
    retry: str = ""  # hash of the content that may go out again, once; `hash@when` asks another time
    promote: str = ""  # `hash@step`: this content leaves this step at once; `hash@all`: every step
    overrule: str = ""  # `hash`: this content waits for no window; `hash@a,b`: nor for the freezes a and b
    asked: Reasons = Reasons()

    def reason(self, name: str) -> Asked:
        """Return who asked for a field as it is now; nobody when that was said of another value."""
        asked: Asked = getattr(self.asked, name)
        return asked if asked.what == value_of(getattr(self, name)) else Asked()

    def overruling(self, content: str) -> Overruling | None:
        """Return what a content does not wait for, because somebody said so; None when nobody did."""
        return overruling_of(self.overrule, content, self.reason("overrule").text) if self.overrule else None

    def attributed(self, by: str) -> RolloutIntent:
        """Return the same, with somebody who asked for what nobody is named for."""
        found: dict[str, Any] = {}
        for name in Reasons.model_fields:
            what = value_of(getattr(self, name))
            asked: Asked = getattr(self.asked, name)
            found[name] = asked if asked.what == what else Asked(what=what, by=by[:WORDS_MAX])
        return self.model_copy(update={"asked": Reasons.model_construct(**found)})

    def asking(self, by: str, why: str, **fields: Any) -> RolloutIntent:
        """Return the same with fields that somebody asks for. Words beyond the limit are dropped."""
        by, why = by[:WORDS_MAX], why[:WORDS_MAX]
        reasons = {name: Asked(what=value_of(value), by=by, why=why) for name, value in fields.items()}
        return self.model_copy(update={**fields, "asked": self.asked.model_copy(update=reasons)})


def patch_of(before: RolloutIntent, after: RolloutIntent) -> Mapping[str, Any]:
    """Return the merge patch that turns the spec of a TrafficRollout from one into the other."""
    old, new = before.as_json(), after.as_json()
    asked = {k: v for k, v in new.pop("asked").items() if v != old["asked"].get(k)}
    changed = {name: value for name, value in new.items() if value != old.get(name)}
    return {**changed, **({"asked": asked} if asked else {})}


def value_of(value: bool | str) -> str:
    """Return a field of an intent as `Asked.what` has it."""
    return ("true" if value else "false") if isinstance(value, bool) else value


def shown(text: str) -> str:
    """Return what somebody wrote as one line of bounded length."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _SHOWN_MAX else line[:_SHOWN_MAX] + "…"
