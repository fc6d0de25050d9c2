"""Who else owns what a change writes, and whether it may be taken from them.

Stage: plan (pure). See docs/decisions/0016.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gitmesh.model.field_managers import FieldManager, FieldPath, field_text
from gitmesh.model.plan import ABSENT, CONFLICT, FieldChange, Opponent, Refusal, Takeover
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.source import CONFLICTS_ANNOTATION, FIELD_MANAGER, TrafficSourceSpec

# Source: the field manager of each tool, in its own code: fluxcd/kustomize-controller, fluxcd/flagger,
# argoproj/gitops-engine, argoproj/argo-rollouts, helm/helm, carvel-dev/kapp-controller.
CONTROLLERS = {
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "rollouts-controller": "Argo Rollouts",
    "flagger": "Flagger",
    "helm": "Helm",
    "Helm": "Helm",
    "kapp-controller": "kapp",
    "configsync": "Config Sync",
    "fleetagent": "Fleet",
}
_BY_NAME = re.compile(r"(^|[-_/])(controller|operator|agent)s?([-_/]manager)?$", re.IGNORECASE)
_HANDS = ("kubectl", "before-first-apply", "ancient-changes")

_ADVICE = {
    "Argo Rollouts": "let the Rollout or Git set these weights: take the VirtualService out of the Rollout",
    "Flagger": "delete the Canary, or leave its VirtualService out of Git",
    "Flux": "leave the object out of the repository that Flux applies",
    "Argo CD": "leave the object out of the Application of Argo CD",
    "Helm": "leave the object out of the chart",
}


@dataclass(frozen=True, slots=True)
class Stance:
    """How a change meets the others: whether it forces, from whom, and what it takes over first."""

    force: bool = False
    opponents: tuple[Opponent, ...] = ()
    takeover: Takeover | None = None


def tool_of(manager: str) -> str:
    """Return the tool that writes under a name; empty when the name says nothing."""
    return CONTROLLERS.get(manager, "")


def is_controller(manager: str, operation: str) -> bool:
    """Say whether somebody writes by himself, again and again, and is no person with a command.

    Who applies declares what he wants, and will want it again. Who updates may be anybody.
    """
    if manager.startswith(_HANDS):
        return False
    return manager in CONTROLLERS or operation == "Apply" or _BY_NAME.search(manager) is not None


def opponents(fields: Iterable[FieldChange], managers: Iterable[FieldManager]) -> tuple[Opponent, ...]:
    """Return who owns any of the fields that differ, sorted by name."""
    paths = [change.path for change in fields]
    found = []
    for manager in managers:
        if manager.is_ours:
            continue
        owned = sorted(leaf for leaf in manager.fields if any(touches(path, leaf) for path in paths))
        if owned:
            texts = tuple(field_text(leaf) for leaf in owned)
            found.append(Opponent(manager.name, manager.operation, manager.time, texts))
    return tuple(sorted(found, key=lambda o: (o.manager, o.operation, o.since)))


def touches(path: tuple[str | int, ...], owned: FieldPath) -> bool:
    """Say whether to write at `path` is to write what is owned: the field itself, or above or below it.

    Labels and annotations are owned one by one.
    """
    if path[:1] == ("metadata",) and len(path) != len(owned):
        return False
    return all(_same(part, element) for part, element in zip(path, owned, strict=False))


def _same(part: str | int, element: str) -> bool:
    # Which item of a list is meant cannot be told from its place: any may be.
    return element[:2] != "f:" if isinstance(part, int) else element == f"f:{part}"


def stance(
    resource: Resource,
    fields: tuple[FieldChange, ...],
    managers: tuple[FieldManager, ...] | None,
    spec: TrafficSourceSpec,
    *,
    urgent: bool,
) -> Stance | Refusal:
    """Return how to write an object that is ours and differs in `fields`; a refusal when it must not be.

    `managers` of the live object; None: not known. Nothing refuses an urgent write.
    """
    if urgent:
        return Stance(force=True)
    if managers is None:
        return Stance()
    found = opponents(fields, managers)
    ours = max((manager.time for manager in managers if manager.is_ours), default="")
    if policy_of(resource, spec) == "refuse":
        contested = tuple(opponent for opponent in found if is_contested(opponent, ours))
        if contested:
            return conflict(resource.key, contested)
    stays = any(_would_stay(field, managers) for field in fields)
    takeover = Takeover(spec=tuple(sorted({o.manager for o in found}))) if stays else None
    return Stance(bool(found) or stays, found, takeover)


def is_contested(opponent: Opponent, ours: str) -> bool:
    """Say whether fields are not ours to take back.

    They are, when a person changed them after GitMesh had applied last, at `ours` (RFC 3339): that is drift.
    A person who owned them before then owned them first. A controller will write them again.
    """
    if opponent.manager == FIELD_MANAGER:
        return False  # we, by another way than by applying
    if is_controller(opponent.manager, opponent.operation):
        return True
    return bool(ours and opponent.since) and opponent.since < ours


def policy_of(resource: Resource, spec: TrafficSourceSpec) -> str:
    """Return what is done about conflicts on one object: refuse or force. `resource` is as Git has it."""
    own = resource.annotations.get(CONFLICTS_ANNOTATION, "")
    return own if own in ("refuse", "force") else spec.conflicts


def conflict(key: ResourceKey, contested: tuple[Opponent, ...]) -> Refusal:
    """Return the refusal that names the opponents, and what can be done."""
    told = "; ".join(f"{_named(opponent)}" for opponent in contested)
    advice = list(dict.fromkeys(filter(None, (_ADVICE.get(tool_of(o.manager), "") for o in contested))))
    if not advice:
        names = ", ".join(dict.fromkeys(o.manager for o in contested))
        advice = [f"let {names} give these fields up"]
    force = (
        f"to take them, annotate it in Git with {CONFLICTS_ANNOTATION}: force (or set spec.conflicts: force)"
    )
    return Refusal(f"fields that Git sets belong to {told}", f"{'; '.join(advice)}; {force}", key, CONFLICT)


def refused_by(named: Iterable[tuple[str, str]], managers: tuple[FieldManager, ...]) -> tuple[Opponent, ...]:
    """Return who stands behind a server's refusal. `named`: (field manager, field) of each conflict.

    When each wrote last, the managers of the live object say.
    """
    fields: dict[str, list[str]] = {}
    for name, field in named:
        fields.setdefault(name, []).append(field.removeprefix("."))
    found = []
    for name, owned in sorted(fields.items()):
        known = [manager for manager in managers if manager.name == name and not manager.is_ours]
        last = max(known, key=lambda manager: manager.time, default=FieldManager(name, "Apply", ""))
        found.append(Opponent(name, last.operation, last.time, tuple(owned)))
    return tuple(found)


def _named(opponent: Opponent) -> str:
    tool = tool_of(opponent.manager)
    return f"{opponent}, by {tool}" if tool and tool != opponent.manager else str(opponent)


def _would_stay(field: FieldChange, managers: tuple[FieldManager, ...]) -> bool:
    """Say whether a field is to go that an apply would leave: only what nobody else owns goes with ours."""
    if field.new != ABSENT or field.path[:1] != ("spec",):
        return False
    owners = {m.is_ours for m in managers if any(touches(field.path, leaf) for leaf in m.fields)}
    return owners != {True}
