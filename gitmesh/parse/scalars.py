"""What a scalar of a YAML file means to kubectl, which is neither YAML 1.1 nor YAML 1.2.

Stage: parse (pure). Source: sigs.k8s.io/yaml (goyaml.v2, resolve.go, and the conversion to JSON after it);
each rule was compared with `kubectl annotate --local -o json`.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from dataclasses import dataclass
from typing import Any

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_EXPECTED_WORDS = frozenset(("", "~", "null", "true", "false", "True", "False", "Null"))
_FIRST_OF_NUMBER = frozenset("0123456789+-.")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))", re.ASCII)
_BASES = (16, 2, 8, 10)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_INT64 = range(-(2**63), 2**63)
_UINT64_MAX = 2**64 - 1
_DIGITS_MAX = 400
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+", re.ASCII)
_TAG_PREFIX = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class NoJsonValueError(Exception):
    """The scalar has no JSON form, so no object can hold it."""

    reason: str


def plain_value(text: str) -> Scalar:
    """Return the value of a scalar without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _FIRST_OF_NUMBER:
        return text
    number = _number(text)
    return text if number is None else number


def _number(text: str) -> int | float | None:
    if len(text) > _DIGITS_MAX:
        return None
    # A leading dot is read as a float with its underscores, which no float has.
    plain = text if text[0] == "." else text.replace("_", "")
    if found := _INTEGER.fullmatch(plain):
        sign, *digits = found.groups()
        whole = next(int(d, base) for d, base in zip(digits, _BASES, strict=True) if d is not None)
        whole = -whole if sign == "-" else whole
        if whole in _INT64 or 0 <= whole <= _UINT64_MAX:
            return as_json_number(whole)
    # What is no whole number of 64 bits may be a float, and its digits are decimal then.
    if not _FLOAT.fullmatch(plain):
        return None
    number = float(plain)
    return as_json_number(number) if math.isfinite(number) else None


def as_json_number(value: int | float) -> int | float:
    """Return the number as an API server reads it: whole numbers are int64, all others float64.

    What no float64 can hold is infinite; no JSON has that.
    """
    whole = int(value) if isinstance(value, int) or value.is_integer() else None
    if whole is not None and whole in _INT64:
        return whole
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def surprise(text: str, value: Scalar) -> str:
    """Say what is surprising about a scalar without quotes; empty when nothing is."""
    if isinstance(value, str) or text in _EXPECTED_WORDS:
        return ""
    if isinstance(value, bool):
        return (
            "" if text.lower() in ("true", "false") else f"{text} is read as the boolean {str(value).lower()}"
        )
    if value is not None and (_LEADING_ZERO.fullmatch(text) or "_" in text):
        return f"{text} is read as the number {value}"
    return ""


def tagged_value(tag: str, text: str) -> Scalar:
    """Return the value of a scalar with an explicit tag. Raises NoJsonValueError."""
    name = tag.removeprefix(_TAG_PREFIX) if tag.startswith(_TAG_PREFIX) else ""
    if name == "null":
        return None
    if name == "binary":
        return _decoded(text)
    if name not in ("int", "float", "bool"):
        return text
    value = plain_value(text)
    fits = isinstance(value, bool) if name == "bool" else _is_number(value, whole=name == "int")
    if not fits:
        raise NoJsonValueError(f"{text[:40]!r} is not a value of type !!{name}")
    return value


def _is_number(value: Scalar, *, whole: bool) -> bool:
    return isinstance(value, int if whole else int | float) and not isinstance(value, bool)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        raise NoJsonValueError("a !!binary value must be base64 of UTF-8 text") from None


def key_text(value: Any) -> str:
    """Return the field name that a scalar key becomes in JSON. Raises NoJsonValueError."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.8g}"
    raise NoJsonValueError("the name of a field must be text")


def check_finite(value: Scalar) -> None:
    """Raise NoJsonValueError for the floats that JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        raise NoJsonValueError("infinity and not-a-number have no JSON form")
