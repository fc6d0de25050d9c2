"""What was compared before: an effective and a live object that were found alike are not compared again.

Stage: plan (pure). A memo and no truth: without it the same plan comes out, later.
"""

from __future__ import annotations

from dataclasses import dataclass

from gitmesh.model.edition import changed_between
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.model.rollout import Snapshot
from gitmesh.model.stand import Stand

_SPARE = 1_000  # pairs of objects that are gone, before they are looked for


@dataclass(frozen=True, slots=True)
class Unseen:
    """What is left to look at: effective objects to compare, and live ones that nothing effective is for."""

    to_compare: tuple[ResourceKey, ...]
    left_over: frozenset[ResourceKey]

    def after(self, changed: frozenset[ResourceKey], effective: ResourceSet, live: ResourceSet) -> Unseen:
        """Return what may have to be looked at when these keys, and no others, have changed since."""
        if not changed:
            return self
        others = tuple(key for key in self.to_compare if key not in changed)
        left = frozenset(key for key in changed if key in live and key not in effective)
        same = left == changed & self.left_over
        return Unseen(
            (*others, *(key for key in changed if key in effective)),
            self.left_over if same else (self.left_over - changed) | left,
        )


@dataclass(frozen=True, slots=True)
class LaidOver:
    """An object as Git has it, where its rollout stands, and what should be live then."""

    wanted: Resource
    stand: Stand | None  # None: at rest, stable
    stable: Snapshot
    target: Snapshot | None
    result: Resource

    def is_for(
        self, wanted: Resource, stand: Stand | None, stable: Snapshot, target: Snapshot | None
    ) -> bool:
        """Say whether it is for the same again. Mostly that are the very same objects."""
        same = self.wanted is wanted and self.stand == stand
        return same and _equal(self.stable, stable) and _equal(self.target, target)


def _equal(one: Snapshot | None, other: Snapshot | None) -> bool:
    return one is other or one == other


class Alike:
    """Pairs of one source that need no write. `compared` counts those that were really compared, `looked`
    those of which it was looked up whether they have to be.

    `laid` is what rollouts made of objects, so that what is alike is the very same object in the next pass;
    `merged` what they made of all, and of what.
    """

    def __init__(self) -> None:
        self.compared = self.looked = 0
        self.merged: tuple[ResourceSet, ResourceSet, ResourceSet] | None = None
        self.laid: dict[ResourceKey, LaidOver] = {}
        self._pairs: dict[ResourceKey, tuple[Resource, Resource]] = {}
        self._last: tuple[ResourceSet, ResourceSet, Unseen] | None = None

    def __len__(self) -> int:
        return len(self._pairs)

    def holds(self, wanted: Resource, live: Resource | None) -> bool:
        """Say whether these very two objects were found alike."""
        pair = self._pairs.get(wanted.key)
        return pair is not None and pair[0] is wanted and pair[1] is live

    def note(self, wanted: Resource, live: Resource) -> None:
        """Keep that two objects are alike."""
        self._pairs[wanted.key] = wanted, live

    def look(self, effective: ResourceSet, live: ResourceSet) -> Unseen:
        """Return what has to be looked at.

        Where all may have changed it goes through every object, and so does nothing but compare identities;
        else it looks at what has changed in Git and in the cluster since the last time.
        """
        last = self._last
        wanted = changed_between(last[0], effective) if last is not None else None
        found = changed_between(last[1], live) if last is not None else None
        if last is not None and wanted is not None and found is not None:
            seen = last[2].after(wanted | found, effective, live)
            keys, left_over = seen.to_compare, seen.left_over
        else:
            keys, left_over = tuple(effective), frozenset(live.keys() - effective.keys())
        self._forget(effective)
        self.looked += len(keys)
        pairs, wanted_of, live_of = self._pairs, effective.__getitem__, live.get
        to_compare = tuple(
            key
            for key in keys
            if (pair := pairs.get(key)) is None
            or pair[0] is not wanted_of(key)
            or pair[1] is not live_of(key)
        )
        unseen = Unseen(to_compare, left_over)
        self._last = effective, live, unseen
        return unseen

    def _forget(self, effective: ResourceSet) -> None:
        if len(self._pairs) > len(effective) + _SPARE:
            # A list first: a plan that is made in another thread may note a pair meanwhile.
            self._pairs = {key: pair for key, pair in list(self._pairs.items()) if key in effective}
            self.laid = {key: laid for key, laid in list(self.laid.items()) if key in effective}
