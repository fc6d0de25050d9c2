"""Versions and ranges of versions, by the rules of Semantic Versioning.

Stage: none (pure). Source: semver.org, Semantic Versioning 2.0.0, items 2 to 11. Ranges are written as npm
and Helm write them: `>=1.2 <2`, `1.x`, `~1.4`, `^2.0.0`, `1.2 - 1.4`, `1.x || 3.x`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import total_ordering

_NUMBER = r"0|[1-9]\d{0,17}"
_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_PRE = rf"{_IDENTIFIER}(?:\.{_IDENTIFIER})*"
_BUILD = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(rf"v?({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PRE}))?(?:\+{_BUILD})?", re.ASCII)
_PART = rf"(?:{_NUMBER}|[xX*])"
_PARTIAL = re.compile(rf"v?({_PART})(?:\.({_PART})(?:\.({_PART})(?:-({_PRE}))?(?:\+{_BUILD})?)?)?", re.ASCII)
_TERM = re.compile(r"(>=|<=|>|<|=|!=|~>|~|\^)?\s*(\S+)")
_OPERATOR_GAP = re.compile(r"(>=|<=|!=|~>|[><=~^])\s+")
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")
_VERSION_CHARS_MAX = 256
ADVICE = "write for example >=1.2 <2, 1.x, ~1.4 or ^2.0.0"


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """One version. Build metadata has no say in the order, and is not kept."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()

    def __lt__(self, other: Version) -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...]]:
        # Item 11: a pre-release comes before its release; numbers before words, and by their value.
        identifiers = tuple(
            (False, int(part), "") if part.isdigit() else (True, 0, part) for part in self.pre
        )
        return (self.major, self.minor, self.patch), not self.pre, identifiers

    def __str__(self) -> str:
        pre = f"-{'.'.join(self.pre)}" if self.pre else ""
        return f"{self.major}.{self.minor}.{self.patch}{pre}"


def parse_version(text: str) -> Version | None:
    """Read a version, with or without the `v` that tags often begin with; None for what is none."""
    match = _VERSION.fullmatch(text) if len(text) <= _VERSION_CHARS_MAX else None
    if match is None:
        return None
    major, minor, patch, pre = match.groups()
    return Version(int(major), int(minor), int(patch), tuple(pre.split(".")) if pre else ())


Test = Callable[[Version], bool]


@dataclass(frozen=True, slots=True)
class _Together:
    """Comparisons that must all hold. `names_pre`: one is with a pre-release, so those are meant too."""

    tests: tuple[Test, ...]
    names_pre: bool

    def holds(self, version: Version) -> bool:
        return (self.names_pre or not version.pre) and all(test(version) for test in self.tests)


@dataclass(frozen=True, slots=True)
class Range:
    """A range of versions: alternatives of comparisons that hold together."""

    text: str
    _alternatives: tuple[_Together, ...]

    def holds(self, version: Version) -> bool:
        """Say whether a version is in the range."""
        return any(alternative.holds(version) for alternative in self._alternatives)

    def newest(self, tags: Iterable[str]) -> str | None:
        """Return the tag with the newest version in the range; of equal versions the last by name."""
        found = [(version, tag) for tag in tags if (version := parse_version(tag)) and self.holds(version)]
        return max(found)[1] if found else None


def parse_range(text: str) -> Range:
    """Read a range. Raises ValueError, which says what is wrong and what to write."""
    alternatives = tuple(_together(part, text) for part in text.split("||"))
    return Range(text, alternatives)


def _together(part: str, whole: str) -> _Together:
    between = _HYPHEN.fullmatch(part.strip())
    if between:
        terms = [(">=", between[1]), ("<=", between[2])]
    else:
        words = _OPERATOR_GAP.sub(r"\1", part).replace(",", " ").split()
        terms = [(match[1] or "=", match[2]) for word in words if (match := _TERM.fullmatch(word))]
    if not terms:
        raise ValueError(f"{whole[:80]!r} is not a range of versions; {ADVICE}")
    read = [_read_partial(operand, whole) for _, operand in terms]
    tests = tuple(_test(operator, operand) for (operator, _), operand in zip(terms, read, strict=True))
    return _Together(tests, any(operand.pre for operand in read))


@dataclass(frozen=True, slots=True)
class _Partial:
    """A version of which the last numbers may be open."""

    numbers: tuple[int, ...]
    pre: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """True where no number is open."""
        return len(self.numbers) == 3

    @property
    def first(self) -> Version:
        """The first version that it stands for."""
        major, minor, patch = (*self.numbers, 0, 0, 0)[:3]
        return Version(major, minor, patch, self.pre)

    def next(self, at: int) -> Version:
        """Return the first version after all of those that agree in the numbers before and at a place."""
        kept = [*self.numbers[: at + 1]]
        kept[at] += 1
        major, minor, patch = (*kept, 0, 0, 0)[:3]
        # Its pre-releases belong to it and not to what is below.
        return Version(major, minor, patch, ("0",))

    @property
    def end(self) -> Version | None:
        """The first version after all that it stands for; None where it stands for all, or for one."""
        return self.next(len(self.numbers) - 1) if 0 < len(self.numbers) < 3 else None


def _read_partial(text: str, whole: str) -> _Partial:
    match = _PARTIAL.fullmatch(text) if len(text) <= _VERSION_CHARS_MAX else None
    if match is None:
        raise ValueError(f"{text[:40]!r} in {whole[:80]!r} is not a version or a part of one; {ADVICE}")
    numbers: list[int] = []
    for part in match.groups()[:3]:
        if part is None or part in ("x", "X", "*"):
            break
        numbers.append(int(part))
    return _Partial(tuple(numbers), tuple(match[4].split(".")) if match[4] else ())


def _test(operator: str, operand: _Partial) -> Test:
    if not operand.numbers:
        return (lambda version: True) if operator not in ("<", ">", "!=") else (lambda version: False)
    first, end = operand.first, operand.end
    match operator:
        case "^":
            return _between(first, operand.next(_fixed_by_caret(operand)))
        case "~" | "~>":
            return _between(first, operand.next(min(len(operand.numbers) - 1, 1)))
        case ">":
            return (lambda version: version >= end) if end else (lambda version: version > first)
        case ">=":
            return lambda version: version >= first
        case "<":
            below = first if operand.is_whole else Version(first.major, first.minor, first.patch, ("0",))
            return lambda version: version < below
        case "<=":
            return (lambda version: version < end) if end else (lambda version: version <= first)
    within = _between(first, end) if end else (lambda version: version == first)
    return (lambda version: not within(version)) if operator == "!=" else within


def _between(first: Version, end: Version) -> Test:
    return lambda version: first <= version < end


def _fixed_by_caret(operand: _Partial) -> int:
    """Return the place of the first number that is not 0: what stands there may not change."""
    places = (at for at, number in enumerate(operand.numbers) if number)
    return next(places, len(operand.numbers) - 1)
