"""Guards on a whole plan: what is too much to be meant.

Stage: plan (pure). See docs/decisions/0015.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gitmesh.model.plan import Change, ChangeKind, Excess, Refusal
from gitmesh.model.resource import ResourceKey
from gitmesh.model.source import Limits

# Of fewer objects, any deletion is a large share, and refusing it would refuse ordinary work.
GUARDED_FROM = 4
# A commit that changes all of a handful of objects is ordinary work too. One that deletes them is not.
CHANGES_GUARDED_FROM = 10


def refuse_empty(desired: int, owned: int) -> Refusal | None:
    """Refuse to follow an empty source: it is far more often a mistake than a wish."""
    if desired or not owned:
        return None
    return Refusal(
        f"the source holds no traffic configuration, but {owned} objects in the cluster came from it",
        "check branch and path; to remove everything, set spec.deletionPolicy: delete and delete the "
        "TrafficSource",
    )


def excess_of(changes: Iterable[Change], owned: Collection[ResourceKey], limits: Limits) -> Excess | None:
    """Return what is too much of a plan at once; None when it may go out.

    What is created takes nothing from anybody. What a rollout walks goes in steps under its own guard. What
    no revision asks for puts right what was let through before. None of these counts.
    """
    of_revision = [change for change in changes if not change.stands]
    deleted = {change.key for change in of_revision if change.kind is ChangeKind.DELETE}
    updated = {c.key for c in of_revision if c.kind is ChangeKind.UPDATE and c.walks_to is None}
    changed = {key for key in updated if key in owned}
    reasons = []
    if len(owned) >= GUARDED_FROM and _is_over(len(deleted), len(owned), limits.delete_percent_max):
        reasons.append(_reason(len(deleted), len(owned), "deleted", limits.delete_percent_max))
    if len(owned) >= CHANGES_GUARDED_FROM and _is_over(len(changed), len(owned), limits.change_percent_max):
        reasons.append(_reason(len(changed), len(owned), "changed", limits.change_percent_max))
    return Excess(len(deleted), len(changed), len(owned), "; ".join(reasons)) if reasons else None


def clearly_within(changes: Iterable[Change], owned_min: int, limits: Limits) -> bool:
    """Say whether nothing can be too much, whichever objects are owned, as long as so many are."""
    kinds = [change.kind for change in changes if not change.stands]
    deleted, updated = kinds.count(ChangeKind.DELETE), kinds.count(ChangeKind.UPDATE)
    return not (
        _is_over(deleted, owned_min, limits.delete_percent_max)
        or _is_over(updated, owned_min, limits.change_percent_max)
    )


def _is_over(count: int, owned: int, percent_max: int) -> bool:
    return count * 100 > percent_max * owned


def _reason(count: int, owned: int, what: str, percent_max: int) -> str:
    return f"{count} of {owned} objects would be {what} at once, limit {percent_max} %"
