"""Annotations that only Istio itself may set, and those of GitMesh that say nothing.

Stage: validate (pure). Source: istio/istio pkg/config/validation/validation.go, validateMetadata.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.intent import Verb
from gitmesh.model.kinds import GITMESH
from gitmesh.model.source import (
    ADOPT_ANNOTATION,
    CONFLICTS_ANNOTATION,
    OWNER_ANNOTATION,
    PRUNE_ANNOTATION,
    RECONCILE_ANNOTATION,
    RENEWED_ANNOTATION,
)
from gitmesh.validate.across.near import NearNames
from gitmesh.validate.subject import Subject

_REFUSED = {
    "istio.io/dry-run": "only an AuthorizationPolicy can be tried without effect",
    "internal.istio.io/webhook-always-reject": "Istio refuses every object that has it",
    "internal.istio.io/parents": "only Istio itself may set it",
    "internal.istio.io/parent-namespace": "only Istio itself may set it",
}
_SWITCH = ("disabled", "enabled")
_VALUES = {
    RECONCILE_ANNOTATION: _SWITCH,
    PRUNE_ANNOTATION: _SWITCH,
    ADOPT_ANNOTATION: _SWITCH,
    CONFLICTS_ANNOTATION: ("refuse", "force"),
}
_FREE = frozenset({f"{GITMESH}/ignore"})
_OURS = frozenset({OWNER_ANNOTATION, RENEWED_ANNOTATION})
_REQUESTS = frozenset(verb.annotation for verb in Verb)
_KNOWN = NearNames([*_VALUES, *_FREE])


def check_annotations(subject: Subject) -> Iterator[Diagnostic]:
    """Yield the annotations for which Istio refuses a traffic object."""
    for name, reason in _REFUSED.items():
        if name in subject.resource.annotations:
            path = ("metadata", "annotations", name)
            yield subject.finding("GM111", f"{name}: {reason}", path, hint="remove it", wants_key=True)
    for name, value in subject.resource.annotations.items():
        if name.startswith(f"{GITMESH}/") and (found := _unheard(name, value)):
            path = ("metadata", "annotations", name)
            yield subject.finding("GM113", f"{name}: {found[0]}", path, hint=found[1], wants_key=True)


def _unheard(name: str, value: str) -> tuple[str, str] | None:
    """Return why an annotation of GitMesh has no effect in Git, and what to do; None when it has one."""
    if name in _VALUES:
        values = _VALUES[name]
        return None if value in values else (f"{value!r} is no value of it", f"write {' or '.join(values)}")
    if name in _OURS:
        return "GitMesh sets it itself", "remove it"
    if name in _REQUESTS:
        return (
            "it asks something of the live object, and nothing in Git",
            "remove it; set it with kubectl annotate",
        )
    if name in _FREE:
        return None
    near = _KNOWN.near(name)
    return "there is no such annotation", f"did you mean {near}?" if near else "remove it"
