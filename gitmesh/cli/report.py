"""What `gitmesh validate` found, before it is written in one of its forms.

Stage: none (face). Every form is a pure function of this value: no time, no machine, no random order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from gitmesh.cli.given import Unreadable
from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.revision import SourceFile
from gitmesh.validate.catalogue import CATALOGUE

CLEAN, FOUND, COULD_NOT_RUN = 0, 1, 2
_MILDEST_FIRST = (Severity.INFO, Severity.WARNING, Severity.ERROR)


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, suppressed ones too, safe to show; `checked` are the files that were read for objects."""

    findings: tuple[Diagnostic, ...]
    files: Mapping[str, SourceFile]
    checked: tuple[str, ...]
    unreadable: tuple[Unreadable, ...] = ()
    fail_on: Severity = Severity.ERROR

    @property
    def shown(self) -> tuple[Diagnostic, ...]:
        """The findings that are not suppressed."""
        return tuple(finding for finding in self.findings if not finding.suppressed)

    @property
    def suppressed(self) -> int:
        """How many are suppressed."""
        return len(self.findings) - len(self.shown)

    @property
    def counts(self) -> Mapping[Severity, int]:
        """How many of each severity are not suppressed."""
        return Counter(finding.severity for finding in self.shown)

    @property
    def status(self) -> int:
        """The exit status."""
        if self.unreadable:
            return COULD_NOT_RUN
        return FOUND if any(self.fails(finding) for finding in self.findings) else CLEAN

    def fails(self, finding: Diagnostic) -> bool:
        """Say whether a finding alone makes the command fail."""
        rank = _MILDEST_FIRST.index
        return not finding.suppressed and rank(finding.severity) >= rank(self.fail_on)


def istio_code(finding: Diagnostic) -> str:
    """Return Istio's own code for the same finding, or nothing."""
    rule = CATALOGUE.get(finding.code)
    return rule.istio if rule else ""
