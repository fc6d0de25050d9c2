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


class LoginError(FetchError):
    """The server, or a proxy before it, did not let us in. Other credentials may be there by now."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True)


class BrokenMirrorError(FetchError):
    """The local copy is damaged. It is thrown away and made again, once."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True)


class PartialError(FetchError):
    """The server leaves out what it does not give later, one by one. Then everything is fetched."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True)
