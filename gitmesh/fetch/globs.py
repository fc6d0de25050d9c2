"""Patterns of paths: `prod/**` is everything below prod, `*` stays inside a name, a folder means its content.

Stage: fetch (pure).
"""

from __future__ import annotations

import re
from functools import lru_cache


def matches(pattern: str, path: str) -> bool:
    """Say whether a path from the root of the repository is meant by a pattern."""
    return _compiled(pattern).fullmatch(path) is not None


def reaches(pattern: str, folder: str) -> bool:
    """Say whether a pattern may mean something below a folder of the repository; `folder` "" is the root."""
    parts = _parts(pattern)
    for index, name in enumerate(folder.split("/") if folder else ()):
        if index >= len(parts) or parts[index] == "**":
            return True
        if not matches(parts[index], name):
            return False
    return True


def _parts(pattern: str) -> list[str]:
    return [part for part in pattern.split("/") if part not in ("", ".")]


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = _parts(pattern)
    text = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            text += ".*" if last else "(?:[^/]+/)*"
        else:
            name = "".join(
                {"*": "[^/]*", "?": "[^/]"}.get(c, re.escape(c)) for c in re.sub(r"\*+", "*", part)
            )
            # What names a folder means everything in it.
            text += name + ("(?:/.*)?" if last else "/")
    return re.compile(text or ".*", re.DOTALL)
