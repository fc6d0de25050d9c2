"""Parts of a TrafficSource: what it depends on, a plan that waits for a person, and what is left alone.

Stage: none (pure).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from gitmesh.model.values import ApiModel


class SourceReference(ApiModel):
    """Another TrafficSource; of the same namespace where it names none."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    namespace: Annotated[str, Field(max_length=63)] = ""


class HeldPlan(ApiModel):
    """A plan that does more at once than the limits allow. `objects`: the first of what it would do."""

    hash: str
    revision: str
    deletes: int
    changes: int
    owned: int
    reason: str
    since: datetime
    objects: tuple[str, ...] = ()  # "delete VirtualService default/reviews"


class Approval(ApiModel):
    """The last plan that a person approved.

    `content` names what Git said then. While `open`, that content may go on: a plan that was cut short by an
    error is not asked about again. It is closed once all of it is live, or another revision was let through.
    """

    plan: str
    revision: str
    content: str
    by: str = ""
    why: str = ""
    at: datetime
    open: bool = False


class SkippedObject(ApiModel):
    """An object that is left alone on purpose: which, why, and the fields in which it differs from Git."""

    resource: str  # "VirtualService default/reviews"
    why: str
    message: str
    fields: tuple[str, ...] = ()
