"""Guardrails over a plan: what a commit may do.

Stage: validate (pure). A plan that rolls back is never asked about: nothing stands in the way of stable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from gitmesh.model.diagnostic import Severity
from gitmesh.model.guardrail import Scope
from gitmesh.model.plan import ABSENT, Change, FieldChange, Plan, Refusal
from gitmesh.model.resource import ResourceSet
from gitmesh.validate.cel import Budget
from gitmesh.validate.guardrail_rules import Broken, Compiled, broken_rules, compiled_guardrails, cut
from gitmesh.validate.subject import dotted


@dataclass(frozen=True, slots=True)
class Note:
    """What a guardrail that is no error says about a plan."""

    severity: Severity
    message: str


def plan_guardrails(resources: ResourceSet) -> tuple[Compiled, ...]:
    """Return the guardrails that look at plans."""
    return tuple(one for one in compiled_guardrails(resources) if one.scope is Scope.PLAN and one.rules)


def guarded(plan: Plan, guardrails: Iterable[Compiled]) -> tuple[Plan, tuple[Note, ...]]:
    """Return the plan, refused as a whole when an error guardrail does not hold, and what others say."""
    refusals: list[Refusal] = []
    notes: list[Note] = []
    changes, budget = tuple(plan.changes()), Budget()
    for one in guardrails:
        for broken in _broken(one, changes, budget):
            if one.guardrail.spec.severity is Severity.ERROR:
                refusals.append(Refusal(*_said(one, broken)))
            else:
                notes.append(Note(one.guardrail.spec.severity, "; ".join(_said(one, broken))))
    if refusals:
        plan = replace(plan, waves=(), refusals=(*plan.refusals, *refusals))
    return plan, tuple(notes)


def _broken(one: Compiled, changes: tuple[Change, ...], budget: Budget) -> Iterator[Broken]:
    found = [as_json(change) for change in changes if one.guardrail.spec.match.matches(change.key)]
    if found:
        yield from broken_rules(one, one.bind(found), budget)


def _said(one: Compiled, broken: Broken) -> tuple[str, str]:
    """Return reason and hint."""
    name = one.guardrail.name
    hint = f"the guardrail {name} wants: {cut(broken.rule.expression)}"
    if broken.failed:
        return f"the guardrail {name} could not be evaluated: {broken.message}", hint
    return broken.message, hint


def as_json(change: Change) -> dict[str, Any]:
    """Return a change as expressions see it. `before` and `after` are there where the object is."""
    found: dict[str, Any] = {
        "operation": change.kind.value,
        "group": change.key.group,
        "kind": change.key.kind,
        "namespace": change.key.namespace,
        "name": change.key.name,
        "drift": change.drift,
        "fields": [_field(part) for part in change.fields],
    }
    if change.before is not None:
        found["before"] = change.before.body
    if change.after is not None:
        found["after"] = change.after.body
    return found


def _field(found: FieldChange) -> dict[str, Any]:
    sides = (("old", found.old), ("new", found.new))
    values = {name: value for name, value in sides if not (isinstance(value, str) and value == ABSENT)}
    return {"path": dotted(found.path), **values}
