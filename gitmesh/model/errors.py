"""The base of the error families: one for each edge of the product.

Stage: none (pure).
"""

from __future__ import annotations


class EdgeError(Exception):
    """Something outside refused or failed. The text says what, where and what to do, and holds no secret.

    `retryable` says whether the same attempt may work later.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
