"""CEL: compiling an expression once, and evaluating it at a bounded cost.

Stage: validate (pure). The library is loaded when the first expression is compiled.
Source: kubernetes.io, "Common Expression Language in Kubernetes".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from gitmesh.validate.cel_bounds import NO_SIZE, TURNS_MAX, Cost, Size, cost_of, measure
from gitmesh.validate.cel_functions import declared_functions
from gitmesh.validate.cel_tree import Node, paths_in, read_tree

_EXPRESSION_CHARS_MAX = 10_000
_STEPS_MAX = 2e6
_LARGEST_MAX = 1e7
_GIVEN_MAX = 1e8
_REASON_CHARS_MAX = 200
_PROBLEM = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an expression cannot be compiled, and where in it; line and column from 1, or 0."""

    reason: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """Why an expression has no value for these variables. `too_costly`: it was not even tried."""

    reason: str
    too_costly: bool = False


@dataclass(slots=True)
class Budget:
    """Steps that may still be spent, over all evaluations of one validation."""

    steps: float = 1e9


@dataclass(frozen=True, eq=False)
class Variables:
    """What an expression can name, ready for any number of evaluations."""

    data: Any  # the library's form
    size: Size


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled expression. `type` is what it yields, in capital letters: BOOL, DYN where that is open."""

    text: str
    type: str
    _expression: Any
    _tree: Node
    _costs: dict[tuple[int, ...], Cost] = field(default_factory=dict)  # by the magnitude of sizes

    @property
    def paths(self) -> frozenset[tuple[str, ...]]:
        """What it asks of its variables, as in `("rollout", "progress")`."""
        return frozenset(paths_in(self._tree))

    def evaluate(self, variables: Variables, budget: Budget) -> bool | str | Failed:
        """Return the value: a verdict or a text."""
        cost = self._cost(variables.size)
        if cost.steps > _STEPS_MAX or cost.largest > _LARGEST_MAX:
            return Failed("it could take too long, or too much memory, for an object of this size", True)
        if cost.steps > budget.steps:
            return Failed("all expressions together take too long", True)
        budget.steps -= cost.steps
        try:
            result = self._expression.eval(variables.data)
            found = result.type().name()
            if found == "ERROR":
                return Failed(_reason(str(result.plain_value())))
            if found in ("BOOL", "STRING"):
                value: bool | str = result.plain_value()
                return value
            return Failed(f"it is of type {found.lower()[:80]}, neither true nor false")
        except Exception as error:  # whatever the library does with strange values, it is no verdict
            return Failed(_reason(str(error)))

    def _cost(self, size: Size) -> Cost:
        magnitude = tuple(int(part).bit_length() for part in (size.text, size.total, *size.widths))
        if (cost := self._costs.get(magnitude)) is None:
            text, total, *widths = (2.0**bits for bits in magnitude)
            cost = self._costs[magnitude] = cost_of(self._tree, Size(tuple(widths), text, total))
        return cost


@dataclass(frozen=True, eq=False)
class Language:
    """CEL with some variables of any type, and the functions that Kubernetes adds."""

    _environment: Any

    def compile(self, text: str) -> Program | Problem:
        """Compile an expression."""
        if len(text) > _EXPRESSION_CHARS_MAX:
            return Problem(f"the expression has more than {_EXPRESSION_CHARS_MAX} characters")
        try:
            expression = self._environment.compile(text)
            found = str(expression.return_type().name())
            return Program(text, found, expression, read_tree(expression.serialize()))
        except Exception as error:  # the library says everything with RuntimeError
            return _problem(str(error))

    def bind(self, values: Mapping[str, Any], size: Size | None = None) -> Variables | Failed:
        """Take JSON values over for any number of evaluations. `size`: of what they are part of."""
        if size is None:
            size = NO_SIZE
            for value in values.values():
                size = size | measure(value)
        if size.total > _GIVEN_MAX:
            return Failed("the object is too large", True)
        try:
            return Variables(self._environment.Activation(dict(values)), size)
        except Exception as error:  # a number of more than 64 bits, half a character
            return Failed(_reason(str(error)))


@lru_cache(maxsize=8)
def language(*variables: str) -> Language:
    """Return CEL with variables of these names."""
    # The module is large and most runs need none of it.
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_optional, ext_strings

    extensions = [ext_strings.ExtStrings(), ext_optional.ExtOptional(), declared_functions(cel)]
    names = dict.fromkeys(variables, cel.Type.DYN)
    return Language(cel.NewEnv(variables=names, extensions=extensions))


def _problem(text: str) -> Problem:
    found = _PROBLEM.search(text)
    if not found:
        return Problem(_reason(text))
    line, column = max(0, int(found[1])), max(0, int(found[2]))
    reason = found[3].removesuffix(" (in container '')").removeprefix("Syntax error: ")
    reason = reason.partition(" expecting ")[0].removesuffix(" [INVALID_ARGUMENT]")
    return Problem(reason[:_REASON_CHARS_MAX], line, column)


_NO_KEY = re.compile(r"Key not found in map : (.*)")
_NO_OVERLOAD = re.compile(r"No matching overloads found : (\S+?)\((.*)\)$")
_OPERATOR = re.compile(r"_(\W+)_$")


def _reason(text: str) -> str:
    """Say what the library means."""
    line = re.sub(r"^[A-Z_]+: ", "", text.strip().partition("\n")[0]).partition(" [")[0]
    if found := _NO_KEY.search(line):
        name = found[1].strip('"')[:80]
        return f"there is no field {name}"
    if found := _NO_OVERLOAD.search(line):
        operator = _OPERATOR.match(found[1])
        name = operator[1] if operator else found[1]
        types = found[2].replace("null_type", "null").replace("int64", "int")
        return f"{name} does not take ({types})"
    if "SELECT to non-message" in line:
        return "it asks for a field of something that has no fields"
    if "Unable to convert" in line:
        return "it is neither true nor false"
    if "Iteration budget" in line:
        return f"its loops turn more than {TURNS_MAX} times"
    return line[:_REASON_CHARS_MAX] or "no reason is known"
