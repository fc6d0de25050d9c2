"""What to do about a refusal of the API server: said where it is known, and never guessed."""

from __future__ import annotations

from typing import Any

import pytest

from gitmesh.kube.status import error_of

WHO = 'User "system:serviceaccount:gitmesh-system:gitmesh"'
GRANT = "grant the permission (manifests/install holds the ClusterRole)"


def said(status: int, message: str, sent: Any = None) -> str:
    answer = {"kind": "Status", "message": message}
    return str(error_of("apply VirtualService shop/reviews", status, "", answer, sent)).partition("; ")[2]


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        (f'virtualservices.networking.istio.io "reviews" is forbidden: {WHO} cannot patch resource', GRANT),
        (f'forbidden: {WHO} cannot get path "/version"', GRANT),
        (
            'virtualservices.networking.istio.io "reviews" is forbidden: unable to create new content in '
            "namespace shop because it is being terminated",
            "wait until that namespace is gone; what holds it back is in its status.conditions",
        ),
    ],
)
def test_a_403_says_what_is_missing(message: str, hint: str):
    assert said(403, message) == hint


@pytest.mark.parametrize(
    "message",
    [
        'admission webhook "policy.example.com" denied the request: routes need an owner',
        'configmaps "x" is forbidden: exceeded quota: compute, requested: count=1, used: count=5, limited: 5',
    ],
)
def test_what_a_webhook_or_a_quota_refuses_is_no_missing_permission(message: str):
    assert said(403, message) == ""


def test_an_unknown_field_of_our_own_kinds_is_another_version_and_of_others_a_mistake():
    told = 'strict decoding error: unknown field "status.x"'
    ours = {"apiVersion": "gitmesh.dev/v1alpha1", "kind": "TrafficRollout"}
    assert "apply manifests/install of this one" in said(400, told, ours)
    for other in ({"apiVersion": "networking.istio.io/v1"}, {}, None, {"apiVersion": 7}):
        assert said(400, told, other) == "correct the object"
