"""Guardrails over resources: each by itself, and all together.

Stage: validate (pure). What was said about an equal resource by the same guardrails is taken over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.guardrail import Scope
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.validate.cel import Budget
from gitmesh.validate.guardrail_rules import (
    Broken,
    Compiled,
    broken_rules,
    compile_guardrail,
    cut,
    is_guardrail,
    path_of,
)
from gitmesh.validate.subject import Path, Subject

_NAME: Path = ("metadata", "name")


@dataclass(frozen=True, slots=True)
class Asked:
    """What guardrails said about one resource."""

    resource: Resource
    findings: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class Guarded:
    """What is wrong, and what of it holds as long as resources and guardrails stay the same."""

    findings: tuple[Diagnostic, ...] = ()
    compiled: Mapping[ResourceKey, Compiled] = field(default_factory=dict, repr=False, compare=False)
    asked: Mapping[ResourceKey, Asked] = field(default_factory=dict, repr=False, compare=False)


NOTHING_GUARDED = Guarded()


def check_guardrails(
    resources: ResourceSet,
    others: ResourceSet,
    misshapen: Iterable[ResourceKey] = (),
    previous: Guarded = NOTHING_GUARDED,
) -> Guarded:
    """Ask all guardrails about all objects that they are for.

    `misshapen`: objects whose shape is wrong; that an expression fails for one of them is no news.
    """
    compiled = _compiled(resources, previous)
    if not compiled:
        return NOTHING_GUARDED
    same = list(compiled.items()) == list(previous.compiled.items())
    alone = [one for one in compiled.values() if one.scope is Scope.RESOURCE and one.rules]
    budget, wrong = Budget(), frozenset(misshapen)
    asked: dict[ResourceKey, Asked] = {}
    for key, resource in (*resources.items(), *others.items()) if alone else ():
        before = previous.asked.get(key) if same else None
        if before is None or before.resource is not resource:
            before = Asked(resource, tuple(_about(resource, alone, budget)))
        asked[key] = before
    said = (d for key, one in asked.items() for d in one.findings if d.code == "GM311" or key not in wrong)
    problems = (d for one in compiled.values() for d in one.problems)
    together = (d for one in compiled.values() for d in _about_all(one, resources, others, budget))
    return Guarded((*problems, *said, *together), compiled, asked)


def _compiled(resources: ResourceSet, previous: Guarded) -> dict[ResourceKey, Compiled]:
    found: dict[ResourceKey, Compiled] = {}
    for key in sorted(key for key in resources if is_guardrail(key)):
        before = previous.compiled.get(key)
        if before is None or before.resource is not resources[key]:
            before = compile_guardrail(resources[key])
        if before is not None:
            found[key] = before
    return found


def _about(resource: Resource, guardrails: list[Compiled], budget: Budget) -> Iterator[Diagnostic]:
    """Yield what guardrails say about one resource."""
    asked = [one for one in guardrails if one.guardrail.spec.match.matches(resource.key)]
    if not asked:
        return
    variables = asked[0].bind(resource.body)
    for one in asked:
        for broken in broken_rules(one, variables, budget):
            yield _finding(Subject(resource), one, broken, path_of(broken.rule.field) or _NAME)


def _about_all(
    one: Compiled, resources: ResourceSet, others: ResourceSet, budget: Budget
) -> Iterator[Diagnostic]:
    if one.scope is not Scope.SET or not one.rules:
        return
    matches = one.guardrail.spec.match.matches
    found = [r.body for key, r in (*resources.items(), *others.items()) if matches(key)]
    for broken in broken_rules(one, one.bind(found), budget):
        yield _finding(Subject(one.resource), one, broken, ("spec", "rules", broken.index, "expression"))


def _finding(subject: Subject, one: Compiled, broken: Broken, path: Path) -> Diagnostic:
    name = one.guardrail.name
    if broken.failed:
        message = f"the guardrail {name} could not be evaluated: {broken.message}"
        hint = (
            f"a field that may be missing is asked for with has(...) first, in: {cut(broken.rule.expression)}"
        )
        found = subject.finding("GM312", message, path, hint=hint)
    else:
        hint = f"the guardrail {name} wants: {cut(broken.rule.expression)}"
        found = subject.finding("GM311", broken.message, path, hint=hint)
    return replace(found, severity=one.guardrail.spec.severity)
