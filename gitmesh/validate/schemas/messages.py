"""The errors of a JSON schema in the words of the person who wrote the YAML.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.spelling import closest
from gitmesh.validate.schemas.formats import shown_name
from gitmesh.validate.schemas.shape import Schema
from gitmesh.validate.shape import shown
from gitmesh.validate.subject import Path, Subject, dotted

_NAMES_SHOWN_MAX = 12
_UNKNOWN_SHOWN_MAX = 50
_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
_ORDER = ("object", "array", "string", "integer", "number", "boolean", "null")


class Errors:
    """Translates the errors of one object. `schema` is the JSON schema that made them."""

    def __init__(self, subject: Subject, body: Mapping[str, Any], schema: Schema) -> None:
        self._subject = subject
        self._body = body
        self._schema = schema

    def translate(self, error: Any) -> Iterator[Diagnostic]:
        """Yield what an error of the library means."""
        path = _path(self._body, error.instance_path)
        keyword = error.kind.name
        value = _at(self._body, path)
        around = _at(self._schema, tuple(error.schema_path)[:-1])
        node: Schema = around if isinstance(around, Mapping) else {}
        if keyword == "additionalProperties":
            yield from self._unknown(path, error.kind.value, node)
        elif keyword == "required":
            yield self._missing(path, str(error.kind.value), value)
        elif keyword == "type":
            yield self._wrong_type(path, node, value)
        elif keyword in ("enum", "const"):
            yield self._not_listed(path, node, value)
        elif keyword in ("oneOf", "anyOf", "not"):
            yield self._choice(path, keyword, node, value)
        else:
            yield self._finding("GM506", _bound(keyword, node, path, value), path)

    def _finding(self, code: str, message: str, path: Path, hint: str = "", key: bool = False) -> Diagnostic:
        return self._subject.finding(code, message, path, hint=hint, wants_key=key)

    def _unknown(self, path: Path, names: list[str], node: Schema) -> Iterator[Diagnostic]:
        known = [str(name) for name in node.get("properties", ())]
        for name in names[:_UNKNOWN_SHOWN_MAX]:
            place = dotted(path) or "the object"
            near = closest(name, known)
            listed = ", ".join(known[:_NAMES_SHOWN_MAX]) + (", ..." if len(known) > _NAMES_SHOWN_MAX else "")
            hint = f"did you mean {near}?" if near else f"known fields: {listed}" if known else ""
            yield self._finding("GM501", f"unknown field {name[:80]} in {place}", (*path, name), hint, True)

    def _missing(self, path: Path, name: str, value: Any) -> Diagnostic:
        place = dotted(path) or "the object"
        near = closest(name, [str(written) for written in value]) if isinstance(value, Mapping) else ""
        hint = f"did you mean {name} where {near} is written?" if near else ""
        return self._finding("GM503", f"{name} is missing in {place}", (*path, name), hint)

    def _wrong_type(self, path: Path, node: Schema, value: Any) -> Diagnostic:
        types = node.get("type", ())
        wanted = [types] if isinstance(types, str) else sorted(types, key=_ORDER.index)
        words = " or ".join(_TYPES[name] for name in wanted)
        message = f"{dotted(path)} must be {words}, found {shown(value)}"
        return self._finding("GM502", message, path, _type_hint(wanted, value))

    def _not_listed(self, path: Path, node: Schema, value: Any) -> Diagnostic:
        values = [_plain(option) for option in node.get("enum", ())]
        near = closest(value, values) if isinstance(value, str) else ""
        listed = ", ".join(values[:_NAMES_SHOWN_MAX]) + (", ..." if len(values) > _NAMES_SHOWN_MAX else "")
        hint = f"did you mean {near}? " if near else ""
        message = f"{shown(value)} is not a value of {dotted(path)}"
        return self._finding(
            "GM504", message, path, f"{hint}It is one of: {listed}" if near else f"one of: {listed}"
        )

    def _choice(self, path: Path, keyword: str, node: Schema, value: Any) -> Diagnostic:
        """Say which fields exclude each other, or which one is needed, if that is what it is about."""
        place = dotted(path) or "the object"
        names = _alternatives(node.get(keyword))
        given = [name for name in value if name in names] if isinstance(value, Mapping) else []
        if len(given) > 1:
            message = f"{' and '.join(given)} exclude each other in {place}"
            hint = f"set only one of {', '.join(names)}"
            return self._finding("GM505", message, (*path, given[-1]), hint, True)
        if names and not given:
            return self._finding("GM505", f"{place} needs one of {', '.join(names)}", path)
        return self._finding("GM505", f"{place} has none of the forms that the schema allows", path)


def _alternatives(options: Any) -> list[str]:
    """Return the fields between which a combination chooses: it names them in nothing but `required`."""
    names: list[str] = []
    for option in options if isinstance(options, list) else [options]:
        if not isinstance(option, Mapping):
            return []
        if set(option) == {"required"}:
            names += [str(name) for name in option["required"]]
        elif set(option) == {"anyOf"}:
            names += _alternatives(option["anyOf"])
        elif set(option) != {"not"}:
            return []
    return list(dict.fromkeys(names))


def _type_hint(wanted: list[str], value: Any) -> str:
    if "string" in wanted and isinstance(value, bool | int | float):
        return "quote it"
    if isinstance(value, str) and {"integer", "number", "boolean"} & set(wanted):
        is_number = value.strip().lstrip("-").isdecimal()
        return "remove the quotes" if is_number or value in ("true", "false") else ""
    return "begin each element with '- '" if "array" in wanted and isinstance(value, Mapping) else ""


def _bound(keyword: str, node: Schema, path: Path, value: Any) -> str:
    limit = node.get(keyword)
    place = dotted(path)
    match keyword:
        case "minimum" | "maximum":
            words = "at least" if keyword == "minimum" else "at most"
            return f"{place} must be {words} {limit}, found {shown(value)}"
        case "exclusiveMinimum" | "exclusiveMaximum":
            words = "more than" if keyword == "exclusiveMinimum" else "less than"
            return f"{place} must be {words} {limit}, found {shown(value)}"
        case "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties":
            unit = {"Length": "character", "Items": "element", "Properties": "field"}[keyword[3:]]
            words = "at least" if keyword.startswith("min") else "at most"
            found = len(value) if isinstance(value, str | list | dict) else 0
            return f"{place} must have {words} {limit} {unit}{'' if limit == 1 else 's'}, found {found}"
        case "pattern":
            return f"{place} must match {str(limit)[:200]}, found {shown(value)}"
        case "format":
            return f"{place} must be of the form {shown_name(str(limit))}, found {shown(value)}"
        case "multipleOf":
            return f"{place} must be a multiple of {limit}, found {shown(value)}"
    return f"{place} breaks {keyword} of the schema, found {shown(value)}"


def _plain(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) or '""'


def _path(body: Any, path: list[Any]) -> Path:
    """Return a path of the library with names as names: it takes a field that is called 80 for an index."""
    named: list[str | int] = []
    for part in path:
        part = str(part) if isinstance(body, Mapping) else part
        named.append(part)
        body = _at(body, (part,))
    return tuple(named)


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    """Return what stands at a path of the library, or None."""
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value
