"""Checking an object against a structural schema, in Kubernetes' words; with `prune` and `default`.

Stage: none (pure). The order of a write is prune, default, check. CEL rules are not evaluated.
Source: kubernetes/apiextensions-apiserver, pkg/apiserver/validation; kubernetes/kube-openapi, pkg/validation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gitmesh.playground.apiserver.objects.pruning import default, prune, unknown_fields
from gitmesh.playground.apiserver.objects.structure import Path, Schema, path_text, whole
from gitmesh.playground.apiserver.objects.validation import Finding, validate

__all__ = ["FieldError", "SchemaReport", "check", "default", "prune"]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One finding. `message` is whole; `detail` is the same without the field, as in `details.causes`."""

    path: Path
    message: str
    detail: str = ""
    reason: str = "FieldValueInvalid"

    @property
    def field(self) -> str:
        """The path as Kubernetes writes it."""
        return path_text(self.path)


@dataclass(frozen=True, slots=True)
class SchemaReport:
    """`errors` refuse a write; `unknown` is pruned, and refuses it only with strict field validation."""

    errors: list[FieldError]
    unknown: list[FieldError]


def check(body: Any, schema: Schema) -> SchemaReport:
    """Check a whole object, metadata included."""
    errors = [_error(finding) for finding in validate(body, whole(schema))]
    unknown = []
    for path in unknown_fields(body, schema):
        text = f'unknown field "{path_text(path)}"'
        unknown.append(FieldError(path, text, text))
    return SchemaReport(errors, unknown)


def _error(finding: Finding) -> FieldError:
    field = path_text(finding.path) or "<nil>"
    return FieldError(finding.path, f"{field}: {finding.detail}", finding.detail, finding.reason)
