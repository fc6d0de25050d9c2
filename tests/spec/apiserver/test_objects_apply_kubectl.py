"""Server-side apply: kubectl on its way from client-side to server-side apply."""

from __future__ import annotations

import json
from typing import Any

from fakes.applied_objects import Body, applied, config, conflicts, edited, updated

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def created_by_kubectl(**spec: Any) -> Body:
    body = config(**spec)
    annotated = config(metadata={"annotations": {LAST_APPLIED: json.dumps(body)}}, **spec)
    return updated(None, annotated, "kubectl-client-side-apply")


def test_kubectl_may_change_what_it_last_applied_from_the_client() -> None:
    live = created_by_kubectl(mode="a")
    result = applied(live, config(mode="b"), "kubectl")
    assert result["spec"] == {"mode": "b"}
    assert json.loads(result["metadata"]["annotations"][LAST_APPLIED])["spec"] == {"mode": "b"}


def test_kubectl_may_not_change_what_another_set_since() -> None:
    live = edited(created_by_kubectl(mode="a"), "else", lambda b: b["spec"].update(mode="c"))
    assert conflicts(live, config(mode="b"), "kubectl") == [('"else" using x.dev/v1', ".spec.mode")]


def test_any_other_manager_conflicts_with_client_side_apply() -> None:
    live = created_by_kubectl(mode="a")
    assert conflicts(live, config(mode="b"), "git") == [
        ('"kubectl-client-side-apply" using x.dev/v1', ".spec.mode")
    ]
