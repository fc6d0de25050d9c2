"""The bytes of a file to text.

Stage: parse (pure).
"""

from __future__ import annotations

from gitmesh.parse.lines import LineIndex

_BOM = "\ufeff"


def decode(content: bytes) -> str | None:
    """Return the text without a byte order mark, or None when it is not UTF-8."""
    try:
        return content.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError:
        return None


def first_bad_byte(content: bytes) -> tuple[int, int]:
    """Return line and column (from 1) of the first byte that is not UTF-8."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8").removeprefix(_BOM)
        return LineIndex(before).place(len(before))
    return 1, 1
