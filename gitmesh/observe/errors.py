"""The one family of errors that a metrics provider raises.

Stage: observe (effect).
"""

from __future__ import annotations

from gitmesh.model.errors import EdgeError


class MetricsError(EdgeError):
    """The statistics cannot be had: the guard is blind. Says what, where and what to do.

    `retryable` is true when the same question may be answered later without a change of configuration.
    """

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message, retryable=retryable)
