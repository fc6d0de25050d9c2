"""What looks like a secret in a traffic object, kept out of plans that are shown.

Stage: plan (pure). Secrets themselves are never managed. But a route may set a header with a token, and
people write things into annotations; and plans end in pull requests and in the logs of CI.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.resource import ResourceKey, ResourceSet

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
# Source: istio.io, VirtualService, HTTPMatchRequest and StringMatch.
_MATCHED = ("headers", "withoutHeaders", "queryParams")
_MATCHES = ("exact", "prefix", "regex")
_HEAD_CHARACTERS = 16  # so much of a secret is one
_CHARACTERS_MIN = 4  # what is shorter is in many a word, and hides nothing
_SCHEME = re.compile(r"(?:bearer|basic|token|digest)\s+", re.IGNORECASE)


def masked(path: tuple[str | int, ...], value: Any) -> Any:
    """Return the value of a field without what looks like a secret in it; `path` says where it is."""
    if isinstance(value, Mapping):
        return {name: masked((*path, name), inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked((*path, index), inner) for index, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    return MASKED if _is_secret(path) else _LOGIN.sub(MASKED, value)


def secrets_in(value: Any, path: tuple[str | int, ...] = ()) -> frozenset[str]:
    """Return what `masked` would hide in a value, as others may repeat it: without its scheme, as in
    `Bearer abc`, or in quotes, with escapes."""
    if isinstance(value, Mapping):
        return frozenset().union(*(secrets_in(inner, (*path, name)) for name, inner in value.items()))
    if isinstance(value, list):
        return frozenset().union(*(secrets_in(inner, (*path, index)) for index, inner in enumerate(value)))
    if not isinstance(value, str):
        return frozenset()
    found = [value, _SCHEME.sub("", value, count=1)] if _is_secret(path) else _LOGIN.findall(value)
    forms = [form for one in found for form in (one, json.dumps(one, ensure_ascii=False)[1:-1])]
    return frozenset(form for form in forms if len(form) >= _CHARACTERS_MIN)


def blotted(value: Any, secrets: Collection[str]) -> Any:
    """Return a text, or all texts in a value, without these secrets."""
    if not secrets:
        return value
    if isinstance(value, Mapping):
        return {name: blotted(inner, secrets) for name, inner in value.items()}
    if isinstance(value, list):
        return [blotted(inner, secrets) for inner in value]
    if isinstance(value, str):
        for secret in sorted(secrets, key=len, reverse=True):
            value = _blotted(value, secret)
    return value


def _blotted(text: str, secret: str) -> str:
    """Return a text without a secret, also where others have cut it off behind its first characters."""
    head = secret[:_HEAD_CHARACTERS]
    at = text.find(head)
    while at >= 0:
        end = at + len(head)
        while end < len(text) and end - at < len(secret) and text[end] == secret[end - at]:
            end += 1
        text = f"{text[:at]}{MASKED}{text[end:]}"
        at = text.find(head, at + len(MASKED))
    return text


def unrevealing(findings: Iterable[Diagnostic], resources: ResourceSet) -> tuple[Diagnostic, ...]:
    """Return findings that quote no secret of the objects that they are about."""
    secrets: dict[ResourceKey, frozenset[str]] = {}
    shown = []
    for finding in findings:
        key = finding.key
        if key is not None and key in resources:
            if key not in secrets:
                secrets[key] = secrets_in(resources[key].body)
            message, hint = (blotted(text, secrets[key]) for text in (finding.message, finding.hint))
            if (message, hint) != (finding.message, finding.hint):
                finding = replace(finding, message=message, hint=hint)
        shown.append(finding)
    return tuple(shown)


def _is_secret(path: tuple[str | int, ...]) -> bool:
    """Say whether a path ends at the value of an annotation, a label or a header that is named like one.

    Of a condition on requests too. Cookies are no secret there: people choose users by them.
    """
    if len(path) > 2 and path[-1] in _MATCHES and path[-3] in _MATCHED:
        return bool(_NAMES.search(str(path[-2]))) and "cookie" not in str(path[-2]).lower()
    if len(path) < 2 or not _NAMES.search(str(path[-1])):
        return False
    return path[-2] in _FREE or (path[-2] in _HEADERS and "headers" in path)
