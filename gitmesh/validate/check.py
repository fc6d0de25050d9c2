"""Everything that is wrong with a set of resources.

Stage: validate (pure). Of an earlier result everything is taken over that cannot have changed: what is said
about one object while it is the same, and what is said about several while their questions have the same
answers. The findings are those of a validation from nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from gitmesh.model.config import ParseLimits
from gitmesh.model.context import NOTHING_KNOWN, Context
from gitmesh.model.diagnostic import Diagnostic, bounded
from gitmesh.model.resource import ResourceKey, ResourceSet
from gitmesh.validate.across.conditions import condition_facts
from gitmesh.validate.across.questions import Question
from gitmesh.validate.across.reading import facts_of
from gitmesh.validate.across.unchecked import not_checked
from gitmesh.validate.across.world import World
from gitmesh.validate.dependencies import check_dependencies
from gitmesh.validate.guardrails import NOTHING_GUARDED, Guarded, check_guardrails
from gitmesh.validate.looking import Begun, Looked, begin, look
from gitmesh.validate.policies import check_unused
from gitmesh.validate.schemas.check import NOTHING_CHECKED, OthersChecked, check_others
from gitmesh.validate.schemas.definitions import NO_SCHEMAS, Schemas

_FINDINGS_MAX = ParseLimits().diagnostics_max
_NONE: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Validated:
    """What is wrong; `unchecked` says, as infos, what could not be looked at for lack of context."""

    findings: tuple[Diagnostic, ...]
    unchecked: tuple[Diagnostic, ...] = ()
    looked: tuple[Looked, ...] = field(default=(), repr=False, compare=False)
    world: World | None = field(default=None, repr=False, compare=False)
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
    begun = begin((*resources.values(), *others.values()), before.looked)
    world, changed = _world(begun, context, {*resources, *others} if context.objects else (), before)
    looked = look(begun, world, changed)
    world.forget(one.asked for one in looked)
    by_schema = check_others(others, schemas, before.by_schema)
    guarded = check_guardrails(
        resources, others, (one.resource.key for one in looked if one.is_wrong), before.guarded
    )
    alone = (*_diagnostics(looked), *by_schema.findings, *guarded.findings)
    used = {policy for one in looked for policy in one.policies}
    findings = (*alone, *check_unused(resources, world, used), *check_dependencies(resources, world))
    return Validated(
        bounded(findings, _FINDINGS_MAX),
        (*not_checked(f for one in looked for f in one.unchecked), *by_schema.unchecked),
        looked,
        world,
        context,
        by_schema,
        guarded,
    )


def _world(
    begun: Begun, context: Context, keys: Collection[ResourceKey], before: Validated
) -> tuple[World, frozenset[Question]]:
    """Return what can be asked, and which questions have other answers than before.

    `keys`: the objects of the files; they stand for those of the same name in the cluster.
    """
    types = set(begun.changed_types())
    live = [fact for key, one in context.objects.items() if key not in keys for fact in facts_of(one)]
    live += (fact for key, one in context.objects.items() if key in keys for fact in condition_facts(one))
    types.update(type(fact) for fact in live)
    if before.world is not None and context == before.context:
        if not types:
            return before.world.again(), frozenset()
    else:
        types.add(Context)
        gone = before.context.objects.values()
        types.update(type(fact) for one in gone for fact in (*facts_of(one), *condition_facts(one)))
    world = World((*begun.facts(), *live), context)
    return world, world.changed(before.world, types) if before.world else frozenset()


def _diagnostics(looked: Iterable[Looked]) -> Iterator[Diagnostic]:
    for one in looked:
        yield from one.own
        yield from one.across
