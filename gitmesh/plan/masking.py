"""What looks like a secret in a traffic object, kept out of plans that are shown.

Stage: plan (pure). Secrets themselves are never managed. But a route may set a header with a token, and
people write things into annotations; and plans end in pull requests and in the logs of CI.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASKED = "***"

_NAMES = re.compile(
    r"authorization|cookie|token|secret|passw(or)?d|passphrase|api-?_?key|access-?_?key|private-?_?key"
    r"|credential|session",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_FREE = ("annotations", "labels")  # maps whose keys people choose
# Source: istio.io, VirtualService, Headers.HeaderOperations: `set` and `add` map names to values.
_HEADERS = ("set", "add")


def masked(path: tuple[str | int, ...], value: Any) -> Any:
    """Return the value of a field without what looks like a secret in it; `path` says where it is."""
    if isinstance(value, Mapping):
        return {name: masked((*path, name), inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked((*path, index), inner) for index, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    return MASKED if _is_secret(path) else _LOGIN.sub(MASKED, value)


def _is_secret(path: tuple[str | int, ...]) -> bool:
    """Say whether a path ends at the value of an annotation, a label or a header that is named like one."""
    if len(path) < 2 or not _NAMES.search(str(path[-1])):
        return False
    return path[-2] in _FREE or (path[-2] in _HEADERS and "headers" in path)
