"""When two JSON values are the same value.

Stage: none (pure).
"""

from __future__ import annotations

from typing import Any


def same(left: Any, right: Any) -> bool:
    """Compare as JSON does: `true` is not `1` (Python says it is), and `1` is `1.0`."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(v, right[k]) for k, v in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)
