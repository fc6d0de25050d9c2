"""A kind with every sort of field, and short words for applying objects of it.

Every write goes through here, and none may change its input.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from gitmesh.playground.apiserver.objects.apply import ApplyConflict, apply_patch, track_update

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "hosts": {"type": "array", "items": {"type": "string"}},
                "http": {"type": "array", "items": {"type": "object"}},
                "mode": {"type": "string"},
                "selector": {"type": "object", "additionalProperties": {"type": "string"}},
                "nested": {
                    "type": "object",
                    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                },
                "whole": {
                    "type": "object",
                    "x-kubernetes-map-type": "atomic",
                    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                },
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port", "protocol"],
                    "items": {
                        "type": "object",
                        "properties": {
                            "port": {"type": "integer"},
                            "protocol": {"type": "string", "default": "TCP"},
                            "name": {"type": "string"},
                        },
                    },
                },
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "either": {"x-kubernetes-int-or-string": True},
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}

Body = dict[str, Any]


def config(*, version: str = "v1", metadata: Body | None = None, **spec: Any) -> Body:
    body = {"apiVersion": f"x.dev/{version}", "kind": "X", "metadata": {"name": "x", **(metadata or {})}}
    return {**body, "spec": spec} if spec else body


def applied(live: Body | None, body: Body, manager: str, *, force: bool = False, **more: Any) -> Body:
    before = copy.deepcopy((live, body))
    more = {"now": "2024-01-01T00:00:00Z", "schema": SCHEMA, **more}
    result = apply_patch(live, body, manager=manager, force=force, **more)
    assert (live, body) == before, "inputs are never changed"
    return result


def updated(before: Body | None, after: Body, manager: str, **more: Any) -> Body:
    return track_update(
        before, after, manager=manager, **{"now": "2024-01-02T00:00:00Z", "schema": SCHEMA, **more}
    )


def edited(live: Body, manager: str, change: Callable[[Body], object]) -> Body:
    after = copy.deepcopy(live)
    change(after)
    return updated(live, after, manager)


def owned(body: Body) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in body["metadata"].get("managedFields", [])}


def conflicts(live: Body, body: Body, manager: str, **more: Any) -> list[tuple[str, str]]:
    with pytest.raises(ApplyConflict) as caught:
        applied(live, body, manager, **more)
    return [tuple(conflict) for conflict in caught.value.conflicts]
