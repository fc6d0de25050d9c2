"""Annotations that only Istio itself may set.

Stage: validate (pure). Source: istio/istio pkg/config/validation/validation.go, validateMetadata.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.subject import Subject

_REFUSED = {
    "istio.io/dry-run": "only an AuthorizationPolicy can be tried without effect",
    "internal.istio.io/webhook-always-reject": "Istio refuses every object that has it",
    "internal.istio.io/parents": "only Istio itself may set it",
    "internal.istio.io/parent-namespace": "only Istio itself may set it",
}


def check_annotations(subject: Subject) -> Iterator[Diagnostic]:
    """Yield the annotations for which Istio refuses a traffic object."""
    for name, reason in _REFUSED.items():
        if name in subject.resource.annotations:
            path = ("metadata", "annotations", name)
            yield subject.finding("GM111", f"{name}: {reason}", path, hint="remove it", wants_key=True)
