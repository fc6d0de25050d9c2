"""A report as JUnit XML, which every CI system can show: one test case a file.

Stage: none (face). A file fails by findings at or above --fail-on; milder ones are its output.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from gitmesh.cli.plain import plain
from gitmesh.cli.report import Report, istio_code
from gitmesh.model.diagnostic import Diagnostic

_SUITE = "gitmesh validate"
_WHOLE = "(all files)"


def render_junit(report: Report) -> str:
    """Return one document."""
    by_file: dict[str, list[Diagnostic]] = {path: [] for path in report.checked}
    for finding in report.shown:
        by_file.setdefault(finding.at.file if finding.at else _WHOLE, []).append(finding)
    failures = sum(any(report.fails(finding) for finding in found) for found in by_file.values())
    total, errors = len(by_file) + len(report.unreadable), len(report.unreadable)
    counts = f'tests="{total}" failures="{failures}" errors="{errors}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites name={_quoted(_SUITE)} {counts}>",
        f'  <testsuite name={_quoted(_SUITE)} {counts} skipped="0">',
    ]
    for path in sorted(by_file):
        lines += _case(path, by_file[path], report)
    for entry in report.unreadable:
        lines += [_opening(entry.path) + ">", f"      <error message={_quoted(entry.reason)}/>"]
        lines.append("    </testcase>")
    return "\n".join([*lines, "  </testsuite>", "</testsuites>"])


def _case(path: str, findings: Sequence[Diagnostic], report: Report) -> Iterator[str]:
    failing = [finding for finding in findings if report.fails(finding)]
    milder = [finding for finding in findings if not report.fails(finding)]
    if not findings:
        yield _opening(path) + "/>"
        return
    yield _opening(path) + ">"
    if failing:
        kinds = ", ".join(dict.fromkeys(finding.code for finding in failing))
        message = _quoted(f"{len(failing)} finding{'' if len(failing) == 1 else 's'}: {kinds}")
        worst = failing[0].severity.value
        yield f'      <failure message={message} type="{worst}">{_lines(failing)}</failure>'
    if milder:
        yield f"      <system-out>{_lines(milder)}</system-out>"
    yield "    </testcase>"


def _opening(path: str) -> str:
    return f'    <testcase classname={_quoted(_SUITE)} name={_quoted(path)} file={_quoted(path)} time="0"'


def _lines(findings: Sequence[Diagnostic]) -> str:
    return escape("\n".join(_line(finding) for finding in findings))


def _line(finding: Diagnostic) -> str:
    istio = f" ({code})" if (code := istio_code(finding)) else ""
    place = f"{finding.at.line}:{finding.at.column}: " if finding.at else ""
    about = f" [{finding.key}]" if finding.key else ""
    hint = f"; {finding.hint}" if finding.hint else ""
    return plain(f"{place}{finding.severity.value} {finding.code}{istio}: {finding.message}{about}{hint}")


def _quoted(text: str) -> str:
    return quoteattr(plain(text))
