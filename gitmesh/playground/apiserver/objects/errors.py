"""The errors of this package: a request that cannot be carried out, and why.

Stage: none (pure). The HTTP side of the server turns each into a Status.
"""

from __future__ import annotations

from typing import NamedTuple


class ObjectError(ValueError):
    """The base of all errors of this package. The text is fit for a client."""


class PatchError(ObjectError):
    """A patch does not fit the object, or is no patch. A client sees 422."""


class SelectorError(ObjectError):
    """A selector cannot be read. A client sees 400."""


class ApplyError(ObjectError):
    """A configuration cannot be applied, whatever is live. A client sees 400."""


class Conflict(NamedTuple):
    """One field that another manager owns. `manager` is its description, `field` a path as `.spec.http`."""

    manager: str
    field: str

    @property
    def cause(self) -> str:
        """The message of the cause (`FieldManagerConflict`) in the Status."""
        return f"conflict with {self.manager}"


class ApplyConflict(ObjectError):  # noqa: N818 (the API calls it a conflict)
    """Other managers own fields with other values. A client sees 409 with one cause for each conflict."""

    def __init__(self, conflicts: list[Conflict]) -> None:
        super().__init__(_message(conflicts))
        self.conflicts = conflicts


def _message(conflicts: list[Conflict]) -> str:
    """Word it as clients know it.

    Source: kubernetes/apimachinery, pkg/util/managedfields/internal/conflict.go.
    """
    if len(conflicts) == 1:
        return f"Apply failed with 1 conflict: {conflicts[0].cause}: {conflicts[0].field}"
    lines = []
    for manager in sorted({conflict.manager for conflict in conflicts}):
        lines.append(f"conflicts with {manager}:")
        lines += [f"- {conflict.field}" for conflict in conflicts if conflict.manager == manager]
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
