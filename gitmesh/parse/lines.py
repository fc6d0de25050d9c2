"""The lines of a text, as the YAML parser counts them.

Stage: parse (pure).
"""

from __future__ import annotations

import re
from bisect import bisect_right

# What libyaml counts as the end of a line, so that its places and these lines are about the same text.
# Source: yaml.org, YAML 1.1, 5.4 "Line Break Characters".
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, as the parser counts them."""
    return _LINE_BREAK.split(text)


class LineIndex:
    """Finds the line and column of an offset, both from 1, in a text that is looked through once."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(end.end() for end in _LINE_BREAK.finditer(text))]

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column of the character at this offset."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1
