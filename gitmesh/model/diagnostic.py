"""Diagnostics: what is wrong, where, and what to do.

Stage: none (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gitmesh.model.resource import Location, ResourceKey


class Severity(StrEnum):
    """How much a finding matters. Only an error keeps a revision from being applied."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: stable code, place, fact, remedy.

    `path` leads from the object's root to the field, for example `("spec", "http", 0, "route")`;
    `at` begins as the place of the object and is narrowed to the field by `parse.positions`.
    `wants_key` is true when the place meant is the field's name, not its value (an unknown field).
    `suppressed` is the reason that the file itself gives for wanting this, and empty otherwise.
    """

    code: str
    severity: Severity
    message: str
    hint: str = ""
    at: Location | None = None
    key: ResourceKey | None = None
    path: tuple[str | int, ...] = ()
    wants_key: bool = False
    suppressed: str = ""

    def __str__(self) -> str:
        place = f"{self.at}: " if self.at else ""
        about = f" ({self.key})" if self.key else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{place}{self.severity.value} {self.code}: {self.message}{about}{hint}"

    def as_json(self) -> dict[str, Any]:
        """Return the form that programs read."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "message": self.message,
            "hint": self.hint,
            "file": self.at.file if self.at else None,
            "line": self.at.line if self.at else None,
            "column": self.at.column if self.at else None,
            "resource": str(self.key) if self.key else None,
            "path": list(self.path),
            "suppressed": bool(self.suppressed),
            "reason": self.suppressed or None,
        }


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Say whether any of them keeps the revision from being applied."""
    return any(d.severity is Severity.ERROR and not d.suppressed for d in diagnostics)


MORE_FINDINGS = "GM024"


def bounded(diagnostics: Iterable[Diagnostic], limit: int) -> tuple[Diagnostic, ...]:
    """Return at most `limit` findings in the order of files, and one that counts the rest.

    Errors are kept before warnings: they decide whether a revision is applied.
    """
    found = in_order(diagnostics)
    if len(found) <= limit:
        return found
    kept = in_order(sorted(found, key=lambda d: d.severity is not Severity.ERROR)[:limit])
    message = f"{len(found) - limit} more findings are not shown"
    return (*kept, Diagnostic(MORE_FINDINGS, Severity.INFO, message, "fix the first ones, then look again"))


def up_to_errors(diagnostics: Iterable[Diagnostic], errors_max: int) -> Iterator[Diagnostic]:
    """Yield findings until enough of them are errors; the rest is not even looked for.

    Warnings never count, so that no error hides behind them.
    """
    errors = 0
    for diagnostic in diagnostics:
        yield diagnostic
        errors += diagnostic.severity is Severity.ERROR
        if errors >= errors_max:
            return


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return the findings by file, line and column; those without a place come first."""
    return tuple(sorted(diagnostics, key=_place))


def _place(diagnostic: Diagnostic) -> tuple[str, int, int, str]:
    at = diagnostic.at
    return (at.file, at.line, at.column, diagnostic.code) if at else ("", 0, 0, diagnostic.code)
