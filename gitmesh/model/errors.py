"""The base of the error families: one for each edge of the product.

Stage: none (pure).
"""

from __future__ import annotations


class EdgeError(Exception):
    """Something outside refused or failed. The text says what, where and what to do, and holds no secret.

    What others said in it ends in logs, records and terminals: nothing in it is obeyed by any of them.
    `retryable` says whether the same attempt may work later.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(printable(message))
        self.retryable = retryable


def printable(text: str) -> str:
    """Return a text of any number of lines without what a terminal obeys, or what turns a line around."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)
