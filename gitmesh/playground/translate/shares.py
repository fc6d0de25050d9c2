"""Shares of requests, as Envoy counts them.

Stage: playground translation (pure). Source: istio/istio, translatePercentToFractionalPercent.
"""

from __future__ import annotations

from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.naming import Envoy


def fraction(percentage: Field) -> Envoy:
    """Return a `percentage` with its `value`, to a millionth and cut off as in pilot; no value is zero."""
    return {"numerator": int(_percent(percentage["value"]) * 10_000), "denominator": "MILLION"}


def whole_percent(percent: Field) -> Envoy:
    """Return one of the older whole percents; absent is zero."""
    return {"numerator": int(_percent(percent)), "denominator": "HUNDRED"}


def everything() -> Envoy:
    """Return the share that is all requests."""
    return {"numerator": 100, "denominator": "HUNDRED"}


def _percent(field: Field) -> float:
    value = field.number() or 0.0
    if 0 <= value <= 100:
        return value
    field.report("is not between 0 and 100")
    return 0.0
