"""A report as workflow commands of GitHub Actions, which show findings beside the lines of a change.

Stage: none (face). Source: docs.github.com, "Workflow commands for GitHub Actions", and how the runner reads
them: % and line breaks are escaped in a message, and : and , as well in a property.
"""

from __future__ import annotations

from gitmesh.cli.findings import summary
from gitmesh.cli.plain import plain
from gitmesh.cli.report import Report, istio_code
from gitmesh.model.diagnostic import Diagnostic, Severity

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render_github(report: Report) -> str:
    """Return one command a finding that is not suppressed, and what was looked at as a last line."""
    lines = [_command(finding) for finding in report.shown]
    for entry in report.unreadable:
        lines.append(f"::error title=not read::{_message(entry.reason)}")
    return "\n".join([*lines, summary(report.findings, len(report.checked))])


def _command(finding: Diagnostic) -> str:
    istio = f" ({code})" if (code := istio_code(finding)) else ""
    properties = {"title": f"{finding.code}{istio}"}
    if finding.at:
        place = {"file": finding.at.file, "line": str(finding.at.line), "col": str(finding.at.column)}
        properties = {**place, **properties}
    about = f" [{finding.key}]" if finding.key else ""
    hint = f"\n{finding.hint}" if finding.hint else ""
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{_COMMANDS[finding.severity]} {written}::{_message(finding.message + about + hint)}"


def _message(text: str) -> str:
    lines = (plain(line) for line in text.split("\n"))
    return "%0A".join(line.replace("%", "%25") for line in lines)


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
