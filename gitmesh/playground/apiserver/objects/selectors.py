"""Label and field selectors: text in, a predicate over an object out.

Stage: none (pure). Source: kubernetes.io, Labels and Selectors; Field Selectors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from gitmesh.playground.apiserver.objects.errors import SelectorError

__all__ = ["Predicate", "SelectorError", "parse_field_selector", "parse_label_selector"]

Predicate: TypeAlias = Callable[[Mapping[str, Any]], bool]
_Test: TypeAlias = Callable[[Mapping[str, Any]], bool]

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DOMAIN = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_KEY = re.compile(rf"(?:{_DOMAIN}/)?{_NAME}")
_VALUE = re.compile(rf"(?:{_NAME})?")
_SET = re.compile(r"(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)")
_COMPARE = re.compile(r"(?P<key>[^\s=!<>]+)\s*(?P<op>==|=|!=|<|>)\s*(?P<value>[^\s=!<>]*)")
_INTEGER = re.compile(r"-?[0-9]+")


def parse_label_selector(text: str) -> Predicate:
    """Read `a=b, c!=d, e in (f,g), h notin (i), j, !k, l>1, m<2`; all must hold. Raises SelectorError."""
    tests = [_requirement(part.strip()) for part in _split_outside_brackets(text)] if text.strip() else []

    def matches(body: Mapping[str, Any]) -> bool:
        labels = _mapping(_mapping(body.get("metadata")).get("labels"))
        return all(test(labels) for test in tests)

    return matches


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _split_outside_brackets(text: str) -> list[str]:
    parts, depth = [""], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _requirement(text: str) -> _Test:
    if match := _SET.fullmatch(text):
        return _in(text, _key(match["key"], text), match["op"], match["values"])
    if match := _COMPARE.fullmatch(text):
        return _compare(text, _key(match["key"], text), match["op"], match["value"])
    if text.startswith("!"):
        absent = _key(text[1:].strip(), text)
        return lambda labels: absent not in labels
    key = _key(text, text)
    return lambda labels: key in labels


def _key(key: str, text: str) -> str:
    if not _KEY.fullmatch(key):
        raise SelectorError(f"unable to parse requirement: {text!r}: {key!r} is not a label key")
    return key


def _label_value(value: str, text: str) -> str:
    if not _VALUE.fullmatch(value):
        raise SelectorError(f"unable to parse requirement: {text!r}: {value!r} is not a label value")
    return value


def _in(text: str, key: str, op: str, values: str) -> _Test:
    if not values.strip():
        raise SelectorError(f"unable to parse requirement: {text!r}: `{op}` needs at least one value")
    wanted = {_label_value(value.strip(), text) for value in values.split(",")}
    if op == "in":
        return lambda labels: key in labels and labels[key] in wanted
    return lambda labels: key not in labels or labels[key] not in wanted


def _compare(text: str, key: str, op: str, value: str) -> _Test:
    _label_value(value, text)
    if op in ("=", "=="):
        return lambda labels: key in labels and labels[key] == value
    if op == "!=":
        return lambda labels: key not in labels or labels[key] != value
    if not _INTEGER.fullmatch(value):
        raise SelectorError(f"unable to parse requirement: {text!r}: `{op}` compares with a whole number")
    bound = int(value)

    def beyond(labels: Mapping[str, Any]) -> bool:
        own = str(labels.get(key, ""))
        return bool(_INTEGER.fullmatch(own)) and (int(own) > bound if op == ">" else int(own) < bound)

    return beyond


def parse_field_selector(text: str) -> Predicate:
    r"""Read `metadata.name=x,status.phase!=y`; a field that is absent is empty. Raises SelectorError.

    A comma, an equals sign or a backslash in a value is written with a backslash before it.
    """
    tests = [_field_test(term) for term in re.findall(r"(?:\\.|[^,\\])+|\\", text)]
    return lambda body: all(test(body) for test in tests)


def _field_test(term: str) -> _Test:
    match = re.fullmatch(r"\s*([A-Za-z0-9_./-]+)\s*(==|=|!=)((?:\\[\\,=]|[^\\=])*)", term)
    if not match:
        raise SelectorError(
            f"invalid selector: {term!r}; can't understand it, write for example metadata.name=x"
        )
    path, op, raw = match.groups()
    wanted = re.sub(r"\\(.)", r"\1", raw)
    if op == "!=":
        return lambda body: _field(body, path) != wanted
    return lambda body: _field(body, path) == wanted


def _field(body: Mapping[str, Any], path: str) -> str:
    value: Any = body
    for key in path.split("."):
        value = _mapping(value).get(key)
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
