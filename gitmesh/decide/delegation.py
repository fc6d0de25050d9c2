"""Which of a VirtualService and one that it delegates to goes first, where both are walked by request ids.

Stage: decide (pure). Both would ask for the same header, and Istio drops a rule whose match has a regular
expression for what the other has one for: nobody would meet the new rules of the delegate.
Source: istio/istio pilot/pkg/model, mergeHTTPMatchRequest and hasConflict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitmesh.decide.together import unrest
from gitmesh.istio.routes import Spec, routes_of
from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.policy import Walk
from gitmesh.model.resource import ResourceKey
from gitmesh.model.rollout import Phase, RolloutRecord


def walked_before(records: Mapping[ResourceKey, RolloutRecord]) -> dict[ResourceKey, str]:
    """Return what a rollout has to wait for before it begins: its root, or a delegate that has begun.

    Those of one group begin together, as they were asked to.
    """
    walked = {key: record for key, record in records.items() if _is_walked(key, record)}
    found: dict[ResourceKey, str] = {}
    if not any(record.phase is Phase.WAITING for record in walked.values()):
        return found
    for root, record in walked.items():
        for key in _delegates(root, record):
            other = walked.get(key)
            if other is None or _group(other) == _group(record) != "":
                continue
            if other.phase is Phase.WAITING:
                found[key] = f"{root.name}, which delegates to it and {unrest(record)}"
            elif record.phase is Phase.WAITING:
                found[root] = f"{key.name}, to which it delegates and which {unrest(other)}"
    return found


def _is_walked(key: ResourceKey, record: RolloutRecord) -> bool:
    """Say whether a rollout is, or will be, on its way by request ids."""
    by_ids = record.policy_spec is not None and record.policy_spec.walk is Walk.ROUTES and record.steps > 0
    to_come = record.phase.in_motion or record.phase is Phase.WAITING
    return by_ids and to_come and key.kind == VIRTUAL_SERVICE.kind


def _group(record: RolloutRecord) -> str:
    return record.policy_spec.group if record.policy_spec else ""


def _delegates(root: ResourceKey, record: RolloutRecord) -> frozenset[ResourceKey]:
    specs = [record.stable.spec, *([record.canary.spec] if record.canary else [])]
    return frozenset(key for spec in specs for key in _named(spec, root.namespace))


def _named(spec: Spec, namespace: str) -> Iterator[ResourceKey]:
    for route in routes_of(spec, "http"):
        delegate = route.get("delegate")
        if isinstance(delegate, Mapping) and isinstance(delegate.get("name"), str):
            yield VIRTUAL_SERVICE.key(str(delegate.get("namespace") or namespace), delegate["name"])
