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
class Opponent:
    """A field manager other than ours that owns fields which a change writes or removes.

    `since` is when it wrote last (RFC 3339; empty: not known); `fields` are written for people.
    """

    manager: str
    operation: str
    since: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        shown = ", ".join(self.fields[:OPPONENT_FIELDS_MAX])
        more = len(self.fields) - OPPONENT_FIELDS_MAX
        when = f", since {self.since}" if self.since else ""
        return f"{self.manager} ({self.operation}{when}): {shown}{f' and {more} more' if more > 0 else ''}"


OPPONENT_FIELDS_MAX = 5


@dataclass(frozen=True, slots=True)
class Takeover:
    """Fields that become ours before the write, so that what Git does not have can go.

    Server-side apply removes only what its own manager owned. `spec` names the field managers whose fields of
    the spec become ours, `metadata` those whose labels and annotations do too.
    """

    spec: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between effective and live, and why it is there.

    `after` is the whole object to be applied (None for a delete), with our ownership marks;
    `before` is the live one (None for a create). `drift` is true when live moved without Git moving.
    `force` takes fields from other field managers, the `opponents`, as far as policy allows it.
    `if_unchanged`: refused by the server when `before` is not live any more, so that it cannot come late.
    `stands`: no new revision asks for it; it puts right what is live, or goes on with what began before.
    `walks_to`: what Git says of an object that a rollout walks, of which `after` is one step.
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
    stands: bool = False
    walks_to: Resource | None = None
    opponents: tuple[Opponent, ...] = ()
    takeover: Takeover | None = None


@dataclass(frozen=True, slots=True)
class Wave:
    """Changes that are applied together; `settle_seconds` is waited before the next wave.

    `founds`: what it brings has to bear before the next wave: a Namespace, a CustomResourceDefinition.
    """

    title: str
    changes: tuple[Change, ...]
    settle_seconds: float = 0.0
    founds: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason not to carry out a plan, or a part of it, with what to do about it.

    `cause` is one word for conditions and events.
    """

    reason: str
    hint: str
    key: ResourceKey | None = None  # None: the whole plan is refused
    cause: str = "PlanRefused"


PRUNE_FAILED = "PruneFailed"  # the cause where what Git has no more cannot be deleted
CONFLICT = "Conflict"  # the cause of a refusal: somebody else owns what is to be written


class SkipReason(StrEnum):
    """Why an object is left as it is although it differs from what it should be, or should be gone."""

    HEAL_DISABLED = "HealDisabled"  # spec.heal is false
    FIGHT = "Fight"  # somebody else changes it again and again
    RECONCILE_DISABLED = "ReconcileDisabled"  # a person wants it left alone
    PRUNE_DISABLED = "PruneDisabled"  # it is no longer in Git, and is kept
    NOT_NOW = "NotNow"  # it is no longer in Git, and nothing may go forward for a time

    @property
    def is_drift(self) -> bool:
        """True when what is live is known to be another than Git says."""
        return self in (SkipReason.HEAL_DISABLED, SkipReason.FIGHT)


@dataclass(frozen=True, slots=True)
class Skipped:
    """An object that the plan leaves alone on purpose; `fields` are those in which it differs."""

    key: ResourceKey
    why: SkipReason
    text: str
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Excess:
    """A plan that does more at once than a source may: it waits for a person. Counts are of objects."""

    deletes: int
    changes: int
    owned: int
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The ordered changes that turn live into effective.

    A plan with a refusal of the whole has no waves. `unchanged` counts owned objects that are right already.
    One with an `excess` is whole, so that people see what it would do, and is not carried out as it is.
    """

    source: str
    revision: str
    waves: tuple[Wave, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    unchanged: int = 0
    skipped: tuple[Skipped, ...] = ()
    excess: Excess | None = None

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
        """Names what this plan does, and nothing else: 16 hex digits.

        The commit is no part of it, so that the plan of a working copy has the hash that the same content has
        once it is pushed; and neither is what a revision does not ask for, such as drift and the moment in
        which a rollout is met. See docs/decisions/0015.
        """
        found: dict[str, list[Any]] = {}
        for change in self.changes():
            if change.stands:
                continue
            content = change.walks_to or change.after
            uid = str(change.before.metadata.get("uid", "")) if change.before else ""
            # An update in two waves is one change: what was there at first, and what is there at last.
            known = found.get(change.key.path)
            first = known[:2] if known else [change.kind.value, uid]
            found[change.key.path] = [*first, content.body if content else None]
        return content_hash([self.source, found])
