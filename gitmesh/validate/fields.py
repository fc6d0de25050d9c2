"""Which fields a model has at a path, by the names that people write.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel


def fields_at(model: type[BaseModel], path: tuple[str | int, ...]) -> tuple[str, ...]:
    """Return the names of the fields below `path`; empty where there is no model."""
    current: type[BaseModel] | None = model
    inside: Any = None  # the annotation of a list or map that was entered
    for part in path:
        if current is not None:
            inside = _annotation(current, str(part))
        models = list(_models(inside))
        # A list or map of models is entered by its index or key, which the next part is.
        current = models[0] if models and (current is None or not _is_collection(inside)) else None
        if inside is None:
            return ()
    return _names(current) if current else ()


@lru_cache(maxsize=256)
def _names(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _annotation(model: type[BaseModel], alias: str) -> Any:
    for name, field in model.model_fields.items():
        if (field.alias or name) == alias:
            return field.annotation
    return None


def _is_collection(annotation: Any) -> bool:
    origin = getattr(annotation, "__origin__", None)
    if origin in (tuple, list, dict):
        return True
    return any(_is_collection(part) for part in get_args(annotation))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
