"""Header operations of a rule or of one of its destinations.

Stage: playground translation (pure).
Source: istio/istio pilot/pkg/networking/core/route, TranslateHeadersOperations.
"""

from __future__ import annotations

from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.naming import Envoy

_HOST = frozenset({":authority", "host"})


def add_header_operations(target: Envoy, headers: Field) -> None:
    """Append the operations to a route or to a weighted cluster."""
    for side in ("request", "response"):
        _append(target, f"{side}_headers_to_add", _additions(headers[side]))
        removals = [name for name in headers[side]["remove"].texts() if not _is_internal(name)]
        _append(target, f"{side}_headers_to_remove", removals)


def host_rewrite(headers: Field) -> str | None:
    """Return the new Host where the request headers set one: in Envoy that is a rewrite, not a header."""
    for operation in ("set", "add"):
        for name, value in headers["request"][operation].entries():
            if name.lower() in _HOST and value.text():
                return value.text()
    return None


def _is_internal(name: str) -> bool:
    """Say whether Envoy refuses to change this header as one."""
    return name.startswith(":") or name.lower() == "host"


def _additions(operations: Field) -> list[Envoy]:
    return [
        {"header": {"key": name, "value": value.text()}, "append_action": action}
        for operation, action in (("set", "OVERWRITE_IF_EXISTS_OR_ADD"), ("add", "APPEND_IF_EXISTS_OR_ADD"))
        for name, value in operations[operation].entries()
        if not _is_internal(name)
    ]


def _append(target: Envoy, name: str, values: list[Envoy] | list[str]) -> None:
    if values:
        target[name] = [*target.get(name, ()), *values]
