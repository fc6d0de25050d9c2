"""Objects that keep, for a while, what is about to go: make before break.

Stage: plan (pure).
"""

from __future__ import annotations

from collections.abc import Callable

from gitmesh.model.kinds import DESTINATION_RULE, SERVICE_ENTRY
from gitmesh.model.resource import Resource
from gitmesh.plan.references import Need, is_kind, rule_host, subsets_of


def widened(wanted: Resource, live: Resource, keep: Callable[[Need], bool]) -> Resource:
    """Return `wanted` with those subsets (or hosts of a ServiceEntry) of `live` that `keep` asks for.

    `keep` is asked with the host as the object has it, so it may begin with a wildcard.
    """
    if is_kind(wanted, DESTINATION_RULE) and rule_host(wanted) == rule_host(live):
        host, there = rule_host(live), subsets_of(wanted)
        extra = [
            subset
            for name, subset in subsets_of(live).items()
            if name not in there and keep(Need(host, name))
        ]
        return _extended(wanted, "subsets", extra)
    if is_kind(wanted, SERVICE_ENTRY):
        there_hosts = wanted.spec.get("hosts") or []
        gone = [h for h in live.spec.get("hosts") or [] if h not in there_hosts]
        return _extended(wanted, "hosts", [h for h in gone if keep(Need(h))])
    return wanted


def _extended(resource: Resource, field: str, extra: list[object]) -> Resource:
    if not extra:
        return resource
    return resource.with_spec({**resource.spec, field: [*(resource.spec.get(field) or []), *extra]})
