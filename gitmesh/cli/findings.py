"""Findings as people read them: by file, with the line and a caret under the place.

Stage: none (face).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import click

from gitmesh.cli.plain import columns, plain, plain_finding, plain_line
from gitmesh.cli.report import Report, istio_code
from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.revision import SourceFile
from gitmesh.parse.lines import lines_of

COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
LINE_MAX = 120
_BEFORE_MAX = 60
# What a caret is drawn under: text in quotes, or a word up to what ends it in YAML.
_WORD = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|(?:[^\s,:\[\]{}]|:(?!\s|$))+""")


def render_text(report: Report) -> str:
    """Return the whole report for people."""
    return render_findings(report.shown, report.files) + _last_line(report)


def render_findings(findings: Sequence[Diagnostic], files: Mapping[str, SourceFile]) -> str:
    """Return one block a finding, by file, without those that are suppressed."""
    ordered = sorted((d for d in findings if not d.suppressed), key=lambda d: (d.at is None, d.at))
    blocks: list[str] = []
    for file, inside in groupby(ordered, key=lambda d: d.at.file if d.at else ""):
        found = [plain_finding(finding) for finding in inside]
        blocks.append(_heading(file, found))
        lines = lines_of(files[file].content.decode(errors="replace")) if file in files else []
        blocks += (_block(finding, lines) for finding in found)
    return "".join(blocks)


def summary(findings: Sequence[Diagnostic], files: int) -> str:
    """Return the last line: how much was looked at and what was found."""
    shown = [finding for finding in findings if not finding.suppressed]
    hidden = len(findings) - len(shown)
    if not files and not findings:
        return "0 files: nothing was checked"
    if all(finding.severity is Severity.INFO for finding in shown):
        found = ", ".join(("nothing wrong", *([_counted(shown)] if shown else [])))
    else:
        found = _counted(shown)
    return f"{_count(files, 'file')}: {found}{f'; {hidden} suppressed' if hidden else ''}"


def _last_line(report: Report) -> str:
    line = summary(report.findings, len(report.checked))
    if report.unreadable:
        line += f"; {_count(len(report.unreadable), 'path')} could not be read"
    return line


def _counted(findings: Sequence[Diagnostic]) -> str:
    counts = ((sum(d.severity is s for d in findings), s.value) for s in COLOURS)
    return ", ".join(_count(number, noun) for number, noun in counts if number)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _heading(file: str, findings: Sequence[Diagnostic]) -> str:
    name = click.style(plain(file), bold=True) if file else click.style("not about one file", bold=True)
    return f"{name}: {_counted(findings)}\n\n"


def _block(finding: Diagnostic, lines: Sequence[str]) -> str:
    severity = click.style(finding.severity.value, fg=COLOURS[finding.severity], bold=True)
    place = f"{plain(str(finding.at))}: " if finding.at else ""
    istio = f" ({code})" if (code := istio_code(finding)) else ""
    about = f"  [{plain(str(finding.key))}]" if finding.key else ""
    text = [f"{place}{severity} {finding.code}{istio}: {finding.message}{about}"]
    text += _excerpt(finding, lines)
    if finding.hint:
        text.append(f"    = {finding.hint}")
    return "\n".join(text) + "\n\n"


def _excerpt(finding: Diagnostic, lines: Sequence[str]) -> Iterator[str]:
    """Yield the line and the caret. Of a long line the part around the place is shown."""
    if finding.at is None or finding.at.line > len(lines):
        return
    line, start = lines[finding.at.line - 1], finding.at.column - 1
    if start > len(line):
        return
    word = word_length(line, start)
    first = max(0, start - _BEFORE_MAX) if len(line) > LINE_MAX else 0
    before, after = ("..." if first else ""), ("..." if len(line) - first > LINE_MAX else "")
    cut = plain_line(line[first : first + LINE_MAX])
    indent = columns(before + cut[: start - first])
    caret = "^" + "~" * (columns(cut[start - first : start - first + word]) - 1)
    number = str(finding.at.line)
    colour = COLOURS[finding.severity]
    yield f"    {number} | {before}{cut}{after}"
    yield f"    {' ' * len(number)} | {' ' * indent}{click.style(caret, fg=colour)}"


def word_length(line: str, start: int) -> int:
    """Return how many characters the word has that begins here; at least 1."""
    match = _WORD.match(line, start)
    return max(1, match.end() - start) if match else 1
