"""Findings as people read them: by file, with the line and a caret under the place.

Stage: none (face).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.revision import SourceFile

COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
LINE_MAX = 160


def render_findings(findings: Sequence[Diagnostic], files: Mapping[str, SourceFile]) -> str:
    """Return one block a finding; click drops the colours where they are not wanted."""
    ordered = sorted(findings, key=lambda d: (d.at is None, d.at))
    return "".join(_block(finding, files) for finding in ordered)


def summary(findings: Sequence[Diagnostic], files: int) -> str:
    """Return the last line: how much was looked at and what was found."""
    errors = sum(f.severity is Severity.ERROR for f in findings)
    warnings = sum(f.severity is Severity.WARNING for f in findings)
    found = (
        f"{_count(errors, 'error')}, {_count(warnings, 'warning')}" if errors or warnings else "nothing wrong"
    )
    return f"{_count(files, 'file')}: {found}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _block(finding: Diagnostic, files: Mapping[str, SourceFile]) -> str:
    severity = click.style(finding.severity.value, fg=COLOURS[finding.severity], bold=True)
    place = f"{finding.at}: " if finding.at else ""
    about = f"  [{finding.key}]" if finding.key else ""
    lines = [f"{place}{severity} {finding.code}: {finding.message}{about}"]
    lines += _excerpt(finding, files)
    if finding.hint:
        lines.append(f"    = {finding.hint}")
    return "\n".join(lines) + "\n\n"


def _excerpt(finding: Diagnostic, files: Mapping[str, SourceFile]) -> list[str]:
    if finding.at is None or finding.at.file not in files:
        return []
    text = files[finding.at.file].content.decode(errors="replace").splitlines()
    if finding.at.line > len(text):
        return []
    line = text[finding.at.line - 1].replace("\t", " ")
    if len(line) > LINE_MAX:
        return []
    number = str(finding.at.line)
    return [f"    {number} | {line}", f"    {' ' * len(number)} | {' ' * (finding.at.column - 1)}^"]
