"""How one text is compared: exactly, by its beginning, by a regular expression, or only for being there.

Stage: plan (pure). Source: istio.io, Virtual Service, StringMatch; regular expressions are RE2 and must
match the whole text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gitmesh.istio.matching.reading import mapping, text

_PATTERNS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a text has to be. `kind` is exact, prefix, regex or present."""

    kind: str
    text: str = ""
    ignores_case: bool = False

    def accepts(self, value: str) -> bool:
        """Say whether a text that is there is as wanted."""
        if self.kind == "regex":
            return full_match(self.text)(value)
        wanted = self.text
        if self.ignores_case:
            wanted, value = wanted.lower(), value.lower()
        if self.kind == "exact":
            return value == wanted
        return value.startswith(wanted)

    def __str__(self) -> str:
        if self.kind == "present":
            return "any value"
        return f"{self.kind} '{self.text}'" + (" in any case" if self.ignores_case else "")

    def as_json(self) -> dict[str, Any]:
        """Return the form of a VirtualService."""
        return {} if self.kind == "present" else {self.kind: self.text}


PRESENT = Wanted("present")


def read_wanted(match: Any, *, ignores_case: bool = False) -> Wanted:
    """Read a StringMatch. Source: istio/istio, TranslateHeaderMatch: the regex `*` asks for presence only."""
    spec = mapping(match)
    for kind in ("exact", "prefix"):
        if isinstance(spec.get(kind), str):
            value = text(spec[kind])
            return Wanted(kind, value, ignores_case) if value or kind == "exact" else PRESENT
    regex = text(spec.get("regex"))
    return Wanted("regex", regex) if regex and regex != "*" else PRESENT


@lru_cache(maxsize=_PATTERNS_KEPT)
def full_match(regex: str) -> Callable[[str], bool]:
    """Return a test for the whole text; one that always fails where RE2 does not know the expression."""
    import re2  # loaded only where a regular expression is compared

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    try:
        pattern = re2.compile(regex, options)
    except (re2.error, UnicodeEncodeError, ValueError):
        return lambda value: False
    return lambda value: pattern.fullmatch(value) is not None
