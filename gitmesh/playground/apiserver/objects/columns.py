"""The cells of `kubectl get`: a printer column of a CRD evaluated on an object, and ages.

Stage: none (pure). Source: kubernetes/apiextensions-apiserver, pkg/registry/customresource/tableconvertor;
kubernetes/apimachinery, pkg/util/duration.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias

from gitmesh.playground.apiserver.objects.equality import same

Cell: TypeAlias = str | int | float | bool | None
_Step: TypeAlias = Callable[[Any], list[Any]]

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86_400, 365 * 86_400
_STEP = re.compile(
    r"""\.?\[\?\(\s*@(?P<inner>[^=!<>]*?)\s*(?:(?P<op>==|!=)\s*(?P<value>"[^"]*"|'[^']*'|[^\s"']+?)\s*)?\)\]
      | \.?\[(?P<index>-?\d+)\]
      | \.?\[(?P<star>\*)\] | \.(?P<dotstar>\*)
      | \.?\[(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\]
      | \.(?P<field>(?:\\.|[^.\[\]\\*])+)""",
    re.VERBOSE,
)


def cell(body: Any, jsonpath: str, type: str, now: datetime) -> Cell:
    """Return the printable value; None when the path finds nothing or the value does not fit the type.

    `type` is the column's: string, integer, number, boolean or date. Of several values the first is shown.
    """
    found = find(body, jsonpath)
    if not found or found[0] is None:
        return None
    value = found[0]
    match type:
        case "string":
            return _text(value)
        case "integer":
            return int(value) if _is_number(value) else None
        case "number":
            return float(value) if _is_number(value) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return age(value, now) if isinstance(value, str) else None
        case _:
            return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def find(body: Any, jsonpath: str) -> list[Any]:
    """Return every value at a JSONPath such as `.status.conditions[?(@.type=="Ready")].status`.

    Fields, indices, `[*]` and equality filters; a path of any other form finds nothing.
    """
    values = [body]
    for step in _steps(jsonpath):
        values = [result for value in values for result in step(value)]
    return values


@lru_cache(maxsize=512)
def _steps(jsonpath: str) -> tuple[_Step, ...]:
    text = jsonpath.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    if not text.startswith((".", "[")):
        text = "." + text
    steps: list[_Step] = []
    position = 0
    while position < len(text) and text[position:] != ".":
        match = _STEP.match(text, position)
        if match is None:
            return (lambda _: [],)
        steps.append(_step(match))
        position = match.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> _Step:
    if match["field"] is not None:
        field = re.sub(r"\\(.)", r"\1", match["field"])
        return lambda value: [value[field]] if isinstance(value, dict) and field in value else []
    if match["quoted"] is not None:
        key = match["quoted"]
        return lambda value: [value[key]] if isinstance(value, dict) and key in value else []
    if match["index"] is not None:
        index = int(match["index"])
        return lambda value: (
            [value[index]] if isinstance(value, list) and -len(value) <= index < len(value) else []
        )
    if match["star"] or match["dotstar"]:
        return _children
    return _filter(match["inner"], match["op"], match["value"])


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _filter(inner: str, op: str | None, literal: str | None) -> _Step:
    wanted = _literal(literal) if literal is not None else None

    def holds(item: Any) -> bool:
        found = find(item, inner) if inner else [item]
        if op is None:
            return bool(found)
        return bool(found) and same(found[0], wanted) == (op == "==")

    return lambda value: [item for item in _children(value) if holds(item)]


def _literal(text: str) -> Any:
    if text[0] in "\"'":
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        return text


def age(timestamp: str, now: datetime) -> str:
    """Return the time since an RFC 3339 timestamp as kubectl prints it: `5m`, `2d3h`; or `<invalid>`."""
    try:
        since = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError:
        return "<invalid>"
    if since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    return human_duration((now - since).total_seconds())


def human_duration(seconds: float) -> str:
    """Write a span in the one or two units that matter at its length."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    for limit, unit, letter, smaller, small_letter in (
        (2 * _MINUTE, 1, "s", 0, ""),
        (10 * _MINUTE, _MINUTE, "m", 1, "s"),
        (3 * _HOUR, _MINUTE, "m", 0, ""),
        (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
        (2 * _DAY, _HOUR, "h", 0, ""),
        (8 * _DAY, _DAY, "d", _HOUR, "h"),
        (2 * _YEAR, _DAY, "d", 0, ""),
        (8 * _YEAR, _YEAR, "y", _DAY, "d"),
    ):
        if whole < limit:
            count, rest = divmod(max(whole, 0), unit)
            small = rest // smaller if smaller else 0
            return f"{count}{letter}" + (f"{small}{small_letter}" if small else "")
    return f"{whole // _YEAR}y"
