"""The codes of everything that can be wrong with files, before their content is judged.

Stage: parse (pure). The catalogue in `gitmesh.validate` explains each of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.resource import Location, ResourceKey


@dataclass(frozen=True, slots=True)
class Code:
    """A stable code with its severity."""

    name: str
    severity: Severity

    def finding(
        self,
        message: str,
        at: Location,
        *,
        hint: str = "",
        path: tuple[str | int, ...] = (),
        key: ResourceKey | None = None,
        wants_key: bool = False,
    ) -> Diagnostic:
        """Return a diagnostic with this code."""
        return Diagnostic(self.name, self.severity, message, hint, at, key, path, wants_key)


LFS_POINTER = Code("GM006", Severity.ERROR)
NOT_TEXT = Code("GM010", Severity.ERROR)
SYNTAX = Code("GM011", Severity.ERROR)
DUPLICATE_FIELD = Code("GM012", Severity.ERROR)
SURPRISING_SCALAR = Code("GM013", Severity.WARNING)
LIMIT = Code("GM014", Severity.ERROR)
NO_JSON_VALUE = Code("GM015", Severity.ERROR)
NO_OBJECT = Code("GM016", Severity.ERROR)
BAD_NAME = Code("GM017", Severity.ERROR)
BAD_METADATA = Code("GM018", Severity.ERROR)
NOT_MANAGED = Code("GM019", Severity.INFO)
UNKNOWN_KIND = Code("GM020", Severity.ERROR)
DUPLICATE_OBJECT = Code("GM021", Severity.ERROR)
SERVER_FIELD = Code("GM022", Severity.WARNING)
NOT_APPLIED = Code("GM023", Severity.WARNING)
BAD_PATTERN = Code("GM025", Severity.WARNING)
NO_REASON = Code("GM026", Severity.WARNING)
BAD_SUPPRESSION = Code("GM027", Severity.WARNING)
UNUSED_SUPPRESSION = Code("GM028", Severity.WARNING)
LASTING_FINDING = Code("GM029", Severity.WARNING)
