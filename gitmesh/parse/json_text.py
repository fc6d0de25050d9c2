"""JSON text to plain values.

Stage: parse (pure). A file may hold several JSON values one after the other, as kubectl allows.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

from gitmesh.model.config import ParseLimits
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.resource import Location
from gitmesh.parse import codes
from gitmesh.parse.lines import LineIndex
from gitmesh.parse.scalars import as_json_number
from gitmesh.parse.yaml_text import Document, read_yaml

_SPACE = " \t\r\n"
_DIGITS_MAX = 400  # of a number that is read digit by digit: that costs more than they are many


def read_json(
    file: str, text: str, limits: ParseLimits
) -> tuple[tuple[Document, ...], tuple[Diagnostic, ...]]:
    """Return the values up to the first place that cannot be read, and all findings."""
    documents: list[Document] = []
    repeated: list[str] = []
    decoder = _decoder(repeated)
    lines = LineIndex(text)
    at = _skip_space(text, 0)
    try:
        while at < len(text):
            if len(documents) >= limits.documents_max:
                return tuple(documents), (
                    _limit(file, lines, at, f"more than {limits.documents_max} values"),
                )
            value, end = decoder.raw_decode(text, at)
            _check_characters(text[at:end], value)
            if _deeper_than(value, limits.nesting_max):
                message = f"nested deeper than {limits.nesting_max} levels"
                return tuple(documents), (_limit(file, lines, at, message),)
            place = _place(file, lines, at)
            documents.append(Document(value, len(documents), place.line, place.column))
            at = _skip_space(text, end)
    except json.JSONDecodeError as error:
        message = f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        return tuple(documents), (codes.SYNTAX.finding(message, _place(file, lines, error.pos)),)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        return tuple(documents), (codes.NO_JSON_VALUE.finding(reason, _place(file, lines, at)),)
    return tuple(documents), _duplicates(file, text, limits, repeated)


def _decoder(repeated: list[str]) -> json.JSONDecoder:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(found)
        if len(result) < len(found):
            counted = Counter(name for name, _ in found)
            repeated.extend(name for name, count in counted.items() if count > 1)
        return result

    return json.JSONDecoder(
        object_pairs_hook=pairs,
        parse_int=_number,
        parse_float=_number,
        parse_constant=_no_constant,
    )


def _number(digits: str) -> int | float:
    is_whole = len(digits) <= _DIGITS_MAX and digits.removeprefix("-").isdigit()
    number = as_json_number(int(digits) if is_whole else float(digits))
    if math.isinf(number):
        raise ValueError(f"{digits[:20]}{'...' if len(digits) > 20 else ''} is too large for a number")
    return number


def _check_characters(text: str, value: Any) -> None:
    """Raise ValueError for halves of characters, which JSON can write and no UTF-8 has."""
    if "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"\\u{ord(error.object[error.start]):04x} is half of a character") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _duplicates(file: str, text: str, limits: ParseLimits, repeated: list[str]) -> tuple[Diagnostic, ...]:
    """Name the places of repeated fields. JSON is YAML once its tabs are spaces, so the YAML reader can."""
    if not repeated:
        return ()
    _, found = read_yaml(file, text.replace("\t", " "), limits)
    duplicates = tuple(f for f in found if f.code == codes.DUPLICATE_FIELD.name)
    message = f"a field is there twice: {', '.join(sorted(repeated)[:5])}"
    return duplicates or (codes.DUPLICATE_FIELD.finding(message, Location(file)),)


def _deeper_than(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            child
            for part in layer
            if isinstance(part, dict | list)
            for child in (part.values() if isinstance(part, dict) else part)
        ]
        if not layer:
            return False
    return True


def _limit(file: str, lines: LineIndex, at: int, message: str) -> Diagnostic:
    return codes.LIMIT.finding(message, _place(file, lines, at), hint="split the file")


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _place(file: str, lines: LineIndex, at: int) -> Location:
    return Location(file, *lines.place(at))
