"""What a person probably meant.

Stage: parse, validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

_CHARS_MAX = 80
_KNOWN_MAX = 5_000


def closest(word: str, known: Iterable[str]) -> str:
    """Return the known word that is most like this one, or nothing when none is near."""
    if len(word) > _CHARS_MAX:
        return ""
    by_lower = {name.lower(): name for name in islice(known, _KNOWN_MAX)}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.7)
    return by_lower[found[0]] if found else ""
