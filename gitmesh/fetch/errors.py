"""The one family of errors that leaves this package.

Stage: fetch (effect).
"""

from __future__ import annotations


class FetchError(Exception):
    """A revision could not be had. Its text says what, where and what to do, and holds no secret.

    `retryable` is true when the same request may work later without anyone changing the TrafficSource.
    """

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class BrokenMirrorError(FetchError):
    """The local copy is damaged. It is thrown away and made again, once."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True)
