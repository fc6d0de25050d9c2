"""Reading answers in JSON that may hold anything.

Stage: observe (pure).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

from gitmesh.observe.errors import MetricsError


def mapping(where: str, status: int, body: bytes) -> Mapping[str, Any]:
    """Return a JSON object with status 200. Raises MetricsError; what a server says of an error is told."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if status != 200:
        errors = answer.get("errors") or answer.get("error") if isinstance(answer, Mapping) else ""
        told = f": {str(errors)[:300]}" if errors else ""
        raise MetricsError(f"{where}: HTTP {status}{told}", retryable=status >= 500 or status == 429)
    if not isinstance(answer, Mapping):
        raise MetricsError(f"{where}: the answer is no JSON object; is this the address of its API?")
    return answer


def number(where: str, value: object, what: str) -> float:
    """Return a finite number. Raises MetricsError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise MetricsError(f"{where}: {what} is no number: {str(value)[:60]!r}")
    return float(value)
