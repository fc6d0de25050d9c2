"""What an API server's refusal means: a metav1.Status becomes one of our errors.

Stage: observe and apply (effect's edge, itself pure).
Source: kubernetes.io, API conventions, "Response Status Kind".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gitmesh.kube.errors import (
    ApplyConflictError,
    ClusterError,
    Conflict,
    NotFoundError,
    RejectedError,
    StaleWriteError,
    WatchExpiredError,
)
from gitmesh.model.kinds import GITMESH
from gitmesh.plan.masking import blotted, secrets_in

MESSAGE_CHARS_MAX = 2_000
CONFLICTS_MAX = 50

# These answers describe the server's moment, not our request.
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})

# An applied object that does not fit its schema is answered as a fault of the server, which it is not: the
# same bytes never work. Source: kubernetes/apimachinery, pkg/util/managedfields/internal/structuredmerge.go.
NOT_TYPED = "failed to create typed patch object"

# Source: kubernetes/apimachinery, pkg/util/managedfields/internal/conflict.go: `conflict with "NAME" …`.
_MANAGER = re.compile(r'conflict with "((?:[^"\\]|\\.)*)"')

_HINTS = {
    400: "correct the object",
    401: "the credentials of the kubeconfig are missing, wrong or expired; renew them",
    413: "the object is too large; split it",
    415: "the server does not speak this patch type; GitMesh needs server-side apply",
    422: "correct the object",
    429: "the server asks for less; this is tried again",
}


def error_of(doing: str, status: int, reason: str, answer: object, sent: object = None) -> ClusterError:
    """Translate an answer of 300 and more.

    `doing` says what was asked and where; `reason` is HTTP's own phrase; `answer` the decoded body, if any.
    `sent` is the body of the request: servers and webhooks repeat values of it, and secrets are no exception.
    """
    answer = blotted(answer, secrets_in(sent))
    details = answer if isinstance(answer, Mapping) and answer.get("kind") == "Status" else {}
    told = _clip(details.get("message")) or f"HTTP {status} {_clip(reason)}".strip()
    message = f"{doing}: {told}"
    if status == 404:
        return NotFoundError(message, retryable=False, status=status)
    if status == 409:
        return _conflict(message, details)
    if status == 410:
        return WatchExpiredError(message, retryable=True, status=status)
    if status == 500 and told.startswith(NOT_TYPED):
        return RejectedError(f"{message}; {_HINTS[400]}", retryable=False, status=status)
    hint = _older(told, sent) or (_forbidden(told) if status == 403 else _HINTS.get(status))
    text = f"{message}; {hint}" if hint else message
    if status in _RETRYABLE or status > 504:
        return ClusterError(text, retryable=True, status=status)
    if status < 400:
        return RejectedError(
            f"{message}; the address is not the API server itself", retryable=False, status=status
        )
    return RejectedError(text, retryable=False, status=status)


def _forbidden(told: str) -> str:
    """Return what to do about a 403. Not each is a missing permission: quotas and webhooks say it too.

    Source: kubernetes/apiserver, pkg/endpoints/handlers/responsewriters/errors.go, forbiddenMessage;
    plugin/pkg/admission/namespace/lifecycle.
    """
    if "because it is being terminated" in told:
        return "wait until that namespace is gone; what holds it back is in its status.conditions"
    if "forbidden: User " in told and " cannot " in told:
        return "grant the permission (manifests/install holds the ClusterRole)"
    return ""


def _older(told: str, sent: object) -> str:
    """Return what to do where the cluster's definition of one of our own kinds lacks what we write."""
    version = sent.get("apiVersion") if isinstance(sent, Mapping) else None
    if "unknown field" not in told or not str(version).startswith(f"{GITMESH}/"):
        return ""
    return "the custom resource definitions are of another GitMesh; apply manifests/install of this one"


def _conflict(message: str, details: Mapping[str, Any]) -> ClusterError:
    conflicts = tuple(_field_conflicts(details))
    if not conflicts:
        # The same bytes will not do, but reading again and deciding again will: that is worth another pass.
        return StaleWriteError(message, retryable=True, status=409)
    owners = ", ".join(sorted({c.manager for c in conflicts}))
    return ApplyConflictError(f"{message}; these fields belong to {owners}", conflicts)


def _field_conflicts(details: Mapping[str, Any]) -> list[Conflict]:
    inner = details.get("details")
    causes = inner.get("causes") if isinstance(inner, Mapping) else None
    found = []
    for cause in causes if isinstance(causes, list) else ():
        if not isinstance(cause, Mapping) or cause.get("reason") != "FieldManagerConflict":
            continue
        text = _clip(cause.get("message"))
        named = _MANAGER.search(text)
        found.append(Conflict(named.group(1) if named else text, _clip(cause.get("field"))))
        if len(found) == CONFLICTS_MAX:
            break
    return found


def _clip(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return text if len(text) <= MESSAGE_CHARS_MAX else text[:MESSAGE_CHARS_MAX] + "…"
