"""Selectors: which objects a policy or a freeze is for, and which of several policies fits best.

Stage: none (pure).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal

from gitmesh.model.resource import ResourceKey
from gitmesh.model.values import ApiModel

_WILD = re.compile(r"[*?\[]")
SelectedKind = Literal["VirtualService", "DestinationRule"]
Precision = tuple[int, int, int]  # of names, hosts and namespaces: 0 not asked for, 1 by wildcard, 2 exactly


class Selector(ApiModel):
    """Which objects are meant. An empty list matches everything; patterns use `*` and `?`."""

    kinds: tuple[SelectedKind, ...] = ("VirtualService",)
    namespaces: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def matches(self, key: ResourceKey, hosts: tuple[str, ...]) -> bool:
        """Say whether this object is meant; `hosts` as the object writes them."""
        return self.precision(key, hosts) is not None

    def precision(self, key: ResourceKey, hosts: tuple[str, ...]) -> Precision | None:
        """Return how precisely this object is meant, to compare with others; None when it is not meant."""
        if key.kind not in self.kinds:
            return None
        names = _precision(self.names, (key.name,))
        by_host = None if names is None else _precision(self.hosts, hosts)
        namespaces = None if by_host is None else _precision(self.namespaces, (key.namespace,))
        if names is None or by_host is None or namespaces is None:
            return None
        return names, by_host, namespaces


def hosts_of(key: ResourceKey, spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the hosts that an object is for, as it writes them."""
    named = [spec.get("host")] if key.kind == "DestinationRule" else spec.get("hosts")
    return tuple(host for host in named if isinstance(host, str)) if isinstance(named, list | tuple) else ()


def _precision(patterns: tuple[str, ...], values: tuple[str, ...]) -> int | None:
    if not patterns:
        return 0
    for value in values:
        if value in patterns:
            return 2
    for pattern in patterns:
        if _WILD.search(pattern) and any(fnmatchcase(value, pattern) for value in values):
            return 1
    return None
