"""Text from files that nobody vouches for, made safe to show.

Stage: none (face). A file can hold what a terminal obeys (escape sequences), what turns a line around
(bidirectional marks), or what ends a line of output early. All of it is shown as what it is.
"""

from __future__ import annotations

import unicodedata
from dataclasses import replace

from gitmesh.model.diagnostic import Diagnostic

SHOWN_CHARS_MAX = 2_000


def plain(text: str) -> str:
    """Return text of one line without anything that is not printed; that is written as an escape."""
    cut = text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}..."
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def plain_line(line: str) -> str:
    """Return a line of a file with each character that is not printed as one that is, so columns stay."""
    return "".join(c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)


def plain_finding(finding: Diagnostic) -> Diagnostic:
    """Return the finding with all words safe to show. Its place stays as it is."""
    return replace(
        finding,
        message=plain(finding.message),
        hint=plain(finding.hint),
        suppressed=plain(finding.suppressed),
    )


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
