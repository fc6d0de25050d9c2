"""What a plan leaves alone on purpose, and why.

Stage: plan (pure).
"""

from __future__ import annotations

from gitmesh.model.plan import FieldChange, Skipped, SkipReason
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.source import DISABLED, PRUNE_ANNOTATION, RECONCILE_ANNOTATION


def hands_off(resource: Resource | None) -> bool:
    """Say whether somebody wants this object left alone: on the live one, or in Git."""
    return resource is not None and resource.once(_is_disabled)


def _is_disabled(resource: Resource) -> bool:
    return resource.annotations.get(RECONCILE_ANNOTATION) == DISABLED


def never_pruned(resource: Resource | None) -> bool:
    """Say whether this object stays when Git has it no more."""
    return resource is not None and resource.annotations.get(PRUNE_ANNOTATION) == DISABLED


def left_alone(
    key: ResourceKey, live: Resource | None, wanted: Resource | None, fields: tuple[FieldChange, ...] = ()
) -> Skipped | None:
    """Return the object as skipped, if somebody wants it left alone."""
    for resource, where in ((live, "the live object"), (wanted, "Git")):
        if hands_off(resource):
            text = f"{where} says {RECONCILE_ANNOTATION}: {DISABLED}"
            return Skipped(key, SkipReason.RECONCILE_DISABLED, text, fields)
    return None


def kept(key: ResourceKey) -> Skipped:
    """Return a leftover that is never pruned."""
    return Skipped(
        key, SkipReason.PRUNE_DISABLED, f"no longer in Git; {PRUNE_ANNOTATION}: {DISABLED} keeps it"
    )


def not_now(key: ResourceKey, why: str) -> Skipped:
    """Return a leftover that is deleted later."""
    return Skipped(key, SkipReason.NOT_NOW, f"no longer in Git; {why}")


def not_healed(key: ResourceKey, fields: tuple[FieldChange, ...]) -> Skipped:
    """Return a drift that is only reported; without fields it is an object that is gone."""
    happened = "changed" if fields else "deleted"
    return Skipped(
        key, SkipReason.HEAL_DISABLED, f"live was {happened} by someone else; spec.heal is false", fields
    )


def fought_over(key: ResourceKey, text: str, fields: tuple[FieldChange, ...]) -> Skipped:
    """Return a drift that comes back again and again, and rests for a while."""
    return Skipped(key, SkipReason.FIGHT, text, fields)
