"""How much an expression can cost, before it is evaluated.

Stage: validate (pure). Expressions come from repositories and clusters, and an evaluation cannot be
interrupted. CEL always ends, yet thirty doublings in a row make a gigabyte. Each bound here is never below
the truth; it is what lies between a hostile expression and the memory of the daemon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitmesh.validate.cel_tree import Call, Leaf, Loop, Node

# The library gives up after so many turns of all loops of one evaluation.
TURNS_MAX = 10_000
_MUCH = 1e15
_PER_STEP = 100.0  # characters and elements that a function handles in the time of one step


@dataclass(frozen=True, slots=True)
class Size:
    """Of a value: the most elements of one list or map in it, and all its elements and characters."""

    width: float
    total: float

    def __or__(self, other: Size) -> Size:
        return Size(max(self.width, other.width), max(self.total, other.total))

    def __add__(self, other: Size) -> Size:
        return Size(min(_MUCH, self.width + other.width), min(_MUCH, self.total + other.total))


@dataclass(frozen=True, slots=True)
class Cost:
    """Steps of an evaluation, and the size of the largest value that it makes."""

    steps: float
    largest: float


_SMALL = Size(0, 1)
_SMALL_RESULTS = frozenset(
    {"!_", "-_", "_&&_", "_||_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "@not_strictly_false"}
    | {"size", "startsWith", "endsWith", "contains", "matches", "indexOf", "lastIndexOf", "isSorted"}
    | {"int", "uint", "double", "bool", "duration", "timestamp", "isURL", "isIP", "isCIDR"}
)


def measure(value: Any) -> Size:
    """Return the size of a JSON value."""
    width = total = 0
    waiting = [value]
    while waiting:
        part = waiting.pop()
        total += 1
        if isinstance(part, Mapping):
            width = max(width, len(part))
            total += sum(len(str(name)) for name in part)
            waiting.extend(part.values())
        elif isinstance(part, list | tuple):
            width = max(width, len(part))
            waiting.extend(part)
        elif isinstance(part, str):
            total += len(part)
    return Size(width, total)


def cost_of(tree: Node, given: Size) -> Cost:
    """Return what an evaluation costs at most when each variable has at most that size."""
    counter = _Counter(given)
    counter.size(tree, {})
    return Cost(counter.steps, counter.largest)


class _Counter:
    """Adds up steps; inside a loop each counts as often as the loop turns at most."""

    def __init__(self, given: Size) -> None:
        self.steps = 0.0
        self.largest = 0.0
        self._given = given
        self._turns = 1.0

    def size(self, node: Node, names: Mapping[str, Size]) -> Size:
        match node:
            case Leaf():
                found = names.get(node.name, self._given) if node.name else Size(0, node.length)
                self._count(1)
            case Call():
                args = [self.size(arg, names) for arg in node.args]
                found = _result(node.function, args)
                # A field is found at once; a function may read all of what it is given.
                work = 0.0 if node.function == "." else sum(arg.total for arg in args)
                self._count(1 + work / _PER_STEP)
            case Loop():
                found = self._loop(node, names)
        self.largest = max(self.largest, found.total)
        return found

    def _loop(self, node: Loop, names: Mapping[str, Size]) -> Size:
        over = self.size(node.range, names)
        begin = self.size(node.begin, names)
        turns = min(over.width, TURNS_MAX)
        outside, self._turns = self._turns, min(self._turns * turns, TURNS_MAX)
        inside = {**names, node.variable: over, node.result: begin}
        self.size(node.condition, inside)
        after = self.size(node.step, inside)
        self._turns = outside
        # Each turn of a macro adds the same again, or replaces what was there.
        grown = Size(max(0, after.width - begin.width) * turns, max(0, after.total - begin.total) * turns)
        collected = begin + grown
        self.largest = max(self.largest, collected.total)
        return self.size(node.end, {**names, node.result: collected})

    def _count(self, steps: float) -> None:
        self.steps = min(_MUCH, self.steps + steps * self._turns)


def _result(function: str, args: list[Size]) -> Size:
    """Return the size of what a function makes of arguments of these sizes."""
    if function in _SMALL_RESULTS or not args:
        return _SMALL
    largest, together = _SMALL, _SMALL
    for arg in args:
        largest, together = largest | arg, together + arg
    if function == "_?_:_":
        return args[1] | args[2] if len(args) == 3 else largest
    if function in (".", "_[_]", "_[?_]", "_?._"):
        return args[0]
    if function in ("[]", "{}"):
        return Size(max(len(args), largest.width), together.total)
    if function in ("split", "findAll"):  # every character may become an element
        return Size(together.total, 2 * together.total)
    if function in ("replace", "join", "format"):
        product = 1.0
        for arg in args:
            product = min(_MUCH, product * (arg.total + 1))
        return Size(together.width, product)
    return together
