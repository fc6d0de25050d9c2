"""Where objects are, by the namespace that they are in and by the object that owns them.

Stage: playground (pure). Without it, deleting a namespace would look at all objects for each of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.playground.apiserver.kinds import Body, metadata_of

Spot = tuple[str, str, str]  # resource, namespace, name


class Index:
    """Spots by namespace and by owner's uid."""

    def __init__(self) -> None:
        self._in_namespace: dict[str, set[Spot]] = {}
        self._owned: dict[str, set[Spot]] = {}

    def move(self, spot: Spot, before: Body | None, after: Body | None) -> None:
        """Note that the object at `spot` changed; None before is a new one, None after a removed one."""
        if spot[1] and (before is None or after is None):
            _note(self._in_namespace, spot[1], spot, present=after is not None)
        old, new = _owners(before), _owners(after)
        for uid in old - new:
            _note(self._owned, uid, spot, present=False)
        for uid in new - old:
            _note(self._owned, uid, spot, present=True)

    def in_namespace(self, namespace: str) -> list[Spot]:
        """Return what is in a namespace, in order."""
        return sorted(self._in_namespace.get(namespace, ()))

    def is_empty(self, namespace: str) -> bool:
        """Say whether nothing is in a namespace."""
        return not self._in_namespace.get(namespace)

    def owned_by(self, uid: str) -> list[Spot]:
        """Return what names this uid among its owners, in order."""
        return sorted(self._owned.get(uid, ()))


def _note(sets: dict[str, set[Spot]], key: str, spot: Spot, *, present: bool) -> None:
    if present:
        sets.setdefault(key, set()).add(spot)
        return
    found = sets.get(key, set())
    found.discard(spot)
    if not found:
        sets.pop(key, None)


def _owners(body: Body | None) -> set[str]:
    return set(owner_uids(body)) if body else set()


def owner_uids(body: Body) -> Iterator[str]:
    """Yield the uid of each owner that an object names."""
    owners = metadata_of(body).get("ownerReferences")
    for owner in owners if isinstance(owners, list) else ():
        if isinstance(owner, dict) and isinstance(owner.get("uid"), str):
            yield owner["uid"]
