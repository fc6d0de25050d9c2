"""Looking at objects one by one: what is wrong with each, and on which questions that rests.

Stage: validate (pure). What was found before is taken over while the object and the answers are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel

from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.kinds import DESTINATION_RULE, GITMESH, NETWORKING, VIRTUAL_SERVICE
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.validate.across.facts import Fact, PolicyFact
from gitmesh.validate.across.found import (
    RESTS_ON_CLUSTER,
    RESTS_ON_CONTEXT,
    Found,
    Selected,
    Unchecked,
    softened,
)
from gitmesh.validate.across.partial import readable
from gitmesh.validate.across.questions import Question
from gitmesh.validate.across.reading import facts_of
from gitmesh.validate.across.rules import check_across
from gitmesh.validate.across.world import World
from gitmesh.validate.objects import OBJECT_ERRORS_MAX, check_object
from gitmesh.validate.policies import check_selected, is_policy, read_policy
from gitmesh.validate.subject import Path, Subject

_NOWHERE: frozenset[Path] = frozenset()
_SELECTABLE = (VIRTUAL_SERVICE.kind, DESTINATION_RULE.kind)


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found out about one object.

    `own` are findings about it alone, `across` those that rest on the questions `asked`. `is_wrong`: it has
    an error of its own. `policies` select it.
    """

    resource: Resource
    facts: tuple[Fact, ...]
    own: tuple[Diagnostic, ...] = ()
    across: tuple[Diagnostic, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    policies: tuple[str, ...] = ()
    asked: frozenset[Question] = frozenset()
    is_wrong: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """Objects beside what was known before: equal at the beginning and at the end, and `between` not.

    `between` pairs each object with what was known of it, which is the same where the resource is.
    """

    head: Sequence[Looked]
    between: tuple[tuple[Looked, Looked | None], ...]
    tail: Sequence[Looked]
    gone: tuple[Looked, ...]
    reordered: bool

    def facts(self) -> Iterator[Fact]:
        """Yield the facts of all objects in their order."""
        for part in (self.head, (one for one, _ in self.between), self.tail):
            for looked in part:
                yield from looked.facts

    def changed_types(self) -> Iterator[type]:
        """Yield the types of facts that are not what they were, or not in the order in which they were."""
        for one, old in self.between:
            if one is not old and (old is None or old.facts != one.facts):
                yield from (type(fact) for fact in (*one.facts, *(old.facts if old else ())))
        yield from (type(fact) for old in self.gone for fact in old.facts)
        if self.reordered:
            yield from {type(fact) for one, _ in self.between for fact in one.facts}


def begin(resources: Sequence[Resource], before: Sequence[Looked]) -> Begun:
    """Find what is the same as before: in most commits all but one file, which stands somewhere between."""
    most = min(len(resources), len(before))
    start = end = 0
    while start < most and before[start].resource is resources[start]:
        start += 1
    while end < most - start and before[-1 - end].resource is resources[-1 - end]:
        end += 1
    known = {one.resource.key: one for one in before[start : len(before) - end]}
    between = tuple(_begun(r, known.get(r.key)) for r in resources[start : len(resources) - end])
    present = {one.resource.key for one, _ in between}
    common = [key for key in known if key in present]
    return Begun(
        before[:start],
        between,
        before[len(before) - end :],
        tuple(one for key, one in known.items() if key not in present),
        reordered=common != [one.resource.key for one, _ in between if one.resource.key in known],
    )


def _begun(resource: Resource, old: Looked | None) -> tuple[Looked, Looked | None]:
    if old is not None and old.resource is resource:
        return old, old
    if is_policy(resource.key):
        policy = read_policy(resource)
        return Looked(resource, (PolicyFact(policy),) if policy else ()), old
    return Looked(resource, facts_of(resource)), old


def look(begun: Begun, world: World, changed: frozenset[Question]) -> tuple[Looked, ...]:
    """Judge every object as far as it, or what it rests on, has changed."""
    between = (
        _again(one, world, changed) if one is old else _first(one, world) for one, old in begun.between
    )
    if not changed:
        return (*begun.head, *between, *begun.tail)
    head, tail = ([_again(one, world, changed) for one in part] for part in (begun.head, begun.tail))
    return (*head, *between, *tail)


def _first(one: Looked, world: World) -> Looked:
    key = one.resource.key
    spec, own = check_object(one.resource) if _is_ours(key) else (None, ())
    is_wrong = any(found.severity is Severity.ERROR for found in own)
    typed = (spec, _NOWHERE) if spec is not None else readable(one.resource)
    return _across(replace(one, own=own, is_wrong=is_wrong), typed, world)


def _again(one: Looked, world: World, changed: frozenset[Question]) -> Looked:
    if changed.isdisjoint(one.asked):
        return one
    return _across(one, readable(one.resource), world)


def _is_ours(key: ResourceKey) -> bool:
    return key.group in (NETWORKING, GITMESH)


def _across(one: Looked, typed: tuple[BaseModel | None, frozenset[Path]], world: World) -> Looked:
    """`typed`: the spec as far as it can be read, and the places of what was left out."""
    world.asked.clear()
    spec, left_out = typed
    found = tuple(_found(Subject(one.resource), spec, world))
    return replace(
        one,
        across=tuple(d for d in found if isinstance(d, Diagnostic) and d.path[:3] not in left_out),
        unchecked=tuple(each for each in found if isinstance(each, Unchecked)),
        policies=tuple(each.policy for each in found if isinstance(each, Selected)),
        asked=frozenset(world.asked),
    )


def _found(subject: Subject, spec: BaseModel | None, world: World) -> Iterator[Found]:
    key = subject.resource.key
    if key.group == NETWORKING and key.kind in _SELECTABLE:
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
    unsure = found.code in RESTS_ON_CONTEXT and world.is_advisory()
    return softened(found) if unsure or _may_be_elsewhere(found, world) else found


def _may_be_elsewhere(found: Diagnostic, world: World) -> bool:
    return found.code in RESTS_ON_CLUSTER and not world.reads_cluster()
