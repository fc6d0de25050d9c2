"""The rules of a structural schema on one value: types, bounds, alternatives, uniqueness.

Stage: none (pure). Source: kubernetes/kube-openapi, pkg/validation/validate and errors/schema.go;
kubernetes/apimachinery, pkg/util/validation/field;
kubernetes/apiextensions-apiserver, pkg/apiserver/schema/listtype.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from gitmesh.playground.apiserver.objects.equality import same
from gitmesh.playground.apiserver.objects.structure import (
    INT_OR_STRING,
    Path,
    Schema,
    embedded,
    field_schema,
    item_schema,
    list_keys,
    list_type,
    path_text,
)

_BOUNDS = frozenset({"minimum", "maximum", "multipleOf", "format"})
_INTEGER_BOUNDS = {"int32": 2**31, "int64": 2**63}
_ALTERNATIVES = frozenset({"allOf", "anyOf", "oneOf", "not"})
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


class Finding(NamedTuple):
    """What is wrong at a path; `reason` is the machine-readable cause of the API."""

    path: Path
    detail: str
    reason: str = "FieldValueInvalid"


def validate(value: Any, schema: Schema, path: Path = ()) -> Iterator[Finding]:
    """Yield every violation, the outer ones first."""
    schema = embedded(schema)
    if value is None and (schema.get("nullable") or not _types(schema)):
        return
    wrong = _wrong_type(value, schema)
    if wrong:
        detail = f'{_name(path)} must be of type {wrong}: "{_type_of(value)}"'
        yield Finding(path, f'Invalid value: "{_type_of(value)}": {detail}', "FieldValueTypeInvalid")
        return
    yield from _enum(value, schema, path)
    if isinstance(value, str):
        yield from _string(value, schema, path)
    elif isinstance(value, dict):
        yield from _object(value, schema, path)
    elif isinstance(value, list):
        yield from _list(value, schema, path)
    elif not isinstance(value, bool) and value is not None:
        yield from _number(value, schema, path)
    yield from _alternatives(value, schema, path)


def _types(schema: Schema) -> tuple[str, ...]:
    if schema.get(INT_OR_STRING):
        return ("integer", "string")
    return (str(schema["type"]),) if schema.get("type") else ()


def _type_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
        case dict():
            return "object"
        case _:
            return "array"


def _wrong_type(value: Any, schema: Schema) -> str:
    """Return the types that were wanted, or nothing when the value has one of them."""
    types, own = _types(schema), _type_of(value)
    if not types or own in types or (own == "integer" and "number" in types):
        return ""
    return ",".join(types)


def _name(path: Path) -> str:
    return f"{path_text(path)} in body".strip()


def _shown(value: Any) -> str:
    """Write a value as an error shows it: text in quotes, the rest as JSON."""
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _invalid(path: Path, value: Any, detail: str) -> Finding:
    return Finding(path, f"Invalid value: {_shown(value)}: {detail}")


def _enum(value: Any, schema: Schema, path: Path) -> Iterator[Finding]:
    allowed = schema.get("enum")
    if allowed is not None and not any(same(value, option) for option in allowed):
        options = ", ".join(_shown(str(o) if isinstance(o, str) else json.dumps(o)) for o in allowed)
        detail = f"Unsupported value: {_shown(value)}: supported values: {options}"
        yield Finding(path, detail, "FieldValueNotSupported")


def _string(value: str, schema: Schema, path: Path) -> Iterator[Finding]:
    longest, shortest, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if longest is not None and len(value) > longest:
        unit = "byte" if longest == 1 else "bytes"
        yield Finding(path, f"Too long: may not be more than {longest} {unit}", "FieldValueTooLong")
    if shortest is not None and len(value) < shortest:
        yield _invalid(path, value, f"{_name(path)} should be at least {shortest} chars long")
    if pattern is not None and not _pattern_matches(pattern, value):
        yield _invalid(path, value, f"{_name(path)} should match '{pattern}'")
    if schema.get("format") == "date-time" and not _DATE_TIME.fullmatch(value):
        yield _invalid(path, value, f"{_name(path)} must be of type date-time: {_shown(value)}")


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Compile a pattern of RE2. One that only RE2 knows is not enforced."""
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _pattern_matches(pattern: str, value: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.search(value) is not None


def _number(value: int | float, schema: Schema, path: Path) -> Iterator[Finding]:
    if _BOUNDS.isdisjoint(schema):
        return
    name, low, high = _name(path), schema.get("minimum"), schema.get("maximum")
    if low is not None:
        if schema.get("exclusiveMinimum") and value <= low:
            yield _invalid(path, value, f"{name} should be greater than {_shown(low)}")
        elif value < low:
            yield _invalid(path, value, f"{name} should be greater than or equal to {_shown(low)}")
    if high is not None:
        if schema.get("exclusiveMaximum") and value >= high:
            yield _invalid(path, value, f"{name} should be less than {_shown(high)}")
        elif value > high:
            yield _invalid(path, value, f"{name} should be less than or equal to {_shown(high)}")
    factor = schema.get("multipleOf")
    if factor and value % factor:
        yield _invalid(path, value, f"{name} should be a multiple of {_shown(factor)}")
    bound = _INTEGER_BOUNDS.get(schema.get("format", ""))
    if bound and not -bound <= value < bound:
        yield _invalid(path, value, f"{name} must be of type {schema['format']}: {_shown(value)}")


def _object(value: dict[str, Any], schema: Schema, path: Path) -> Iterator[Finding]:
    for key in schema.get("required") or ():
        if key not in value:
            yield Finding((*path, key), "Required value", "FieldValueRequired")
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if most is not None and len(value) > most:
        yield _too_many(path, len(value), most)
    if least is not None and len(value) < least:
        yield _invalid(path, len(value), f"{_name(path)} should have at least {least} properties")
    for key, child in value.items():
        known = field_schema(schema, key)
        if known:
            yield from validate(child, known, (*path, key))


def _too_many(path: Path, count: int, most: int) -> Finding:
    unit = "item" if most == 1 else "items"
    return Finding(path, f"Too many: {count}: must have at most {most} {unit}", "FieldValueTooMany")


def _list(value: list[Any], schema: Schema, path: Path) -> Iterator[Finding]:
    most, least = schema.get("maxItems"), schema.get("minItems")
    if most is not None and len(value) > most:
        yield _too_many(path, len(value), most)
    if least is not None and len(value) < least:
        yield _invalid(path, len(value), f"{_name(path)} should have at least {least} items")
    if schema.get("uniqueItems") and any(_repeated(value)):
        yield _invalid(path, value, f"{_name(path)} shouldn't contain duplicates")
    if list_type(schema) == "set":
        yield from _duplicates(value, path)
    elif list_type(schema) == "map":
        yield from _duplicate_keys(value, list_keys(schema), path)
    inner = item_schema(schema)
    for index, item in enumerate(value):
        yield from validate(item, inner, (*path, index))


def _repeated(values: list[Any]) -> Iterator[bool]:
    """Say of each value whether it is the first repetition of one before it."""
    counts: dict[str, int] = {}
    for value in values:
        text = json.dumps(value, sort_keys=True)
        counts[text] = counts.get(text, 0) + 1
        yield counts[text] == 2


def _duplicates(values: list[Any], path: Path) -> Iterator[Finding]:
    for index, repeated in enumerate(_repeated(values)):
        if repeated:
            detail = f"Duplicate value: {_shown(values[index])}"
            yield Finding((*path, index), detail, "FieldValueDuplicate")


def _duplicate_keys(values: list[Any], keys: tuple[str, ...], path: Path) -> Iterator[Finding]:
    if all(isinstance(value, dict) for value in values):
        yield from _duplicates([{k: v[k] for k in keys if k in v} for v in values], path)


def _alternatives(value: Any, schema: Schema, path: Path) -> Iterator[Finding]:
    if _ALTERNATIVES.isdisjoint(schema):
        return
    where = f'"{path_text(path)}"'
    for option in schema.get("allOf") or ():
        yield from validate(value, option, path)
    for word, wanted in (("anyOf", "at least one schema"), ("oneOf", "one and only one schema")):
        options = schema.get(word)
        # The alternatives of an int-or-string only repeat its types.
        if not options or (word == "anyOf" and schema.get(INT_OR_STRING)):
            continue
        failures = [list(validate(value, option, path)) for option in options]
        valid = sum(not failure for failure in failures)
        if valid == 0:
            found = ". Found none valid" if word == "oneOf" else ""
            yield _invalid(path, "", f"{where} must validate {wanted} ({word}){found}")
            yield from min(failures, key=len)
        elif valid > 1 and word == "oneOf":
            found = f"Found {valid} valid alternatives"
            yield _invalid(path, "", f"{where} must validate {wanted} ({word}). {found}")
    if "not" in schema and not any(True for _ in validate(value, schema["not"], path)):
        yield _invalid(path, "", f"{where} must not validate the schema (not)")
