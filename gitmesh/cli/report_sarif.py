"""A report as SARIF 2.1.0, which code scanning services and editors read.

Stage: none (face). Source: docs.oasis-open.org, "Static Analysis Results Interchange Format (SARIF) 2.1.0".
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from gitmesh import __version__
from gitmesh.cli.findings import word_length
from gitmesh.cli.plain import plain, plain_line
from gitmesh.cli.report import Report
from gitmesh.cli.report_json import ascii_json
from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.parse.lines import lines_of
from gitmesh.validate.catalogue import CATALOGUE, Rule

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_ROOT = "%SRCROOT%"
_SNIPPET_CHARS_MAX = 400


def render_sarif(report: Report) -> str:
    """Return one log with one run, and every rule with its help."""
    codes = {code: number for number, code in enumerate(CATALOGUE)}
    lines = _Lines(report)
    run = {
        "tool": {
            "driver": {
                "name": "GitMesh",
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in CATALOGUE.values()],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report, codes)],
        "results": [_result(finding, codes, lines) for finding in report.findings if finding.at],
    }
    return ascii_json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(rule: Rule) -> dict[str, Any]:
    istio = f"\n\nIstio calls it {rule.istio}." if rule.istio else ""
    examples = f"Wrong:\n\n{rule.wrong.strip()}\n\nRight:\n\n{rule.right.strip()}"
    fenced = f"Wrong:\n\n{_fenced(rule.wrong)}\n\nRight:\n\n{_fenced(rule.right)}"
    return {
        "id": rule.code,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.explanation},
        "help": {
            "text": f"{rule.explanation}{istio}\n\n{examples}",
            "markdown": f"{rule.explanation}{istio}\n\n{fenced}",
        },
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["istio", *([rule.istio] if rule.istio else [])]},
    }


def _fenced(text: str) -> str:
    return f"```yaml\n{text.strip()}\n```"


def _invocation(report: Report, codes: dict[str, int]) -> dict[str, Any]:
    """Return what is about the run and no place: GitHub refuses a whole log for one result without one.

    Source: github/codeql-action, issue 2459.
    """
    notifications: list[dict[str, Any]] = [
        {
            "level": "error",
            "message": {"text": entry.reason},
            "locations": [{"physicalLocation": {"artifactLocation": _artifact(entry.path)}}],
        }
        for entry in report.unreadable
    ]
    notifications += [
        {
            "level": _LEVELS[finding.severity],
            "message": {"text": _text(finding)},
            "associatedRule": _rule_of(finding, codes),
        }
        for finding in report.findings
        if not finding.at and not finding.suppressed
    ]
    return {
        "executionSuccessful": not report.unreadable,
        "exitCode": report.status,
        **({"toolExecutionNotifications": notifications} if notifications else {}),
    }


def _text(finding: Diagnostic) -> str:
    text = f"{finding.message}; {finding.hint}" if finding.hint else finding.message
    return f"{text} ({finding.key})" if finding.key else text


def _rule_of(finding: Diagnostic, codes: dict[str, int]) -> dict[str, Any]:
    return {"id": finding.code, **({"index": codes[finding.code]} if finding.code in codes else {})}


def _result(finding: Diagnostic, codes: dict[str, int], lines: _Lines) -> dict[str, Any]:
    location: dict[str, Any] = {"physicalLocation": _physical(finding, lines)}
    if finding.key:
        name = f"{finding.key.group}/{finding.key.kind}/{finding.key.namespace}/{finding.key.name}"
        location["logicalLocations"] = [{"fullyQualifiedName": plain_line(name), "kind": "resource"}]
    result: dict[str, Any] = {
        "ruleId": finding.code,
        **({"ruleIndex": codes[finding.code]} if finding.code in codes else {}),
        "level": _LEVELS[finding.severity],
        "message": {"text": _text(finding)},
        "locations": [location],
        "partialFingerprints": {"gitmeshFinding/v1": _fingerprint(finding)},
    }
    if finding.suppressed:
        result["suppressions"] = [{"kind": "inSource", "justification": finding.suppressed}]
    return result


def _physical(finding: Diagnostic, lines: _Lines) -> dict[str, Any]:
    at = finding.at
    assert at is not None
    region: dict[str, Any] = {"startLine": at.line, "startColumn": at.column}
    line = lines.of(at.file, at.line)
    if line is not None:
        region["endLine"] = at.line
        region["endColumn"] = at.column + word_length(line, at.column - 1)
        region["snippet"] = {"text": plain_line(line[:_SNIPPET_CHARS_MAX])}
    return {"artifactLocation": _artifact(at.file), "region": region}


def _artifact(path: str) -> dict[str, str]:
    """Name a file relative to where the command ran, which in CI is the root of the repository."""
    try:
        escaped = quote(path.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:  # no name that a file can have
        escaped = quote(plain(path))
    if path.startswith("/"):
        return {"uri": f"file://{escaped}"}
    if ".." in PurePosixPath(path).parts:
        return {"uri": escaped}
    return {"uri": escaped, "uriBaseId": _ROOT}


def _fingerprint(finding: Diagnostic) -> str:
    """Return what stays when lines above a finding come and go."""
    file = finding.at.file if finding.at else ""
    parts = (finding.code, file, finding.key.path if finding.key else "", *map(str, finding.path))
    text = "\0".join((*parts, finding.message))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class _Lines:
    """The lines of the files; each file is split once."""

    def __init__(self, report: Report) -> None:
        self._files = report.files
        self._lines: dict[str, list[str]] = {}

    def of(self, file: str, line: int) -> str | None:
        """Return a line, or nothing where there is none."""
        if file not in self._files:
            return None
        if file not in self._lines:
            self._lines[file] = lines_of(self._files[file].content.decode(errors="replace"))
        lines = self._lines[file]
        return lines[line - 1] if 0 < line <= len(lines) else None
