"""Why something could not be delivered.

Stage: notify (pure).
"""

from __future__ import annotations

from gitmesh.model.errors import EdgeError


class DeliveryError(EdgeError):
    """A target did not take what it was given. `after_seconds`: how long it wants to be left alone."""

    def __init__(self, message: str, *, retryable: bool = True, after_seconds: float = 0.0) -> None:
        super().__init__(message, retryable=retryable)
        self.after_seconds = after_seconds
