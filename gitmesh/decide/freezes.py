"""Freezes: times in which nothing goes forward, with who said so and why.

Stage: decide (pure).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from gitmesh.model.freeze import Freeze
from gitmesh.model.resource import ResourceKey


def frozen_by(
    freezes: Collection[Freeze], key: ResourceKey, spec: Mapping[str, Any], at: datetime
) -> Freeze | None:
    """Return the freeze in force for an object at a moment; of several the one that ends last."""
    if not freezes:  # mostly there are none
        return None
    in_force = (f for f in freezes if f.start <= at < f.end and f.covers(key, spec))
    return max(in_force, key=lambda freeze: freeze.end, default=None)
