"""Whether the match of a delegate contradicts that of the rule which delegates to it.

Stage: validate (pure). Source: istio/istio pilot/pkg/model/virtualservice.go, hasConflict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitmesh.validate.across.lenient import mapping, text

_TEXTS = ("uri", "scheme", "method", "authority")
_MAPS = ("headers", "queryParams", "withoutHeaders")
_PLAIN = ("port", "sourceNamespace")


def conflict(root: Mapping[str, Any], delegate: Mapping[str, Any]) -> bool:
    """Say whether no request can meet both, as istiod sees it; then it drops the delegate's match."""
    if bool(root.get("ignoreUriCase")) != bool(delegate.get("ignoreUriCase")):
        return True
    if any(_texts_conflict(root.get(name), delegate.get(name)) for name in _TEXTS):
        return True
    if any(_maps_conflict(root.get(name), delegate.get(name)) for name in _MAPS):
        return True
    if any(_differ(root.get(name), delegate.get(name)) for name in _PLAIN):
        return True
    labels = mapping(root.get("sourceLabels"))
    theirs = mapping(delegate.get("sourceLabels"))
    return any(name in theirs and theirs[name] != value for name, value in labels.items())


def _differ(one: Any, other: Any) -> bool:
    return bool(one) and bool(other) and one != other


def _maps_conflict(root: Any, delegate: Any) -> bool:
    theirs = mapping(delegate)
    return any(_texts_conflict(value, theirs.get(name)) for name, value in mapping(root).items())


def _texts_conflict(root: Any, delegate: Any) -> bool:
    one, other = mapping(root), mapping(delegate)
    if not one or not other:
        return False  # the missing side takes over what the other says
    if "regex" in one or "regex" in other:
        return True
    if "prefix" in one:
        narrower = text(other.get("prefix", other.get("exact")))
        return not narrower.startswith(text(one["prefix"]))
    return "exact" in one and other.get("exact") != one["exact"]
