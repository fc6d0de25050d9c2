"""What a compiled expression is made of, as far as its cost depends on it.

Stage: validate (pure). The compiler hands its syntax tree over only in the form of a message on the wire;
this reads the few fields that are needed.
Source: github.com/google/cel-spec, proto/cel/expr/syntax.proto and checked.proto (numbers of the fields).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn


@dataclass(frozen=True, slots=True)
class Leaf:
    """A name, or a constant that is `length` characters long. `name` is empty for a constant."""

    name: str = ""
    length: int = 1


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments, the object of a member function first.

    A field is the function `.` with its name in `field`, a list `[]`, a map or a message `{}`.
    """

    function: str
    args: tuple[Node, ...]
    field: str = ""


@dataclass(frozen=True, slots=True)
class Loop:
    """What a macro such as `all` or `map` stands for."""

    variable: str
    range: Node
    result: str  # the name of what is collected
    begin: Node
    condition: Node
    step: Node
    end: Node


Node = Leaf | Call | Loop

_ANY_VALUE, _CHECKED_EXPR = 2, 4
_CONST, _IDENT, _SELECT, _CALL, _LIST, _STRUCT, _LOOP = 3, 4, 5, 6, 7, 8, 9
_TEXTS = (6, 7)  # string and bytes constants


def read_tree(serialized: bytes) -> Node:
    """Read a serialized expression. Raises ValueError when it is not of the known form."""
    return _node(_only(_only(serialized, _ANY_VALUE), _CHECKED_EXPR))


def paths_in(node: Node) -> Iterator[tuple[str, ...]]:
    """Yield what is asked of variables, in parts: `evidence.error_rate.value`."""
    match node:
        case Leaf(name):
            if name:
                yield (name,)
        case Call(".", (inner,)):
            path = _path(node)
            yield from (path,) if path else paths_in(inner)
        case Call():
            for part in node.args:
                yield from paths_in(part)
        case Loop():
            for part in (node.range, node.begin, node.condition, node.step, node.end):
                yield from paths_in(part)


def _path(node: Node) -> tuple[str, ...]:
    """Return a variable and its fields; nothing when it is something else that has the fields."""
    fields: list[str] = []
    while isinstance(node, Call) and node.function == ".":
        fields.append(node.field)
        (node,) = node.args
    return (node.name, *reversed(fields)) if isinstance(node, Leaf) and node.name else ()


def _node(message: bytes) -> Node:
    for number, value in _fields(message):
        if not isinstance(value, bytes):
            continue  # the id
        if number == _CONST:
            return Leaf(length=max([1, *(len(text) for name in _TEXTS for text in _all(value, name))]))
        if number == _IDENT:
            return Leaf(_only(value, 1).decode())
        if number == _SELECT:
            return Call(".", (_node(_only(value, 1)),), _only(value, 2).decode())
        if number == _CALL:
            target = tuple(_node(part) for part in _all(value, 1))
            args = tuple(_node(part) for part in _all(value, 3))
            return Call(_only(value, 2).decode(), target + args)
        if number == _LIST:
            return Call("[]", tuple(_node(part) for part in _all(value, 1)))
        if number == _STRUCT:
            entries = list(_all(value, 2))
            keys = tuple(_node(key) for entry in entries for key in _all(entry, 3))
            return Call("{}", keys + tuple(_node(part) for entry in entries for part in _all(entry, 4)))
        if number == _LOOP:
            return _loop(value)
    return _unknown()


def _loop(message: bytes) -> Loop:
    if any(True for _ in _all(message, 8)):
        _unknown()  # a macro with two variables
    return Loop(
        variable=_only(message, 1).decode(),
        range=_node(_only(message, 2)),
        result=_only(message, 3).decode(),
        begin=_node(_only(message, 4)),
        condition=_node(_only(message, 5)),
        step=_node(_only(message, 6)),
        end=_node(_only(message, 7)),
    )


def _only(message: bytes, number: int) -> bytes:
    return next(_all(message, number), b"")


def _all(message: bytes, number: int) -> Iterator[bytes]:
    for found, value in _fields(message):
        if found == number and isinstance(value, bytes):
            yield value


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Yield number and value of each field. Source: protobuf.dev, "Encoding"."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        length = {1: 8, 5: 4}.get(wire)
        if wire == 2:
            length, at = _varint(message, at)
        if length is None or at + length > len(message):
            _unknown()
        yield tag >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    return _unknown()


def _unknown() -> NoReturn:
    raise ValueError("the form of the compiled expression is not known")
