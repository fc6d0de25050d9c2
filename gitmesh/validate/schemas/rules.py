"""CEL rules and lists of unique elements: the walk over an object along its schema.

Stage: validate (pure). Only branches of the schema that have a rule are walked. Source: kubernetes.io,
"Extend the Kubernetes API with CustomResourceDefinitions", "Validation rules".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.resource import content_hash
from gitmesh.validate.cel import Budget, Failed, Problem, Program, Variables, language
from gitmesh.validate.cel_bounds import NO_SIZE, Size, measure
from gitmesh.validate.schemas.definitions import Ready
from gitmesh.validate.schemas.normal import as_self, holds_time, root_as_self
from gitmesh.validate.schemas.shape import CelRule, Shape
from gitmesh.validate.subject import Path, Subject, dotted

_EVALUATIONS_MAX = 5_000  # of one object
_ERRORS_MAX = 200
_SHOWN_CHARS_MAX = 200
_OLD_SELF = re.compile(r"\boldSelf\b")
_FIELD = re.compile(r"\.([A-Za-z_][\w-]*)|\['([^']+)'\]|\[(\d+)\]")


@dataclass(slots=True)
class Walk:
    """One object. `broken` holds the places that have an error already: nothing is evaluated around them."""

    subject: Subject
    ready: Ready
    budget: Budget
    broken: Iterable[Path] = ()
    evaluations: int = 0
    size: Size = NO_SIZE  # of the whole object
    findings: list[Diagnostic] = field(default_factory=list)

    def look(self, body: Any) -> list[Diagnostic]:
        """Return what the rules say about a normalized object."""
        if self.ready.shape.has_rules:
            self.size = measure(body)
            self._walk(body, self.ready.shape, ())
        return self.findings

    def _walk(self, value: Any, shape: Shape, path: Path) -> None:
        if not shape.has_rules or value is None or len(self.findings) >= _ERRORS_MAX:
            return
        if shape.list_type in ("set", "map") and isinstance(value, list):
            self.findings += _repeated(self.subject, value, shape, path)
        if shape.rules and not self._is_broken(path):
            self._evaluate(value, shape, path)
        if isinstance(value, dict):
            for name, part in value.items():
                below = shape.properties.get(name) or shape.values
                if below is not None:
                    self._walk(part, below, (*path, name))
        elif isinstance(value, list) and shape.items is not None:
            for index, part in enumerate(value):
                self._walk(part, shape.items, (*path, index))

    def _is_broken(self, path: Path) -> bool:
        """Say whether something at, in or around the value has the wrong shape already."""
        return any(path[: len(other)] == other[: len(path)] for other in self.broken)

    def _evaluate(self, value: Any, shape: Shape, path: Path) -> None:
        seen = as_self(value, shape) if path else root_as_self(value, shape)
        # What bounds the whole object bounds its parts, and is measured once.
        variables = language("self").bind({"self": seen}, self.size.below(len(path)))
        for rule in shape.rules:
            text = _text_of(rule)
            if text is None:
                continue
            self.evaluations += 1
            if self.evaluations > _EVALUATIONS_MAX:
                if self.evaluations == _EVALUATIONS_MAX + 1:
                    self._unevaluated((), f"the object needs more than {_EVALUATIONS_MAX} evaluations")
                return
            program = self.ready.program(text)
            if isinstance(program, Problem):
                self._unevaluated(path, f"{program.reason}, in the rule {_cut(rule.rule)}")
                continue
            holds = self._value(program, variables)
            if isinstance(holds, Failed) and holds.too_costly:
                variables = language("self").bind({"self": seen})
                holds = self._value(program, variables)
            if isinstance(holds, str):
                holds = Failed("it is text, neither true nor false")
            if isinstance(holds, Failed):
                self._failed(holds, rule, value, shape, path)
            elif not holds and isinstance(variables, Variables):
                message = f"{_place(path)}: {self._message(rule, variables)}"
                at = (*path, *_below(rule.field_path))
                self.findings.append(self.subject.finding("GM508", message, at))

    def _value(self, program: Program, variables: Variables | Failed) -> bool | str | Failed:
        return variables if isinstance(variables, Failed) else program.evaluate(variables, self.budget)

    def _failed(self, failed: Failed, rule: CelRule, value: Any, shape: Shape, path: Path) -> None:
        wanted = " ".join(rule.message.split())[:_SHOWN_CHARS_MAX]
        reason = f"{failed.reason}, in the rule {_cut(rule.rule)}"
        # What fails for a date that is text here may not fail for a server.
        if failed.too_costly or holds_time(value, shape):
            self._unevaluated(path, reason)
            return
        message = f"a rule for {_place(path)} could not be evaluated: {reason}"
        said = f"it says: {wanted}; " if wanted else ""
        hint = f"{said}an API server refuses the object for that, too"
        self.findings.append(self.subject.finding("GM509", message, path, hint=hint))

    def _message(self, rule: CelRule, variables: Variables) -> str:
        if rule.message_expression and (text := _text_of(rule, rule.message_expression)):
            program = self.ready.program(text)
            said = program if isinstance(program, Problem) else program.evaluate(variables, self.budget)
            if isinstance(said, str) and said.strip() and "\n" not in said.strip():
                return said.strip()[:_SHOWN_CHARS_MAX]
        return " ".join(rule.message.split())[:_SHOWN_CHARS_MAX] or f"breaks the rule {_cut(rule.rule)}"

    def _unevaluated(self, path: Path, reason: str) -> None:
        message = f"a rule for {_place(path)} could not be evaluated here: {reason}"
        hint = "an API server can do it: gitmesh plan, or kubectl apply --dry-run=server"
        self.findings.append(self.subject.finding("GM510", message, path, hint=hint))


def _text_of(rule: CelRule, text: str = "") -> str | None:
    """Return what is evaluated for a new object, or None for a rule about changes only."""
    text = text or rule.rule
    if not _OLD_SELF.search(text):
        return text
    return _OLD_SELF.sub("optional.none()", text) if rule.optional_old_self else None


def _repeated(subject: Subject, values: list[Any], shape: Shape, path: Path) -> Iterator[Diagnostic]:
    """Yield the elements of a set, or the keys of a list of type map, that are there a second time."""
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        seen: Any = value
        if shape.list_type == "map":
            if not isinstance(value, dict):
                continue
            seen = {name: value.get(name) for name in shape.map_keys}
        earlier = first.setdefault(content_hash(seen), index)
        if earlier != index:
            what = "the element" if shape.list_type == "set" else _keys_shown(seen)
            message = f"{what} is in {_place(path)} a second time; it is first at index {earlier}"
            yield subject.finding("GM507", message, (*path, index), hint="remove one of them")


def _keys_shown(keys: dict[str, Any]) -> str:
    return ", ".join(f"{name} {str(value)[:60]}" for name, value in keys.items() if value is not None)


def _below(field_path: str) -> Path:
    found = [(m[1] or m[2]) if m[3] is None else int(m[3]) for m in _FIELD.finditer(field_path)]
    return tuple(found)


def _place(path: Path) -> str:
    return dotted(path) or "the object"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS_MAX else f"{line[:_SHOWN_CHARS_MAX]}..."
