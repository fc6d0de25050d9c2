"""The one family of errors that leaves this package.

Stage: fetch (effect).
"""

from __future__ import annotations

from gitmesh.model.errors import EdgeError


class FetchError(EdgeError):
    """A revision could not be had.

    `retryable` is true when the same request may work later without anyone changing the TrafficSource.
    """


class MovedError(FetchError):
    """The branch is not where it was seen: look again, and decide again."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True)


class BrokenMirrorError(FetchError):
    """The local copy is damaged. It is thrown away and made again, once."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True)
