"""The names of all settings: as a file writes them, and as environment variables.

Stage: parse (pure). Both are read off the models, so that a new setting has its names at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gitmesh.model.config import NEEDS_RESTART, Config

PREFIX = "GITMESH_"
NESTED = "__"  # between a group and its setting, in the name of a variable


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `path`: names as a file nests them; `fields`: the same as the models call them."""

    path: tuple[str, ...]
    fields: tuple[str, ...]
    field: FieldInfo

    @property
    def name(self) -> str:
        """The name as people say it, for example `git.filesMax`."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable, for example `GITMESH_GIT__FILES_MAX`."""
        return PREFIX + NESTED.join(self.fields).upper()

    @property
    def needs_restart(self) -> bool:
        """True when it is decided once, at the start."""
        return any(self.fields[: len(fixed)] == fixed for fixed in NEEDS_RESTART)


@cache
def all_settings() -> tuple[Setting, ...]:
    """Return every setting, group by group."""
    return tuple(_settings(Config, (), ()))


def _settings(model: type[BaseModel], path: tuple[str, ...], fields: tuple[str, ...]) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        here, inside = (*path, field.alias or name), (*fields, name)
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            yield from _settings(group, here, inside)
        else:
            yield Setting(here, inside, field)


def names_at(path: tuple[str | int, ...]) -> tuple[str, ...]:
    """Return the names that a file may write at a place; nothing where no group of settings is."""
    models: list[type[BaseModel]] = [Config]
    for part in path:
        if isinstance(part, int):
            continue
        fields = [f for model in models for n, f in model.model_fields.items() if part in (n, f.alias)]
        models = [found for field in fields for found in _models(field.annotation)]
    return tuple(f.alias or n for model in models for n, f in model.model_fields.items())


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
