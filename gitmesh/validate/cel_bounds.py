"""How much an expression can cost, before it is evaluated.

Stage: validate (pure). Expressions come from repositories and clusters, and an evaluation cannot be
interrupted. CEL always ends, yet thirty doublings in a row make a gigabyte. Each bound here is never below
the truth; it is what lies between a hostile expression and the memory of the daemon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from gitmesh.validate.cel_tree import Call, Leaf, Loop, Node

# The library gives up after so many turns of all loops of one evaluation.
TURNS_MAX = 10_000
_MUCH = 1e15
_PER_STEP = 100.0  # characters and elements that a function handles in the time of one step


@dataclass(frozen=True, slots=True)
class Size:
    """Of a value: the longest list or map at each depth, the longest text, all elements and characters."""

    widths: tuple[float, ...]
    text: float
    total: float

    @property
    def width(self) -> float:
        """The number of elements of the value itself."""
        return self.widths[0] if self.widths else 0.0

    def below(self, depth: int) -> Size:
        """Return what is enough for any part at that depth."""
        return Size(self.widths[depth:], self.text, self.total)

    def __or__(self, other: Size) -> Size:
        widths = _joined(self.widths, other.widths)
        return Size(widths, max(self.text, other.text), max(self.total, other.total))

    def __add__(self, other: Size) -> Size:
        below = _joined(self.widths[1:], other.widths[1:])
        widths = (self.width + other.width, *below) if self.widths or other.widths else ()
        return _size(widths, self.text + other.text, self.total + other.total)


NO_SIZE = Size((), 0, 0)


def _joined(one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(max(pair) for pair in zip_longest(one, other, fillvalue=0.0))


def _size(widths: tuple[float, ...], text: float, total: float) -> Size:
    return Size(tuple(min(_MUCH, width) for width in widths), min(_MUCH, text), min(_MUCH, total))


@dataclass(frozen=True, slots=True)
class Cost:
    """Steps of an evaluation, and the size of the largest value that it makes."""

    steps: float
    largest: float


_SMALL = Size((), 0, 1)
_SMALL_RESULTS = frozenset(
    {"!_", "-_", "_&&_", "_||_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "@not_strictly_false"}
    | {"size", "startsWith", "endsWith", "contains", "matches", "indexOf", "lastIndexOf", "isSorted"}
    | {"int", "uint", "double", "bool", "duration", "timestamp", "isURL", "isIP", "isCIDR"}
)

# What these yield was there before.
_PARTS = frozenset((".", "_[_]", "_[?_]", "_?._"))
# What these yield depends on the longest text, not on all of it.
_OF_TEXT = frozenset(("split", "findAll", "join", "replace"))
_AT_ONCE = _PARTS | {"size", "_&&_", "_||_", "!_", "_?_:_", "@not_strictly_false"}


def measure(value: Any) -> Size:
    """Return the size of a JSON value."""
    widths: list[float] = []
    text = total = 0
    level = [value]
    while level:
        below: list[Any] = []
        width = 0
        total += len(level)
        for part in level:
            if isinstance(part, str):
                total += len(part)
                text = max(text, len(part))
            elif isinstance(part, Mapping):
                width = max(width, len(part))
                lengths = [len(str(name)) for name in part]
                total += sum(lengths)
                text = max(text, *lengths, 0)
                below.extend(part.values())
            elif isinstance(part, list | tuple):
                width = max(width, len(part))
                below.extend(part)
        widths.append(width)
        level = below
    return Size(tuple(widths), text, total)


def cost_of(tree: Node, given: Size) -> Cost:
    """Return what an evaluation costs at most when each variable has at most that size."""
    counter = _Counter(given)
    counter.size(tree, {})
    return Cost(counter.steps, counter.largest)


class _Counter:
    """Adds up steps; inside a loop each counts as often as the loop turns at most.

    What a loop turns over has its share of the whole, since all turns together see no more than the whole.
    One turn may see all of it, which counts for the largest value.
    """

    def __init__(self, given: Size) -> None:
        self.steps = 0.0
        self.largest = 0.0
        self._given = given
        self._turns = 1.0  # of all loops around
        self._lists = 0.0
        self._shares = 1.0  # into so many parts what the loops around turn over was divided

    def size(self, node: Node, names: Mapping[str, Size]) -> Size:
        match node:
            case Leaf():
                self._count(1)
                return names.get(node.name, self._given) if node.name else Size((), node.length, node.length)
            case Call():
                args = [self.size(arg, names) for arg in node.args]
                found = _result(node.function, args)
                work = 0.0 if node.function in _AT_ONCE else sum(arg.total for arg in args)
                self._count(1 + work / _PER_STEP)
                if node.function in _OF_TEXT:
                    self._made(found.total)
                elif node.function not in _PARTS and node.function not in _SMALL_RESULTS:
                    self._made(found.total * self._shares)
                return found
        return self._loop(node, names)

    def _loop(self, node: Loop, names: Mapping[str, Size]) -> Size:
        over = self.size(node.range, names)
        begin = self.size(node.begin, names)
        turns = max(1.0, min(over.width, TURNS_MAX))
        share = replace(over.below(1), total=over.total / turns)
        inside = {**names, node.variable: share, node.result: begin}
        around = self._turns, self._shares
        self._turns, self._shares = min(around[0] * turns, TURNS_MAX), min(_MUCH, around[1] * turns)
        self.size(node.condition, inside)
        after = self.size(node.step, inside)
        element = _added(node, node.step)
        added = None if element is None else self.size(element, inside)
        self._turns, self._shares = around
        if added is None:
            collected = begin | after  # all, exists, exists_one and optional values keep one value
        else:
            collected = begin | _size((turns, *added.widths), added.text, turns * (added.total + 1))
            self._made(collected.total * self._shares)
            # The library makes a new list in each turn, and keeps all of them until the end.
            self._lists += turns * turns / 2 * self._turns
            self._made(self._lists)
        return self.size(node.end, {**names, node.result: collected})

    def _made(self, total: float) -> None:
        self.largest = max(self.largest, min(_MUCH, total))

    def _count(self, steps: float) -> None:
        self.steps = min(_MUCH, self.steps + steps * self._turns)


def _added(node: Loop, step: Node) -> Node | None:
    """Return what a turn adds to a list, as `map` and `filter` do, or None where no list is made."""
    match step:
        case Call("_?_:_", (_, then, otherwise)):
            return _added(node, then) or _added(node, otherwise)
        case Call("_+_", (Leaf(name), Call("[]", (element,)))) if name == node.result:
            return element
    return None


def _result(function: str, args: list[Size]) -> Size:
    """Return the size of what a function makes of arguments of these sizes."""
    if function in _SMALL_RESULTS or not args:
        return _SMALL
    largest, together = _SMALL, _SMALL
    for arg in args:
        largest, together = largest | arg, together + arg
    if function == "_?_:_":
        return args[1] | args[2] if len(args) == 3 else largest
    if function in _PARTS:
        return args[0].below(1)
    if function in ("[]", "{}"):
        return Size((len(args), *largest.widths), largest.text, together.total)
    if function in ("split", "findAll"):  # every character may become an element
        return Size((largest.text + 1,), largest.text, 2 * largest.text + 1)
    if function == "join":
        return _texts((args[0].width + 1) * (together.text + 1))
    if function == "replace":
        return _texts((args[0].text + 1) * (together.text + 1))
    if function == "format":  # each of its placeholders may show everything
        return _texts((args[0].text + 1) * (together.total + 1))
    return together


def _texts(length: float) -> Size:
    return _size((), length, length)
