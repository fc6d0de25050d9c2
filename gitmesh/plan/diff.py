"""The fields in which two objects differ.

Stage: plan (pure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from gitmesh.model.plan import ABSENT, FieldChange

Path = tuple[str | int, ...]


def diff(old: Any, new: Any) -> tuple[FieldChange, ...]:
    """Return each field that differs, deepest first named, in the order of the new value."""
    return tuple(_walk((), old, new))


def format_path(path: Path) -> str:
    """Write a path for people: `spec.http[0].route[1].weight`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("-", "").replace("_", "").isalnum():
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def _walk(path: Path, old: Any, new: Any) -> Iterator[FieldChange]:
    if old is new:
        return
    if isinstance(old, (dict, Mapping)) and isinstance(new, (dict, Mapping)):
        for name in [*new, *(name for name in old if name not in new)]:
            yield from _walk((*path, name), old.get(name, ABSENT), new.get(name, ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        for index, (before, after) in enumerate(zip_longest(old, new, fillvalue=ABSENT)):
            yield from _walk((*path, index), before, after)
    elif not _equal(old, new):
        yield FieldChange(path, old, new)


def _equal(old: Any, new: Any) -> bool:
    """Compare scalars as JSON does: true is not 1, but 1.0 is 1."""
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)
