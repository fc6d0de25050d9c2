"""Everything that is wrong with a set of resources.

Stage: validate (pure). Of an earlier result everything is taken over that cannot have changed: what is said
about one object while it is the same, and what is said about several while their questions have the same
answers. The findings are those of a validation from nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from gitmesh.model.config import ParseLimits
from gitmesh.model.context import NOTHING_KNOWN, Context
from gitmesh.model.diagnostic import Diagnostic, Severity, bounded
from gitmesh.model.kinds import GITMESH, NETWORKING, VIRTUAL_SERVICE
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.validate.across.facts import Fact, PolicyFact
from gitmesh.validate.across.found import RESTS_ON_CONTEXT, Found, Selected, Unchecked
from gitmesh.validate.across.questions import Question
from gitmesh.validate.across.reading import facts_of
from gitmesh.validate.across.rules import check_across
from gitmesh.validate.across.unchecked import not_checked
from gitmesh.validate.across.world import World
from gitmesh.validate.guardrails import NOTHING_GUARDED, Guarded, check_guardrails
from gitmesh.validate.objects import OBJECT_ERRORS_MAX, check_object
from gitmesh.validate.policies import check_selected, check_unused, is_policy, read_policy
from gitmesh.validate.schemas.check import NOTHING_CHECKED, OthersChecked, check_others
from gitmesh.validate.schemas.definitions import NO_SCHEMAS, Schemas
from gitmesh.validate.shape import check_shape
from gitmesh.validate.subject import Subject

_FINDINGS_MAX = ParseLimits().diagnostics_max
_NONE: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found out about one object, and the questions on which `across` rests."""

    resource: Resource
    facts: tuple[Fact, ...]
    own: tuple[Diagnostic, ...] = ()
    across: tuple[Found, ...] = ()
    asked: frozenset[Question] = frozenset()


@dataclass(frozen=True, slots=True)
class Validated:
    """What is wrong; `unchecked` says, as infos, what could not be looked at for lack of context."""

    findings: tuple[Diagnostic, ...]
    unchecked: tuple[Diagnostic, ...] = ()
    looked: Mapping[ResourceKey, Looked] = field(default_factory=dict, repr=False, compare=False)
    answers: Mapping[Question, Any] = field(default_factory=dict, repr=False, compare=False)
    context: Context = field(default=NOTHING_KNOWN, repr=False, compare=False)
    by_schema: OthersChecked = field(default=NOTHING_CHECKED, repr=False, compare=False)
    guarded: Guarded = field(default=NOTHING_GUARDED, repr=False, compare=False)


NOTHING_VALIDATED = Validated(())


def validate(
    resources: ResourceSet,
    *,
    context: Context = NOTHING_KNOWN,
    others: ResourceSet = _NONE,
    schemas: Schemas = NO_SCHEMAS,
    previous: Validated | None = None,
) -> Validated:
    """Return all findings. `others`: objects of other kinds of the same files, which serve as context, too.

    `schemas`: of those kinds, beside what the files themselves define.
    `previous` is the result for another state of the files; what still holds is taken over.
    """
    before = previous or NOTHING_VALIDATED
    begun = [_begun(resource, before.looked) for resource in (*resources.values(), *others.values())]
    types = set(_changed_types(begun, before.looked))
    types.update(() if context == before.context else (Context,))
    live = (live for key, live in context.objects.items() if key not in resources and key not in others)
    facts = (*(fact for one, _ in begun for fact in one.facts), *(f for one in live for f in facts_of(one)))
    world = World(facts, context)
    changed = world.changed(before.answers, types)
    looked = {one.resource.key: _judged(one, old, world, changed) for one, old in begun}
    used = {found.policy for one in looked.values() for found in one.across if isinstance(found, Selected)}
    by_schema = check_others(others, schemas, before.by_schema)
    guarded = check_guardrails(resources, others, _wrong(looked.values()), before.guarded)
    alone = (*_diagnostics(looked.values()), *by_schema.findings, *guarded.findings)
    findings = (*alone, *check_unused(resources, world, used))
    asked = frozenset().union(*(one.asked for one in looked.values()))
    return Validated(
        bounded(findings, _FINDINGS_MAX),
        (*not_checked(_unchecked(looked.values())), *by_schema.unchecked),
        looked,
        {question: world.answers[question] for question in asked},
        context,
        by_schema,
        guarded,
    )


def _wrong(looked: Iterable[Looked]) -> Iterator[ResourceKey]:
    """Yield the objects that have an error of their own."""
    for one in looked:
        if any(found.severity is Severity.ERROR for found in one.own):
            yield one.resource.key


def _unchecked(looked: Iterable[Looked]) -> Iterator[Unchecked]:
    return (found for one in looked for found in one.across if isinstance(found, Unchecked))


def _begun(resource: Resource, before: Mapping[ResourceKey, Looked]) -> tuple[Looked, Looked | None]:
    """Return an object with its facts, and what was known of it before: the same while it still holds."""
    old = before.get(resource.key)
    if old is not None and old.resource is resource:
        return old, old
    if is_policy(resource.key):
        policy = read_policy(resource)
        return Looked(resource, (PolicyFact(policy),) if policy else ()), old
    return Looked(resource, facts_of(resource)), old


def _changed_types(
    now: Sequence[tuple[Looked, Looked | None]], before: Mapping[ResourceKey, Looked]
) -> Iterator[type]:
    """Yield the types of facts that are not what they were, or not in the order in which they were."""
    for one, old in now:
        if one is not old and (old is None or old.facts != one.facts):
            yield from (type(fact) for fact in (*one.facts, *(old.facts if old else ())))
    keys = [one.resource.key for one, _ in now]
    if keys == list(before):
        return
    present = set(keys)
    yield from (type(fact) for key, old in before.items() if key not in present for fact in old.facts)
    if [key for key in before if key in present] != [key for key in keys if key in before]:
        yield from {type(fact) for one, _ in now for fact in one.facts}


def _judged(one: Looked, before: Looked | None, world: World, changed: frozenset[Question]) -> Looked:
    """Judge an object as far as it, or what it rests on, has changed."""
    if before is not one:
        spec, own = check_object(one.resource) if _is_ours(one.resource.key) else (None, ())
    elif changed.isdisjoint(one.asked):
        return one
    else:
        spec, own = check_shape(one.resource)[0], one.own
    world.asked.clear()
    across = tuple(_across(Subject(one.resource), spec, world))
    return replace(one, own=own, across=across, asked=frozenset(world.asked))


def _is_ours(key: ResourceKey) -> bool:
    return key.group in (NETWORKING, GITMESH)


def _across(subject: Subject, spec: BaseModel | None, world: World) -> Iterator[Found]:
    key = subject.resource.key
    if (key.group, key.kind) == (VIRTUAL_SERVICE.group, VIRTUAL_SERVICE.kind):
        yield from check_selected(subject, world)
    errors = 0
    for found in check_across(subject, spec, world):
        if isinstance(found, Diagnostic):
            found = _softened(found, world)
            errors += found.severity is Severity.ERROR
        yield found
        if errors >= OBJECT_ERRORS_MAX:
            return


def _softened(found: Diagnostic, world: World) -> Diagnostic:
    """A commit is not refused for what comes and goes in a cluster without one."""
    if found.severity is Severity.ERROR and found.code in RESTS_ON_CONTEXT and world.is_advisory():
        return replace(found, severity=Severity.WARNING)
    return found


def _diagnostics(looked: Iterable[Looked]) -> Iterator[Diagnostic]:
    for one in looked:
        yield from one.own
        yield from (found for found in one.across if isinstance(found, Diagnostic))
