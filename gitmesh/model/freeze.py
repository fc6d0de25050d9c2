"""FreezeWindow: a time in which no rollout goes forward, as it is written in Git.

Stage: none (pure).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gitmesh.model.selector import Selector
from gitmesh.model.values import ApiModel

_Moment = Annotated[str, Field(min_length=1, max_length=40)]
_Text = Annotated[str, Field(min_length=1, max_length=200)]


class FreezeSpec(ApiModel):
    """The spec of a FreezeWindow.

    `from` and `to` are ISO 8601 with an offset, or local to `timezone`. Without `select` it is for every
    rollout. Rolling back is never frozen.
    """

    from_: Annotated[_Moment, Field(alias="from")]
    to: _Moment
    timezone: Annotated[str, Field(max_length=100)] = ""
    who: _Text
    why: _Text
    select: Selector | None = None


class FreezeWindow(ApiModel):
    """One freeze with its name. Its namespace limits nothing: `select` says what it is for."""

    name: str
    namespace: str
    spec: FreezeSpec
