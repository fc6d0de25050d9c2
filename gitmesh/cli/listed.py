"""Files that list parts of the configuration: metrics providers, webhook receivers.

Stage: none (face).
"""

from __future__ import annotations

from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from gitmesh.model.providers import Provider
from gitmesh.model.receivers import Receiver
from gitmesh.model.values import ApiModel

_T = TypeVar("_T", bound=ApiModel)


def read_providers(text: str) -> tuple[Provider, ...]:
    """Return the providers of a file: a list below `providers`. Raises ValueError, which says where."""
    found = _read_list(text, "providers", Provider)
    _distinct([provider.name for provider in found], "providers")
    return found


def read_receivers(text: str) -> tuple[Receiver, ...]:
    """Return the receivers of a file: a list below `receivers`. Raises ValueError, which says where."""
    found = _read_list(text, "receivers", Receiver)
    _distinct([receiver.name for receiver in found], "receivers")
    return found


def _read_list(text: str, title: str, model: type[_T]) -> tuple[_T, ...]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{where}not valid YAML: {getattr(error, 'problem', error)}") from None
    listed = document.get(title) if isinstance(document, dict) else None
    if not isinstance(listed, list) or set(document) != {title}:
        raise ValueError(f"write a list below {title}, and nothing else")
    return tuple(_one(f"{title}.{number}", item, model) for number, item in enumerate(listed))


def _one(place: str, item: Any, model: type[_T]) -> _T:
    try:
        return model.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join([place, *(str(part) for part in first["loc"])])
        raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


def _distinct(names: list[str], title: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"several {title} are called {twice[0]}")
