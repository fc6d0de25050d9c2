"""The one family of errors that a metrics provider raises.

Stage: observe (effect).
"""

from __future__ import annotations

import aiohttp

from gitmesh.model.errors import EdgeError, printable

_REASON_CHARS_MAX = 200


class MetricsError(EdgeError):
    """The statistics cannot be had: the guard is blind. Says what, where and what to do.

    `retryable` is true when the same question may be answered later without a change of configuration.
    """

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message, retryable=retryable)


def reason_of(error: Exception) -> str:
    """Say in one line why there is no answer, without the address: its query may hold a secret."""
    if isinstance(error, aiohttp.InvalidURL):
        return "nobody can be asked at such an address"
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return " ".join(printable(text).split())[:_REASON_CHARS_MAX] or type(error).__name__
