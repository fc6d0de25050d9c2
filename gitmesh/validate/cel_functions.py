"""The functions that Kubernetes adds to CEL.

Stage: validate (pure). A URL, an address, a network and a quantity are maps with one field whose name no
object has. Source: kubernetes.io, "Common Expression Language in Kubernetes", "Kubernetes CEL libraries".
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import re2

from gitmesh.validate.cel_addresses import ADDRESS_FUNCTIONS
from gitmesh.validate.cel_quantities import QUANTITY_FUNCTIONS
from gitmesh.validate.cel_signature import Signature
from gitmesh.validate.cel_urls import URL_FUNCTIONS

_PATTERN_CHARS_MAX = 1_024
_FOUND_MAX = 10_000


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    if len(pattern) > _PATTERN_CHARS_MAX:
        raise ValueError("the regular expression is too long")
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def _find(text: str, pattern: str) -> str:
    found = _compiled(pattern).search(text)
    return str(found[0]) if found else ""


def _find_all(text: str, pattern: str, most: int = -1) -> list[str]:
    limit = _FOUND_MAX if most < 0 else min(most, _FOUND_MAX)
    return [match[0] for match, _ in zip(_compiled(pattern).finditer(text), range(limit), strict=False)]


def _is_sorted(values: list[Any]) -> bool:
    return all(a <= b for a, b in pairwise(values))


def _sum(values: list[Any]) -> Any:
    total = sum(values[1:], start=values[0]) if values else 0
    if isinstance(total, int) and not -(1 << 63) <= total < 1 << 63:
        raise ValueError("integer overflow")
    return total


def _least(values: list[Any]) -> Any:
    return min(values)


def _greatest(values: list[Any]) -> Any:
    return max(values)


def _index_of(values: list[Any], value: Any) -> int:
    return next((i for i, v in enumerate(values) if _same(v, value)), -1)


def _last_index_of(values: list[Any], value: Any) -> int:
    return next((i for i in reversed(range(len(values))) if _same(values[i], value)), -1)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _contains(one: list[Any], other: list[Any]) -> bool:
    return all(any(_same(a, b) for a in one) for b in other)


def _equivalent(one: list[Any], other: list[Any]) -> bool:
    return _contains(one, other) and _contains(other, one)


def _intersects(one: list[Any], other: list[Any]) -> bool:
    return any(_same(a, b) for a in one for b in other)


FUNCTIONS = (
    Signature("find", "string", ("string", "string"), _find, member=True),
    Signature("findAll", "list", ("string", "string"), _find_all, member=True),
    Signature("findAll", "list", ("string", "string", "int"), _find_all, member=True),
    Signature("isSorted", "bool", ("list",), _is_sorted, member=True),
    Signature("sum", "dyn", ("list",), _sum, member=True),
    Signature("min", "dyn", ("list",), _least, member=True),
    Signature("max", "dyn", ("list",), _greatest, member=True),
    Signature("indexOf", "int", ("list", "dyn"), _index_of, member=True),
    Signature("lastIndexOf", "int", ("list", "dyn"), _last_index_of, member=True),
    Signature("sets.contains", "bool", ("list", "list"), _contains),
    Signature("sets.equivalent", "bool", ("list", "list"), _equivalent),
    Signature("sets.intersects", "bool", ("list", "list"), _intersects),
    *URL_FUNCTIONS,
    *ADDRESS_FUNCTIONS,
    *QUANTITY_FUNCTIONS,
)


def declared_functions(cel: Any) -> Any:
    """Return all functions in the form of the library, which is handed in as it is loaded late."""
    return cel.CelExtension("kubernetes", list(_declarations(cel)))


def _declarations(cel: Any) -> Iterator[Any]:
    types = {name: getattr(cel.Type, name.upper()) for name in ("bool", "int", "double", "string", "dyn")}
    types["list"] = cel.Type.List(cel.Type.DYN)
    overloads: dict[str, list[Any]] = {}
    for signature in FUNCTIONS:
        found = overloads.setdefault(signature.name, [])
        found.append(
            cel.Overload(
                signature.identity,
                types[signature.result],
                [types[name] for name in signature.parameters],
                signature.member,
                signature.implementation,
            )
        )
    for name, declared in overloads.items():
        yield cel.FunctionDecl(name, declared)
