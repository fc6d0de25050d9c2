"""`.gitmeshignore`: which files are left alone, in the manner of .gitignore.

Stage: parse (pure). Source: git-scm.com, gitignore, "Pattern format".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.resource import Location
from gitmesh.parse import codes

IGNORE_FILE = ".gitmeshignore"
_PATTERN_CHARS_MAX = 256


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: a pattern below the folder of its file; `keeps` takes a match back."""

    folder: str  # "" or "a/b/"
    segments: tuple[str, ...]  # `**` stands for any number of folders
    only_below: bool  # it names a folder: what is in it matches, and a file of that name does not
    keeps: bool

    def matches(self, path: str) -> bool:
        """Say whether a path, or a folder that it is in, fits. Takes time linear in both, never more."""
        if not path.startswith(self.folder):
            return False
        parts = path[len(self.folder) :].split("/")
        reached = {0}
        for segment in self.segments:
            if segment == "**":
                reached = set(range(min(reached, default=len(parts) + 1), len(parts) + 1))
            else:
                reached = {at + 1 for at in reached if at < len(parts) and _fits(segment, parts[at])}
        return any(at < len(parts) or not self.only_below for at in reached)


def _fits(pattern: str, text: str) -> bool:
    """Match `*` and `?` inside one name, without backtracking further than to the last `*`."""
    at = in_pattern = 0
    star = resume = -1
    while at < len(text):
        if in_pattern < len(pattern) and pattern[in_pattern] == "*":
            star, resume = in_pattern, at
            in_pattern += 1
        elif in_pattern < len(pattern) and pattern[in_pattern] in ("?", text[at]):
            at, in_pattern = at + 1, in_pattern + 1
        elif star >= 0:
            resume += 1
            at, in_pattern = resume, star + 1
        else:
            return False
    return not pattern[in_pattern:].strip("*")


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """All lines of all ignore files. The last one that matches decides."""

    rules: tuple[Rule, ...] = ()

    def ignores(self, path: str) -> bool:
        """Say whether a file is left alone."""
        ignored = False
        for rule in self.rules:
            if rule.matches(path):
                ignored = not rule.keeps
        return ignored


NOTHING_IGNORED = IgnoreRules()


def read_ignore_files(texts: Mapping[str, str]) -> tuple[IgnoreRules, tuple[Diagnostic, ...]]:
    """Read every ignore file (path -> text); those of deeper folders come later and so win."""
    rules: list[Rule] = []
    findings: list[Diagnostic] = []
    for path in sorted(texts, key=lambda p: (p.count("/"), p)):
        folder = path[: -len(IGNORE_FILE)]
        for number, line in _lines(texts[path]):
            if (rule := _rule(folder, line)) is not None:
                rules.append(rule)
            else:
                at = Location(path, number, 1)
                findings.append(codes.BAD_PATTERN.finding(f"{line[:60]!r} is not a pattern", at))
    return IgnoreRules(tuple(rules)), tuple(findings)


def read_patterns(patterns: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rules of patterns that were checked before; they count from the root of the repository."""
    return tuple(rule for pattern in patterns if (rule := _rule("", pattern)) is not None)


def _lines(text: str) -> Iterable[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.rstrip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _rule(folder: str, line: str) -> Rule | None:
    """Return the rule of one line, or None for what is no pattern."""
    pattern = line.removeprefix("!")
    segments = [segment for segment in pattern.split("/") if segment]
    if not segments or len(pattern) > _PATTERN_CHARS_MAX:
        return None
    only_below = pattern.endswith(("/", "/**"))
    if pattern.endswith("/**"):
        segments.pop()
    # A pattern with a slash that is not its last character is bound to the folder.
    if "/" not in pattern.rstrip("/"):
        segments.insert(0, "**")
    return Rule(folder, tuple(segments), only_below, keeps=line.startswith("!"))
