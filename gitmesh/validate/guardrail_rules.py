"""Guardrails, compiled: what is evaluated, and what is said when it does not hold.

Stage: validate (pure).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.guardrail import Guardrail, GuardrailRule, GuardrailSpec, Scope
from gitmesh.model.kinds import GITMESH
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.model.spelling import closest
from gitmesh.validate.cel import Budget, Failed, Language, Problem, Program, Variables, language
from gitmesh.validate.subject import Path, Subject

GUARDRAIL = "Guardrail"
# What an expression can name, by scope.
VARIABLES = {Scope.RESOURCE: "object", Scope.SET: "resources", Scope.PLAN: "changes"}
_SHOWN_CHARS_MAX = 160
_FIELD = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule of a guardrail. `message` is None where nothing is computed."""

    rule: GuardrailRule
    verdict: Program
    message: Program | None


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A guardrail that can be asked. `problems` says what is wrong with rules that cannot."""

    guardrail: Guardrail
    resource: Resource
    rules: tuple[CompiledRule, ...]
    problems: tuple[Diagnostic, ...] = ()

    @property
    def scope(self) -> Scope:
        """What its expressions look at."""
        return self.guardrail.spec.scope

    def bind(self, value: Any) -> Variables | Failed:
        """Take over what the expressions look at."""
        return _language(self.scope).bind({VARIABLES[self.scope]: value})


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that does not hold, or (`failed`) of which that cannot be said."""

    rule: GuardrailRule
    index: int
    message: str
    failed: bool = False


def is_guardrail(key: ResourceKey) -> bool:
    """Say whether the key is that of a Guardrail."""
    return key.group == GITMESH and key.kind == GUARDRAIL


def compiled_guardrails(resources: ResourceSet) -> tuple[Compiled, ...]:
    """Return the guardrails whose shape is right, by namespace and name."""
    keys = sorted(key for key in resources if is_guardrail(key))
    found = (compile_guardrail(resources[key]) for key in keys)
    return tuple(one for one in found if one is not None)


def compile_guardrail(resource: Resource) -> Compiled | None:
    """Compile a guardrail, or return None when its shape is wrong, which is said elsewhere."""
    try:
        spec = GuardrailSpec.model_validate(resource.spec)
    except ValidationError:
        return None
    guardrail = Guardrail(name=resource.key.name, namespace=resource.key.namespace, spec=spec)
    rules: list[CompiledRule] = []
    problems: list[Diagnostic] = []
    for index, rule in enumerate(spec.rules):
        read = _compiled_rule(rule, spec.scope)
        if isinstance(read, CompiledRule):
            rules.append(read)
        else:
            problems += (_not_cel(resource, spec.scope, index, *wrong) for wrong in read)
    return Compiled(guardrail, resource, tuple(rules), tuple(problems))


def _compiled_rule(rule: GuardrailRule, scope: Scope) -> CompiledRule | list[tuple[str, Problem]]:
    verdict = _typed(_language(scope).compile(rule.expression), "BOOL", "true or false")
    message = None
    if rule.message_expression:
        message = _typed(_language(scope).compile(rule.message_expression), "STRING", "text")
    wrong = [(name, found) for name, found in (("expression", verdict), ("messageExpression", message))]
    problems = [(name, found) for name, found in wrong if isinstance(found, Problem)]
    if isinstance(verdict, Problem) or isinstance(message, Problem):
        return problems
    return CompiledRule(rule, verdict, message)


def _typed(found: Program | Problem, wanted: str, words: str) -> Program | Problem:
    if isinstance(found, Program) and found.type not in (wanted, "DYN"):
        return Problem(f"it yields {found.type.lower()[:80]}, not {words}")
    return found


def _language(scope: Scope) -> Language:
    return language(VARIABLES[scope])


def _not_cel(resource: Resource, scope: Scope, index: int, name: str, problem: Problem) -> Diagnostic:
    where = ""
    if problem.column:
        where = f", at character {problem.column}"
        where += f" of line {problem.line}" if problem.line > 1 else ""
    hint = f"the scope {scope.value} knows the variable {VARIABLES[scope]}"
    if found := _UNDECLARED.search(problem.reason):
        near = closest(
            found[1].partition(".")[0],
            (*VARIABLES.values(), "has", "all", "exists", "size", "duration", "matches"),
        )
        hint = f"did you mean {near}? T{hint[1:]}" if near == VARIABLES[scope] else hint
    message = f"the expression cannot be used: {problem.reason}{where}"
    return Subject(resource).finding("GM310", message, ("spec", "rules", index, name), hint=hint)


def broken_rules(one: Compiled, variables: Variables | Failed, budget: Budget) -> Iterator[Broken]:
    """Yield the rules that do not hold."""
    for index, compiled in enumerate(one.rules):
        rule = compiled.rule
        if isinstance(variables, Failed):
            yield Broken(rule, index, variables.reason, failed=True)
            continue
        holds = compiled.verdict.evaluate(variables, budget)
        if isinstance(holds, Failed):
            yield Broken(rule, index, holds.reason, failed=True)
        elif isinstance(holds, str):
            yield Broken(rule, index, "it is text, neither true nor false", failed=True)
        elif not holds:
            yield Broken(rule, index, _message(compiled, variables, budget))


def _message(compiled: CompiledRule, variables: Variables, budget: Budget) -> str:
    if compiled.message is not None:
        said = compiled.message.evaluate(variables, budget)
        if isinstance(said, str) and said.strip():
            return " ".join(said.split())[:500]
    return " ".join(compiled.rule.message.split()) or f"does not hold: {cut(compiled.rule.expression)}"


def cut(text: str) -> str:
    """Return an expression in one line of bearable length."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS_MAX else f"{line[:_SHOWN_CHARS_MAX]}..."


def path_of(field: str) -> Path:
    """Return the path to a field that is written as spec.http[0].route."""
    return tuple(int(m[2]) if m[1] is None else m[1] for m in _FIELD.finditer(field))
