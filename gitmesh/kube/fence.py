"""The fence: a process writes only while its Lease is certain to be its own.

Stage: apply (effect). A process that was frozen cannot know it; its clock can. See docs/decisions/0018.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from gitmesh.kube.errors import ClusterError


class FencedError(ClusterError):
    """The Lease may be somebody else's by now. Nothing was sent."""

    def __init__(self, doing: str) -> None:
        super().__init__(
            f"{doing}: not sent, for the lease was not renewed in time and another replica may lead",
            retryable=True,
        )


class Fence:
    """Lets writes through while a Lease has seconds left, and remembers what was never answered."""

    def __init__(self, seconds_left: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._seconds_left = seconds_left
        self._monotonic = monotonic
        self._unanswered = -inf

    def permit(self) -> float:
        """Return for how many seconds from now a write may take. Raises FencedError.

        Asked before each write, as late as possible.
        """
        left = self._seconds_left()
        if left <= 0:
            raise FencedError("write")
        return left

    def unanswered(self) -> None:
        """Note that a write was given up: it may be carried out yet."""
        self._unanswered = self._monotonic()

    def is_open(self, seconds: float) -> bool:
        """Say whether a write of the last `seconds` was never answered."""
        return self._monotonic() - self._unanswered < seconds
