"""What waits for one target, and what was told already.

Stage: notify (pure). Bounded: what is too much is dropped, the least important first, and counted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import TypeAlias

from gitmesh.model.notice import CommitStatus, Importance, Notice

REMEMBERED_MAX = 2_000

Item: TypeAlias = Notice | CommitStatus


class Mailbox:
    """The items for one target, oldest first.

    `merges`: the target shows where something stands, so that a newer item takes the place of an older one
    about the same thing that has not gone out yet.
    """

    def __init__(self, most: int, *, merges: bool) -> None:
        self._most = most
        self._merges = merges
        self._items: list[Item] = []
        self._given: Item | None = None  # is being delivered, and stays as it is

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> Item | None:
        """Take an item; return the one that had to be dropped for it, if any."""
        thing = _thing(item)
        if self._merges and thing is not None:
            for index, waiting in enumerate(self._items):
                if waiting is self._given or _thing(waiting) != thing or _matters(waiting) > _matters(item):
                    continue
                self._items[index] = item
                return None
        self._items.append(item)
        return self._drop_one() if len(self._items) > self._most else None

    def first(self) -> Item | None:
        """Return what is to be delivered now; it stays until `done`."""
        self._given = self._items[0] if self._items else None
        return self._given

    def done(self) -> None:
        """Take out what was delivered, or given up."""
        if self._given is not None:
            self._items = [item for item in self._items if item is not self._given]
            self._given = None

    def _drop_one(self) -> Item:
        # Not the one that is on its way, and not the newest while an older one matters as little.
        able = [item for item in self._items if item is not self._given]
        dropped = min(able, key=_matters)
        self._items = [item for item in self._items if item is not dropped]
        return dropped

    def leave(self, sources: frozenset[str]) -> None:
        """Forget how these sources and their rollouts stand; what happened stays to be told."""
        self._items = [i for i in self._items if _thing(i) is None or i.source not in sources]

    def holds(self, item: Item) -> bool:
        """Say whether an item is still to be told."""
        return any(one is item for one in self._items)


class Recently:
    """What was told last of each topic, so that the same news is told once in a while.

    Something else about the same topic in between makes it news again: what was told last is what people
    believe. `window` is None where only a change is news.
    """

    def __init__(self, window: timedelta | None) -> None:
        self._window = window
        self._told: OrderedDict[Hashable, tuple[Hashable, datetime]] = OrderedDict()

    def is_repeat(self, item: Item, now: datetime) -> bool:
        """Say whether this was told last, and not long ago; if not, it counts as told from now on."""
        news, told_at = self._told.get(item.topic, (None, now))
        # A clock that was set back must not silence anything for long.
        recent = self._window is None or timedelta(0) <= now - told_at < self._window
        if news == item.news and recent:
            return True
        self._told[item.topic] = (item.news, now)
        self._told.move_to_end(item.topic)
        if len(self._told) > REMEMBERED_MAX:
            self._told.popitem(last=False)
        return False

    def forget(self, item: Item) -> None:
        """Take back that it was told."""
        self._told.pop(item.topic, None)


def _thing(item: Item) -> Hashable | None:
    """Return what an item shows the state of; None when it is an event of its own."""
    if isinstance(item, CommitStatus):
        return item.topic
    return item.rollout.run if item.rollout else None


def _matters(item: Item) -> int:
    return Importance.WARNING.rank if isinstance(item, CommitStatus) else item.importance.rank
