"""Guards on a whole plan: what is too much to be meant.

Stage: plan (pure).
"""

from __future__ import annotations

from gitmesh.model.plan import Refusal

# Of fewer objects, any deletion is a large share, and refusing it would refuse ordinary work.
GUARDED_FROM = 4


def refuse_empty(desired: int, owned: int) -> Refusal | None:
    """Refuse to follow an empty source: it is far more often a mistake than a wish."""
    if desired or not owned:
        return None
    return Refusal(
        f"the source holds no traffic configuration, but {owned} objects in the cluster came from it",
        "check branch and path; to remove everything, delete the TrafficSource and then the objects",
    )


def refuse_many_deletes(deletes: int, owned: int, percent_max: int) -> Refusal | None:
    """Refuse to delete more than a share of what this source owns."""
    if owned < GUARDED_FROM or deletes * 100 <= percent_max * owned:
        return None
    return Refusal(
        f"{deletes} of {owned} objects would be deleted, limit {percent_max} %",
        "if it is meant, raise limits.deletePercentMax of the TrafficSource, or delete in smaller commits",
    )
