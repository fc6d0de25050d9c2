"""The fence: a process writes only while its Lease is certain to be its own.

Stage: apply (effect). A process that was frozen cannot know it; its clock can. See docs/decisions/0018.
"""

from __future__ import annotations

from collections.abc import Callable

from gitmesh.kube.errors import ClusterError

# Asked before each write, as late as possible: for how many seconds from now it may take. Raises FencedError.
Permit = Callable[[], float]


class FencedError(ClusterError):
    """The Lease may be somebody else's by now. Nothing was sent."""

    def __init__(self, doing: str) -> None:
        super().__init__(
            f"{doing}: not sent, for the lease was not renewed in time and another replica may lead",
            retryable=True,
        )


def fence(seconds_left: Callable[[], float]) -> Permit:
    """Return what lets writes through while a Lease has seconds left."""

    def permit() -> float:
        left = seconds_left()
        if left <= 0:
            raise FencedError("write")
        return left

    return permit
