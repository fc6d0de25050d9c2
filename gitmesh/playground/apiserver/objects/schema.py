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

__all__ = ["FieldError", "SchemaReport", "check", "default", "errors", "prune", "unknown"]


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
    return SchemaReport(errors(body, schema), unknown(body, schema))


def errors(body: Any, schema: Schema) -> list[FieldError]:
    """Return what refuses a write."""
    return [_error(finding) for finding in validate(body, whole(schema))]


def unknown(body: Any, schema: Schema) -> list[FieldError]:
    """Return the fields that would be pruned."""
    texts = ((path, f'unknown field "{path_text(path)}"') for path in unknown_fields(body, schema))
    return [FieldError(path, text, text) for path, text in texts]


def _error(finding: Finding) -> FieldError:
    field = path_text(finding.path) or "<nil>"
    return FieldError(finding.path, f"{field}: {finding.detail}", finding.detail, finding.reason)
