"""The resource that is being judged, and how a finding about it is made.

Stage: validate (pure).
"""

from __future__ import annotations

from dataclasses import dataclass

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.resource import Resource
from gitmesh.validate.catalogue import CATALOGUE

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """One resource."""

    resource: Resource

    @property
    def namespace(self) -> str:
        """The namespace of the resource."""
        return self.resource.key.namespace

    def finding(
        self, code: str, message: str, path: Path, *, hint: str = "", wants_key: bool = False
    ) -> Diagnostic:
        """Return a finding about the field at `path`, with the severity that the catalogue gives."""
        origin = self.resource.origin
        return Diagnostic(
            code=code,
            severity=CATALOGUE[code].severity,
            message=message,
            hint=hint,
            at=origin.location if origin else None,
            key=self.resource.key,
            path=path,
            wants_key=wants_key,
        )


def dotted(path: Path) -> str:
    """Return a path as people write it: `spec.http[0].route`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
