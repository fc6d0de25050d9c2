"""Plans: immutable, fully decided. Applying one leaves nothing to choose.

Stage: none (pure).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gitmesh.model.resource import Resource, ResourceKey, content_hash


class ChangeKind(StrEnum):
    """What happens to one object. The words are those of Flux's ChangeSet."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs. `old` or `new` is `ABSENT` where the field is missing."""

    path: tuple[str | int, ...]
    old: Any
    new: Any


ABSENT = "<absent>"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between effective and live, and why it is there.

    `after` is the whole object to be applied (None for a delete), with our ownership marks;
    `before` is the live one (None for a create). `drift` is true when live moved without Git moving.
    `force` takes fields back from other field managers: only ever set on objects that we own.
    `if_unchanged`: refused by the server when `before` is not live any more.
    """

    kind: ChangeKind
    key: ResourceKey
    before: Resource | None
    after: Resource | None
    fields: tuple[FieldChange, ...] = ()
    reason: str = ""
    drift: bool = False
    force: bool = False
    if_unchanged: bool = False


@dataclass(frozen=True, slots=True)
class Wave:
    """Changes that are applied together; `settle_seconds` is waited before the next wave."""

    title: str
    changes: tuple[Change, ...]
    settle_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason not to carry out a plan, or a part of it, with what to do about it."""

    reason: str
    hint: str
    key: ResourceKey | None = None  # None: the whole plan is refused


@dataclass(frozen=True, slots=True)
class Plan:
    """The ordered changes that turn live into effective.

    A plan with a refusal of the whole has no waves. `unchanged` counts owned objects that are right already.
    """

    source: str
    revision: str
    waves: tuple[Wave, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    unchanged: int = 0

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to apply."""
        return not self.waves

    def changes(self) -> Iterator[Change]:
        """Yield every change, in the order of application."""
        for wave in self.waves:
            yield from wave.changes

    @property
    def hash(self) -> str:
        """Names this plan: equal plans have equal hashes."""
        return content_hash(
            [self.revision]
            + [[c.kind, c.key.path, c.after.body if c.after else None] for c in self.changes()]
        )
