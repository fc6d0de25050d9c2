"""Namespaces and CustomResourceDefinitions that Git holds beside the traffic configuration: they come first.

Stage: plan (pure). They are created and changed, and never deleted: with a namespace goes everything in it,
and with a definition every object of its kind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gitmesh.model.field_managers import FieldManager
from gitmesh.model.kinds import CUSTOM_RESOURCE_DEFINITION, NAMESPACE
from gitmesh.model.plan import ABSENT, Change, ChangeKind, FieldChange, Plan, Refusal, Wave
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.model.source import OWNER_ANNOTATION, TrafficSourceSpec
from gitmesh.plan import adoption
from gitmesh.plan.diff import diff
from gitmesh.plan.normalize import to_apply
from gitmesh.plan.opponents import Stance, stance

FOUND = "lay foundations"
FOUNDATION_KINDS = (CUSTOM_RESOURCE_DEFINITION, NAMESPACE)
_NAMES = {(kind.group, kind.kind) for kind in FOUNDATION_KINDS}


@dataclass(frozen=True, slots=True)
class Ground:
    """What Git wants below the traffic configuration, and what of it is live, with who owns which fields."""

    wanted: ResourceSet
    live: ResourceSet
    managers: Mapping[ResourceKey, tuple[FieldManager, ...]]


def foundations_in(others: ResourceSet, kinds: Collection[str] = ()) -> dict[ResourceKey, Resource]:
    """Return the foundations among other objects of a revision; with `kinds` only those kinds."""
    return {
        key: resource
        for key, resource in others.items()
        if (key.group, key.kind) in _NAMES and (not kinds or key.kind in kinds)
    }


def founded(plan: Plan, ground: Ground, spec: TrafficSourceSpec) -> Plan:
    """Return the plan with what has to be there before it. What is right already counts as unchanged."""
    outcomes = [_write(wanted, ground, plan.source, spec) for _, wanted in sorted(ground.wanted.items())]
    changes = tuple(outcome for outcome in outcomes if isinstance(outcome, Change))
    refusals = tuple(outcome for outcome in outcomes if isinstance(outcome, Refusal))
    first = (Wave(FOUND, changes, founds=True),) if changes else ()
    return replace(
        plan,
        waves=(*first, *plan.waves),
        refusals=(*refusals, *plan.refusals),
        unchanged=plan.unchanged + outcomes.count(None),
    )


def stages(plan: Plan) -> Iterator[tuple[Plan, Plan]]:
    """Yield what is asked about, and what is then written: foundations before everything that stands on them.

    What stands on them cannot be asked about before they are there, and is asked about then.
    """
    if plan.waves and plan.waves[0].founds:
        yield plan, replace(plan, waves=plan.waves[:1])
        plan = replace(plan, waves=plan.waves[1:])
    if plan.waves:
        yield plan, plan


def stands_on(plan: Plan) -> frozenset[ResourceKey]:
    """Return what is changed and cannot be asked about, as their namespace or kind comes with this plan."""
    new = [c for wave in plan.waves if wave.founds for c in wave.changes if c.kind is ChangeKind.CREATE]
    namespaces = {c.key.name for c in new if c.key.kind == NAMESPACE.kind}
    kinds = {_defines(c.after) for c in new if c.after and c.key.kind == CUSTOM_RESOURCE_DEFINITION.kind}
    rest = (change for wave in plan.waves if not wave.founds for change in wave.changes)
    keys = (change.key for change in rest)
    return frozenset(key for key in keys if key.namespace in namespaces or (key.group, key.kind) in kinds)


def is_established(body: Mapping[str, Any]) -> bool:
    """Say whether objects may be put on this foundation now: an active Namespace, an established definition.

    Source: kubernetes.io, API reference, NamespaceStatus; CustomResourceDefinitionStatus.
    """
    status = body.get("status")
    status = status if isinstance(status, Mapping) else {}
    if body.get("kind") == NAMESPACE.kind:
        return status.get("phase") == "Active" and not (body.get("metadata") or {}).get("deletionTimestamp")
    conditions = status.get("conditions")
    return any(
        isinstance(c, Mapping) and (c.get("type"), c.get("status")) == ("Established", "True")
        for c in (conditions if isinstance(conditions, list) else ())
    )


def _defines(definition: Resource) -> tuple[str, str]:
    names = definition.spec.get("names")
    kind = names.get("kind") if isinstance(names, Mapping) else ""
    return str(definition.spec.get("group", "")), str(kind)


def _write(wanted: Resource, ground: Ground, source: str, spec: TrafficSourceSpec) -> Change | Refusal | None:
    after = _to_apply(wanted, source)
    live = ground.live.get(wanted.key)
    if live is None:
        return Change(ChangeKind.CREATE, wanted.key, None, after, reason="new in Git")
    fields = tuple(_differs(live, after))
    if not fields:
        return None
    managers = ground.managers.get(wanted.key, ())
    against: Stance | Refusal
    if live.annotations.get(OWNER_ANNOTATION, "") == source:
        against = stance(wanted, fields, managers, spec, urgent=False)
    elif refused := adoption.refusal(wanted, live, managers, spec):
        against = refused
    else:
        against = Stance(force=True)
    if isinstance(against, Refusal):
        return against
    return Change(
        ChangeKind.UPDATE,
        wanted.key,
        live,
        after,
        fields,
        "changed in Git",
        force=against.force,
        opponents=against.opponents,
    )


def _to_apply(wanted: Resource, source: str) -> Resource:
    after = to_apply(wanted, source)
    body = {name: value for name, value in after.body.items() if name != "spec" or value}
    metadata = {name: value for name, value in after.metadata.items() if name != "namespace"}
    return replace(after, body={**body, "metadata": metadata})


def _differs(live: Resource, after: Resource) -> Iterator[FieldChange]:
    """Yield what Git sets and live has not. A server fills in much that Git does not say; that is its own.

    Whose an object is makes no difference by itself: several sources may want one namespace.
    """
    for change in diff(_told(live), _told(after)):
        if change.new != ABSENT:
            yield change


def _told(resource: Resource) -> dict[str, Any]:
    marks = {
        "labels": {k: v for k, v in resource.labels.items() if k != "app.kubernetes.io/managed-by"},
        "annotations": {k: v for k, v in resource.annotations.items() if k != OWNER_ANNOTATION},
    }
    return {"metadata": marks, "spec": resource.spec}
