"""What people ask of a rollout, and with which words.

Stage: none (pure). `RolloutIntent` is the spec of a TrafficRollout, field for field.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    PROMOTE = "promote"
    RETRY = "retry"
    PAUSE = "pause"
    ROLL_BACK = "rollback"

    @property
    def annotation(self) -> str:
        """The annotation on a TrafficRollout or VirtualService that asks the same."""
        return f"gitmesh.dev/{self.value}"


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


class RolloutIntent(ApiModel):
    """The spec of a TrafficRollout: what a person asked for. Each is a state, so asking twice is harmless."""

    suspend: bool = False
    roll_back: str = ""  # hash of the content that must leave: quarantined from now on
    retry: str = ""  # hash of the content that may go out again, once; `hash@when` asks another time
    promote: str = ""  # `hash@step`: this content leaves this step at once; `hash@all`: every step
    asked: Reasons = Reasons()

    def reason(self, name: str) -> Asked:
        """Return who asked for a field as it is now; nobody when that was said of another value."""
        asked: Asked = getattr(self.asked, name)
        return asked if asked.what == value_of(getattr(self, name)) else Asked()

    def attributed(self, by: str) -> RolloutIntent:
        """Return the same, with somebody who asked for what nobody is named for."""
        found: dict[str, Any] = {}
        for name in Reasons.model_fields:
            what = value_of(getattr(self, name))
            asked: Asked = getattr(self.asked, name)
            found[name] = asked if asked.what == what else Asked(what=what, by=by)
        return self.model_copy(update={"asked": Reasons.model_construct(**found)})

    def asking(self, by: str, why: str, **fields: Any) -> RolloutIntent:
        """Return the same with fields that somebody asks for."""
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
