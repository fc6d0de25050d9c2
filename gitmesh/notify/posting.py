"""What all targets have in common that are told by HTTP.

Stage: notify (effect).
"""

from __future__ import annotations

from gitmesh.model.notice import Notice
from gitmesh.model.notifications import NotificationTarget
from gitmesh.notify.choosing import wants
from gitmesh.notify.mailbox import Item
from gitmesh.notify.outlet import Clock
from gitmesh.notify.post import Poster


class PostingOutlet:
    """A target that is told of the notices that it wants, by requests of one poster."""

    merges = False

    def __init__(self, target: NotificationTarget, poster: Poster, clock: Clock) -> None:
        self.name = target.name
        self._target = target
        self._poster = poster
        self._clock = clock

    def takes(self, item: Item) -> bool:
        """Say whether the target is told of this."""
        return isinstance(item, Notice) and wants(self._target, item)

    def begin(self) -> None:
        """Do nothing: it remembers nothing of what it told."""

    async def close(self) -> None:
        """Release connections."""
        await self._poster.close()
