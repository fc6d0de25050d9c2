"""A report as JSON of its own form, for scripts.

Stage: none (face). Only ASCII is written: everything else is an escape, so no terminal obeys it.
"""

from __future__ import annotations

import json
from typing import Any

from gitmesh.cli.report import Report, istio_code
from gitmesh.model.diagnostic import Diagnostic, Severity


def render_json(report: Report) -> str:
    """Return the report; `findings` has the suppressed ones, too, marked as such."""
    counts = report.counts
    body = {
        "files": len(report.checked),
        "summary": {
            "errors": counts.get(Severity.ERROR, 0),
            "warnings": counts.get(Severity.WARNING, 0),
            "infos": counts.get(Severity.INFO, 0),
            "suppressed": report.suppressed,
        },
        "findings": [_finding(finding) for finding in report.findings],
        "unreadable": [{"path": entry.path, "reason": entry.reason} for entry in report.unreadable],
    }
    return ascii_json(body)


def ascii_json(body: Any) -> str:
    """Return JSON of ASCII characters that are all printed."""
    return json.dumps(body, indent=2).replace("\x7f", "\\u007f")


def _finding(finding: Diagnostic) -> dict[str, Any]:
    return {**finding.as_json(), "istio": istio_code(finding) or None}
