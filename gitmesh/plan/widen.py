"""Objects that keep, for a while, what is about to go: make before break.

Stage: plan (pure).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gitmesh.model.kinds import DESTINATION_RULE, SERVICE_ENTRY
from gitmesh.model.resource import Resource
from gitmesh.plan.references import Need, is_kind, rule_host, subsets_of


def widened(wanted: Resource, live: Resource, keep: Callable[[Need], bool]) -> Resource:
    """Return `wanted` with those subsets (or hosts of a ServiceEntry) of `live` that `keep` asks for.

    `keep` is asked with the host as the object has it, so it may begin with a wildcard.
    """
    if is_kind(wanted, DESTINATION_RULE) and rule_host(wanted) == rule_host(live):
        host = rule_host(live)
        return _merged(wanted, "subsets", subsets_of(wanted), subsets_of(live), lambda n: keep(Need(host, n)))
    if is_kind(wanted, SERVICE_ENTRY):
        return _merged(wanted, "hosts", _hosts(wanted), _hosts(live), lambda host: keep(Need(host)))
    return wanted


def _hosts(entry: Resource) -> dict[str, Any]:
    return {host: host for host in entry.spec.get("hosts") or ()}


def _merged(
    wanted: Resource, field: str, new: dict[str, Any], old: dict[str, Any], keep: Callable[[str], bool]
) -> Resource:
    """Put kept entries where they are live, so that keeping alone is no change of the order."""
    kept = [name for name in old if name not in new and keep(name)]
    if not kept:
        return wanted
    names = [name for name in old if name in new or name in kept] + [name for name in new if name not in old]
    return wanted.with_spec({**wanted.spec, field: [new.get(name, old.get(name)) for name in names]})
