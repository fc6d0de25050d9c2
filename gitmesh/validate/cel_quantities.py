"""Quantities such as 500m and 2Gi in expressions.

Stage: validate (pure). Source: kubernetes.io, API reference, Quantity.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from gitmesh.validate.cel_signature import Signature

_MARK = "@quantity"
_FORM = re.compile(
    r"([+-]?)(\d{1,60}(?:\.\d{0,60})?|\.\d{1,60})(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d{1,3})?",
    re.ASCII,
)
_BINARY = {unit: Fraction(1024**power) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_DECIMAL = {unit: Fraction(1000**power) for power, unit in enumerate(("k", "M", "G", "T", "P", "E"), 1)}
_SMALL = {"m": Fraction(1, 10**3), "u": Fraction(1, 10**6), "n": Fraction(1, 10**9)}
_UNITS = {"": Fraction(1), **_BINARY, **_DECIMAL, **_SMALL}


def read_quantity(text: str) -> Fraction | None:
    """Return the exact number, or None when the text is no quantity."""
    found = _FORM.fullmatch(text)
    if not found:
        return None
    unit = found[3] or ""
    factor = _UNITS[unit] if unit in _UNITS else Fraction(10) ** int(unit[1:])
    number = Fraction(found[2].rstrip(".")) * factor
    return -number if found[1] == "-" else number


def _quantity(text: str) -> dict[str, str]:
    found = read_quantity(text)
    if found is None:
        raise ValueError(f"{text[:80]!r} is no quantity")
    return _made(found)


def _made(number: Fraction) -> dict[str, str]:
    return {_MARK: f"{number.numerator}/{number.denominator}"}


def _number(value: Any) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, dict | int):
        raise ValueError("the value is no quantity")
    return Fraction(value if isinstance(value, int) else value[_MARK])


def _as_integer(value: Any) -> int:
    number = _number(value)
    if number.denominator != 1 or not -(1 << 63) <= number < 1 << 63:
        raise ValueError("the quantity is no whole number of 64 bits")
    return int(number)


def _is_integer(value: Any) -> bool:
    number = _number(value)
    return number.denominator == 1 and -(1 << 63) <= number < 1 << 63


def _compare(one: Any, other: Any) -> int:
    a, b = _number(one), _number(other)
    return (a > b) - (a < b)


QUANTITY_FUNCTIONS = (
    Signature("quantity", "dyn", ("string",), _quantity),
    Signature("isQuantity", "bool", ("string",), lambda text: read_quantity(text) is not None),
    Signature("asInteger", "int", ("dyn",), _as_integer, member=True),
    Signature("isInteger", "bool", ("dyn",), _is_integer, member=True),
    Signature("asApproximateFloat", "double", ("dyn",), lambda value: float(_number(value)), member=True),
    Signature("sign", "int", ("dyn",), lambda value: _compare(value, 0), member=True),
    Signature("compareTo", "int", ("dyn", "dyn"), _compare, member=True),
    Signature("isLessThan", "bool", ("dyn", "dyn"), lambda a, b: _compare(a, b) < 0, member=True),
    Signature("isGreaterThan", "bool", ("dyn", "dyn"), lambda a, b: _compare(a, b) > 0, member=True),
    Signature("add", "dyn", ("dyn", "dyn"), lambda a, b: _made(_number(a) + _number(b)), member=True),
    Signature("sub", "dyn", ("dyn", "dyn"), lambda a, b: _made(_number(a) - _number(b)), member=True),
)
