"""`.gitmeshignore`: which files are left alone, in the manner of .gitignore.

Stage: parse (pure). Source: git-scm.com, gitignore, "Pattern format".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.resource import Location
from gitmesh.parse import codes

IGNORE_FILE = ".gitmeshignore"
_PATTERN_CHARS_MAX = 256


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: a pattern below the folder of its file; `keeps` takes a match back."""

    folder: str  # "" or "a/b/"
    pattern: re.Pattern[str]
    keeps: bool


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """All lines of all ignore files. The last one that matches decides."""

    rules: tuple[Rule, ...] = ()

    def ignores(self, path: str) -> bool:
        """Say whether a file is left alone."""
        ignored = False
        for rule in self.rules:
            if path.startswith(rule.folder) and rule.pattern.match(path[len(rule.folder) :]):
                ignored = not rule.keeps
        return ignored


def read_ignore_files(texts: Mapping[str, str]) -> tuple[IgnoreRules, tuple[Diagnostic, ...]]:
    """Read every ignore file (path -> text); those of deeper folders come later and so win."""
    rules: list[Rule] = []
    findings: list[Diagnostic] = []
    for path in sorted(texts, key=lambda p: (p.count("/"), p)):
        folder = path[: -len(IGNORE_FILE)]
        for number, line in _lines(texts[path]):
            keeps = line.startswith("!")
            if (pattern := _compiled(line.removeprefix("!"))) is None:
                at = Location(path, number, 1)
                findings.append(codes.BAD_PATTERN.finding(f"{line[:60]!r} is not a pattern", at))
                continue
            rules.append(Rule(folder, pattern, keeps))
    return IgnoreRules(tuple(rules)), tuple(findings)


def _lines(text: str) -> Iterable[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.rstrip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Return the expression for paths below the folder, or None for what is no pattern."""
    bare = pattern.strip("/")
    if not bare or len(pattern) > _PATTERN_CHARS_MAX or pattern.count("*") > 8:
        return None
    # A pattern with a slash that is not its last character is bound to the folder.
    anywhere = "" if "/" in pattern.rstrip("/") else r"(?:.*/)?"
    ending = r"/.*" if pattern.endswith("/") else r"(?:/.*)?"
    return re.compile(anywhere + _expression(bare) + ending + r"\Z", re.DOTALL)


def _expression(glob: str) -> str:
    parts = re.split(r"(\*\*/|/\*\*|\*|\?)", glob)
    known = {"**/": r"(?:.*/)?", "/**": r"/.*", "*": r"[^/]*", "?": r"[^/]"}
    return "".join(known.get(part) or re.escape(part) for part in parts)
