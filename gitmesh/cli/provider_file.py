"""The file that lists metrics providers.

Stage: none (face).
"""

from __future__ import annotations

import yaml
from pydantic import ValidationError

from gitmesh.model.providers import Provider


def read_providers(text: str) -> tuple[Provider, ...]:
    """Return the providers of a file: a list below `providers`. Raises ValueError, which says where."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{where}not valid YAML: {getattr(error, 'problem', error)}") from None
    listed = document.get("providers") if isinstance(document, dict) else None
    if not isinstance(listed, list) or set(document) != {"providers"}:
        raise ValueError("write a list below providers, and nothing else")
    found = tuple(_provider(number, item) for number, item in enumerate(listed))
    names = [provider.name for provider in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"several providers are called {twice[0]}")
    return found


def _provider(number: int, item: object) -> Provider:
    try:
        return Provider.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in ("providers", number, *first["loc"]))
        raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None
