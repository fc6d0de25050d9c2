"""Who am I, and what may I do: there is one user, and that user may do everything.

Stage: playground (pure). Source: kubernetes.io, SelfSubjectReview; SelfSubjectAccessReview.
"""

from __future__ import annotations

from gitmesh.playground.apiserver.kinds import PERMISSIVE, Body, ServedKind, ServedVersion, Target

USER = "playground-admin"
_GROUPS = ["system:masters", "system:authenticated"]
_STATUS: dict[str, Body] = {
    "SelfSubjectReview": {"userInfo": {"username": USER, "groups": _GROUPS}},
    "SelfSubjectAccessReview": {
        "allowed": True,
        "reason": "the playground has one user, who may do everything",
    },
    "SelfSubjectRulesReview": {
        "incomplete": False,
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    },
}


def _kind(group: str, kind: str) -> ServedKind:
    return ServedKind(
        group=group,
        kind=kind,
        plural=f"{kind.lower()}s",
        singular=kind.lower(),
        list_kind=f"{kind}List",
        versions=(ServedVersion("v1", PERMISSIVE),),
        storage="v1",
        namespaced=False,
        verbs=("create",),
    )


REVIEW_KINDS = (
    _kind("authentication.k8s.io", "SelfSubjectReview"),
    _kind("authorization.k8s.io", "SelfSubjectAccessReview"),
    _kind("authorization.k8s.io", "SelfSubjectRulesReview"),
)


def answer(target: Target, body: Body) -> Body:
    """Return the review with its answer."""
    return {**body, "status": _STATUS[target.kind.kind]}
