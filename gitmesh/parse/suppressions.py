"""Findings that a file itself says are wanted: `# gitmesh: ignore GM205 because both teams agreed`.

Stage: parse (pure). A comment beside a line covers that line. A comment of its own covers what begins on
the line below it: a field with everything in it, a list element, or a whole document. The annotation
`gitmesh.dev/ignore: "GM205: both teams agreed"` covers its object, also in JSON, which has no comments.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gitmesh.model.diagnostic import MORE_FINDINGS, Diagnostic, Severity, has_errors, in_order
from gitmesh.model.kinds import GITMESH
from gitmesh.model.resource import Location, Resource, ResourceKey
from gitmesh.model.revision import SourceFile
from gitmesh.model.spelling import closest
from gitmesh.parse import codes
from gitmesh.parse.lines import lines_of
from gitmesh.parse.marks import Place, locate
from gitmesh.parse.positions import objects_by_place
from gitmesh.parse.spans import Spans, read_spans

ANNOTATION = "gitmesh.dev/ignore"
_MARKS = (b"gitmesh:", b"gitmesh.dev/ignore")
# As many signs as a frame of them may have: without a bound, a long line of them is gone through for each.
_COMMENT = re.compile(r"(?:^|(?<=[ \t]))#[ \t#]{0,120}gitmesh:[ \t]*ignore\b(.*)")
_BETWEEN = re.compile(r"[ \t]*(?:#.*|---[ \t]*(?:#.*)?|%.*)?")
_CODE = re.compile(r"[A-Za-z]{2,6}[0-9]{1,6}")
_REASON = re.compile(r":?[ \t]*\bbecause\b|:", re.IGNORECASE)
_FAR = 1 << 62
_PER_FILE_MAX = 1_000
_CODES_MAX = 20
_FORM = "write: gitmesh: ignore GM205 because (the reason)"


@dataclass(frozen=True, slots=True)
class Suppression:
    """One code that is wanted from one place of a file to another, and why. `at`: where that is said."""

    code: str
    reason: str
    at: Location
    first: Place
    last: Place


Suppressions = tuple[tuple[Suppression, ...], tuple[Diagnostic, ...]]


def read_suppressions(file: SourceFile, text: str, resources: Sequence[Resource]) -> Suppressions:
    """Return what a file suppresses, and what is wrong with how it says so."""
    if not any(mark in file.content for mark in _MARKS):
        return (), ()
    spans = read_spans(text)
    found: list[Suppression] = []
    wrong: list[Diagnostic] = []
    for said in _said(file, text, resources, spans):
        if max(len(found), len(wrong)) >= _PER_FILE_MAX:
            message = f"more than {_PER_FILE_MAX} suppressions in one file; this and the rest are not read"
            wrong.append(codes.BAD_SUPPRESSION.finding(message, said.at, hint="split the file"))
            break
        reason, names, problem = _read(said.text, said.at)
        if problem is not None:
            wrong.append(problem)
        else:
            found += (Suppression(name, reason, said.at, said.first, said.last) for name in names)
    return tuple(found), tuple(wrong)


@dataclass(frozen=True, slots=True)
class _Said:
    """One comment or one line of an annotation, and what it covers."""

    text: str
    at: Location
    first: Place
    last: Place


def _said(file: SourceFile, text: str, resources: Sequence[Resource], spans: Spans) -> Iterator[_Said]:
    if not file.path.lower().endswith(".json"):
        yield from _comments(file.path, text, spans)
    yield from _annotations(file, resources, spans)


def _comments(path: str, text: str, spans: Spans) -> Iterator[_Said]:
    lines = lines_of(text)
    starts = spans.starts()
    below: list[int] = []
    for number, line in enumerate(lines, start=1):
        match = _COMMENT.search(line) if "gitmesh:" in line else None
        if match is None or spans.in_text((number, match.start() + 1)):
            continue
        at = Location(path, number, match.start() + 1)
        if line[: match.start()].strip():
            yield _Said(match[1], at, (number, 1), (number, _FAR))
        else:
            below = below or _lines_below(lines)
            yield _Said(match[1], at, *_below(below[number], spans, starts))


def _lines_below(lines: list[str]) -> list[int]:
    """Return for each line the first line after it, from 1, that is no comment and begins no document."""
    below = [len(lines) + 1] * (len(lines) + 1)
    for index in range(len(lines) - 1, -1, -1):
        line = lines[index]
        is_between = line.strip() and _BETWEEN.fullmatch(line)
        below[index] = below[index + 1] if is_between else index + 1
    return below


def _below(line: int, spans: Spans, starts: list[Place]) -> tuple[Place, Place]:
    """Return from where to where a comment of its own goes: the largest thing that begins on a line."""
    index = bisect_left(starts, (line, 1))
    end: Place = (line, _FAR)
    while index < len(starts) and starts[index][0] == line:
        end = max(end, spans.ends[starts[index]])
        index += 1
    return (line, 1), end


def _annotations(file: SourceFile, resources: Sequence[Resource], spans: Spans) -> Iterator[_Said]:
    marked = [r for r in resources if isinstance(r.annotations, dict) and ANNOTATION in r.annotations]
    nodes = objects_by_place(file) if marked else {}
    for resource in marked:
        text, origin = resource.annotations[ANNOTATION], resource.origin
        if not isinstance(text, str) or origin is None:
            continue  # reported as metadata that is not text
        first = (origin.line, origin.column)
        last = spans.ends.get(first, (_FAR, _FAR))
        node = nodes.get(first)
        line, column = locate(node, ("metadata", "annotations", ANNOTATION)) if node else first
        for part in text.strip().splitlines() or [""]:
            yield _Said(part, Location(file.path, line, column), first, last)


def _read(text: str, at: Location) -> tuple[str, tuple[str, ...], Diagnostic | None]:
    """Return reason and codes, or what is wrong."""
    head, reason = text, ""
    if split := _REASON.search(text):
        head, reason = text[: split.start()], text[split.end() :].strip(" \t:")
    words = [word for word in re.split(r"[\s,]+", head) if word]
    names = tuple(dict.fromkeys(word.upper() for word in words if _CODE.fullmatch(word)))
    strange = [word for word in words if not _CODE.fullmatch(word)]
    if not names or (strange and reason) or len(names) > _CODES_MAX:
        message = (
            f"{strange[0][:40]!r} is not the code of a rule" if strange else "no code of a rule is named"
        )
        if len(names) > _CODES_MAX:
            message = f"more than {_CODES_MAX} codes in one suppression"
        return "", (), codes.BAD_SUPPRESSION.finding(message, at, hint=_FORM)
    if not re.search(r"\w", reason):
        message = f"{', '.join(names)} is suppressed without a reason, so it is not suppressed"
        return "", (), codes.NO_REASON.finding(message, at, hint=_FORM)
    return reason[:500], names, None


_WRONG_TYPE = "GM102"
# What cannot be suppressed: the file or the object would be left out, and so seem to be deleted from Git; or
# a value would reach what plans and applies in a type that it was never meant to read.
LASTING = frozenset(
    (
        *(code.name for code in (codes.NOT_TEXT, codes.SYNTAX, codes.LIMIT, codes.NO_JSON_VALUE)),
        *(code.name for code in (codes.NO_OBJECT, codes.BAD_NAME, codes.UNKNOWN_KIND)),
        *(code.name for code in (codes.DUPLICATE_OBJECT, codes.NO_REASON, codes.BAD_SUPPRESSION)),
        *(code.name for code in (codes.UNUSED_SUPPRESSION, codes.LASTING_FINDING)),
        MORE_FINDINGS,
        _WRONG_TYPE,
    )
)
# Of one object at most this many errors are suppressed. Each stage shows more of them than that before it
# stops, so that an error which is not shown never hides behind errors that are suppressed.
_OBJECT_MAX = 100


@dataclass(frozen=True, slots=True)
class Rules:
    """What suppressions are judged by: `known` codes, and those that were `unchecked` this time.

    `errors_max`: the number of findings that are shown of a whole revision.
    """

    known: Collection[str]
    unchecked: Collection[str] = ()
    errors_max: int = 1_000


def suppress(
    findings: Iterable[Diagnostic], by_file: Mapping[str, Sequence[Suppression]], rules: Rules
) -> tuple[Diagnostic, ...]:
    """Mark the findings that are suppressed, and report the suppressions that do nothing.

    `by_file`: path -> what that file suppresses. `findings` have the places that people see.
    """
    found = tuple(findings)
    if not by_file:
        return in_order(found)
    marker = _Marker(by_file, rules.errors_max // 2)
    result = [marker.mark(finding) for finding in found]
    complete = all(finding.code != MORE_FINDINGS for finding in found)
    # Where something is wrong, not every rule was reached.
    wrong = {f.at.file for f in result if f.at and has_errors((f,))}
    for path, suppressions in by_file.items():
        judged = complete and path not in wrong
        idle = (_idle(s, rules, judged) for s in suppressions if s not in marker.used)
        result += (finding for finding in idle if finding is not None)
    return in_order(result)


class _Marker:
    """Marks findings one by one, and keeps what was used."""

    def __init__(self, by_file: Mapping[str, Sequence[Suppression]], errors_max: int) -> None:
        self.used: set[Suppression] = set()
        self._errors_max = errors_max
        self._errors: Counter[ResourceKey | str | None] = Counter()
        self._by_code: dict[tuple[str, str], list[Suppression]] = {}
        for path, suppressions in by_file.items():
            for suppression in suppressions:
                self._by_code.setdefault((path, suppression.code), []).append(suppression)

    def mark(self, finding: Diagnostic) -> Diagnostic:
        """Return the finding, with the reason if it is suppressed."""
        if finding.at is None or is_lasting(finding):
            return finding
        place = (finding.at.line, finding.at.column)
        for suppression in self._by_code.get((finding.at.file, finding.code), ()):
            if suppression.first <= place <= suppression.last:
                self.used.add(suppression)
                too_many = finding.severity is Severity.ERROR and self._is_too_many(finding)
                return finding if too_many else replace(finding, suppressed=suppression.reason)
        return finding

    def _is_too_many(self, finding: Diagnostic) -> bool:
        about = finding.key or (finding.at.file if finding.at else "")
        self._errors.update((about, None))
        return self._errors[about] > _OBJECT_MAX or self._errors[None] > self._errors_max


def is_lasting(finding: Diagnostic) -> bool:
    """Say whether a finding cannot be suppressed. What is wrong with GitMesh's own kinds cannot, either."""
    own = finding.key is not None and finding.key.group == GITMESH and finding.severity is Severity.ERROR
    return own or finding.code in LASTING


def _idle(suppression: Suppression, rules: Rules, judged: bool) -> Diagnostic | None:
    """Return what is wrong with a suppression that no finding needed, if that can be said."""
    code = suppression.code
    if code not in rules.known:
        near = closest(code, rules.known)
        hint = f"did you mean {near}?" if near else "gitmesh validate --list-rules names them all"
        return codes.BAD_SUPPRESSION.finding(f"there is no rule {code}", suppression.at, hint=hint)
    if code in LASTING:
        message = f"{code} cannot be suppressed"
        hint = "correct it, or name the file in .gitmeshignore"
        return codes.LASTING_FINDING.finding(message, suppression.at, hint=hint)
    if not judged or code in rules.unchecked:
        return None
    message = f"nothing here has {code}, so this suppresses nothing"
    hint = "remove it, or put it beside the place of the finding, or on its own line directly above"
    return codes.UNUSED_SUPPRESSION.finding(message, suppression.at, hint=hint)
