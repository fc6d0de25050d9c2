"""Objects of kinds that GitMesh does not manage: what their schemas say about them.

Stage: validate (pure). What was said about an equal object under the same schema is taken over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from gitmesh.istio.kinds import MODELS
from gitmesh.model.diagnostic import Diagnostic, up_to_errors
from gitmesh.model.kinds import GITMESH, NETWORKING
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.model.spelling import closest
from gitmesh.validate.cel import Budget
from gitmesh.validate.schemas.definitions import (
    NO_SCHEMAS,
    Definition,
    GroupKind,
    Ready,
    Schemas,
    is_definition,
    read_definition,
    unusable,
)
from gitmesh.validate.schemas.messages import Errors
from gitmesh.validate.schemas.normal import normalized
from gitmesh.validate.schemas.rules import Walk
from gitmesh.validate.subject import Path, Subject

_OBJECT_ERRORS_MAX = 200
# Kinds that are built into an API server have no definition that could be given.
_BUILT_IN = ("", "apps", "batch", "autoscaling", "policy", "extensions")
_BUILT_IN_SUFFIX = ".k8s.io"
_KINDS_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Judged:
    """What was said about one object, and by which definition."""

    resource: Resource
    definition: Definition
    findings: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class OthersChecked:
    """What is wrong; `unchecked` says, as infos, of which kinds no schema is known."""

    findings: tuple[Diagnostic, ...] = ()
    unchecked: tuple[Diagnostic, ...] = ()
    judged: Mapping[ResourceKey, Judged] = field(default_factory=dict, repr=False, compare=False)
    read: Mapping[ResourceKey, Definition | Diagnostic] = field(
        default_factory=dict, repr=False, compare=False
    )


NOTHING_CHECKED = OthersChecked()


def check_others(
    others: ResourceSet, known: Schemas = NO_SCHEMAS, previous: OthersChecked = NOTHING_CHECKED
) -> OthersChecked:
    """Hold each object against its schema. What is `known` goes before what the objects themselves define."""
    read = {key: _read(r, previous) for key, r in others.items() if is_definition(key)}
    own = {(d.group, d.kind): d for d in read.values() if isinstance(d, Definition)}
    schemas = known.over(Schemas(own))
    budget = Budget()
    judged: dict[ResourceKey, Judged] = {}
    missing: dict[GroupKind, Resource] = {}
    for key, resource in others.items():
        if _is_ours(key) or is_definition(key):
            continue
        definition = schemas.of(key)
        if definition is None:
            missing.setdefault((key.group, key.kind), resource)
            continue
        before = previous.judged.get(key)
        if before is None or before.resource is not resource or before.definition is not definition:
            before = Judged(resource, definition, _judge(resource, definition, budget))
        judged[key] = before
    wrong = tuple(d for d in read.values() if isinstance(d, Diagnostic))
    used = {id(j.definition): j.definition for j in judged.values()}
    findings = (*wrong, *_unusable(used.values()), *(f for j in judged.values() for f in j.findings))
    return OthersChecked(findings, tuple(_not_known(missing)), judged, read)


def _read(resource: Resource, previous: OthersChecked) -> Definition | Diagnostic:
    before = previous.read.get(resource.key)
    if isinstance(before, Definition) and before.resource is resource:
        return before
    return read_definition(resource)


def _is_ours(key: ResourceKey) -> bool:
    return key.group == GITMESH or (key.group == NETWORKING and key.kind in MODELS)


def _unusable(definitions: Iterable[Definition]) -> Iterator[Diagnostic]:
    """Yield a finding for each schema that was needed and cannot be used."""
    for definition in definitions:
        for version, problem in definition.problems():
            yield unusable(definition.resource, problem, version.path)


def _not_known(missing: Mapping[GroupKind, Resource]) -> Iterator[Diagnostic]:
    built_in = {kind: r for kind, r in missing.items() if _is_built_in(kind[0])}
    if built_in:
        names = sorted({kind for _, kind in built_in})
        more = ", ..." if len(names) > _KINDS_SHOWN_MAX else ""
        message = (
            f"kinds that are built into Kubernetes are not checked: {', '.join(names[:_KINDS_SHOWN_MAX])}"
        )
        yield _unchecked(next(iter(built_in.values())), message + more, "kubectl apply --dry-run=server does")
    for (group, kind), resource in missing.items():
        if (group, kind) not in built_in:
            message = f"{kind[:80]} ({group[:120]}) is not checked: its schema is not known"
            hint = "give its CustomResourceDefinition with --crds, or a cluster that has it with --cluster"
            yield _unchecked(resource, message, hint)


def _unchecked(resource: Resource, message: str, hint: str) -> Diagnostic:
    return Subject(resource).finding("GM500", message, ("kind",), hint=hint)


def _is_built_in(group: str) -> bool:
    # Groups of Kubernetes projects outside of the server end in x-k8s.io, or have definitions of their own.
    outside = group.endswith((".x-k8s.io", "gateway.networking.k8s.io", "snapshot.storage.k8s.io"))
    return group in _BUILT_IN or (group.endswith(_BUILT_IN_SUFFIX) and not outside)


def _judge(resource: Resource, definition: Definition, budget: Budget) -> tuple[Diagnostic, ...]:
    subject = Subject(resource)
    name = resource.api_version.rpartition("/")[2]
    version = definition.versions.get(name)
    if version is None or not version.served:
        return (_no_version(subject, definition, name),)
    found: list[Diagnostic] = []
    if version.deprecated:
        message = f"{resource.api_version} is deprecated for {definition.kind}: {version.deprecated[:200]}"
        found.append(subject.finding("GM513", message, ("apiVersion",)))
    ready = definition.ready(version)
    if isinstance(ready, Ready):
        found += up_to_errors(_by_schema(subject, ready, budget), _OBJECT_ERRORS_MAX)
    return tuple(found)


def _no_version(subject: Subject, definition: Definition, name: str) -> Diagnostic:
    served = [version.name for version in definition.versions.values() if version.served]
    near = closest(name, served)
    hint = f"did you mean {near}?" if near else f"served versions: {', '.join(served)}"
    message = f"{definition.kind} has no version {name[:40]} in {definition.group}"
    return subject.finding("GM511", message, ("apiVersion",), hint=hint)


def _by_schema(subject: Subject, ready: Ready, budget: Budget) -> Iterator[Diagnostic]:
    """Yield what the schema says, then what its rules say about the rest."""
    # A server drops the status that a person writes.
    written = {name: value for name, value in subject.resource.body.items() if name != "status"}
    body: dict[str, Any] = normalized(written, ready.shape)
    try:
        errors = list(islice(ready.validator.iter_errors(body), _OBJECT_ERRORS_MAX))
    except Exception as error:  # half a character, for example: the library takes JSON only
        message = f"the object could not be checked: {str(error)[:200]}"
        yield subject.finding("GM510", message, ())
        return
    translate = Errors(subject, body, ready.schema).translate
    found = [finding for error in errors for finding in translate(error)]
    yield from found
    broken: list[Path] = [finding.path for finding in found if finding.code != "GM501"]
    yield from Walk(subject, ready, budget, broken).look(body)
