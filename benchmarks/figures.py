"""Figures: what was measured, and what is asked for."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result."""

    name: str
    measured: str
    asked: str
    met: bool


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value below which `percent` of the values are, by linear interpolation."""
    if len(values) == 1:
        return values[0]
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[int(percent) - 1]


def milliseconds(values: Sequence[float]) -> str:
    """Write seconds as `p50 / p95 / max ms`."""
    p50, p95 = percentile(values, 50), percentile(values, 95)
    return f"p50 {p50 * 1000:.0f}, p95 {p95 * 1000:.0f}, max {max(values) * 1000:.0f} ms of {len(values)}"
