"""From a destination of a route to the label that metrics know it by.

Stage: decide (pure).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gitmesh.istio.hosts import covers, fully_qualified
from gitmesh.model.kinds import DESTINATION_RULE
from gitmesh.model.resource import Resource, ResourceSet
from gitmesh.model.rollout import Target

Resolver = Callable[[str, str], Target]


def resolver(namespace: str, *layers: ResourceSet) -> Resolver:
    """Return a function (host, subset) -> Target for routes in `namespace`; earlier layers win.

    Istio labels a request with the `version` label of the workload that took it, so a subset is looked up
    among the DestinationRules; a subset without such a label goes by its own name.
    """

    def resolve(host: str, subset: str) -> Target:
        # Most rollouts of most passes ask for no target at all.
        rules = [r for layer in layers for r in layer.values() if r.key.kind == DESTINATION_RULE.kind]
        full = fully_qualified(host, namespace)
        return Target(host=full, subset=subset, version=_version(rules, full, subset) if subset else "")

    return resolve


def versions(host: str, resources: ResourceSet) -> Iterator[Target]:
    """Yield every version of a qualified host that DestinationRules name."""
    for rule in resources.values():
        if rule.key.kind != DESTINATION_RULE.kind:
            continue
        if not covers(fully_qualified(str(rule.spec.get("host", "")), rule.key.namespace), host):
            continue
        for entry in rule.spec.get("subsets") or ():
            name = str(entry.get("name") or "")
            version = str((entry.get("labels") or {}).get("version", name))
            if name and version:
                yield Target(host=host, subset=name, version=version)


def _version(rules: list[Resource], host: str, subset: str) -> str:
    for rule in rules:
        if not covers(fully_qualified(str(rule.spec.get("host", "")), rule.key.namespace), host):
            continue
        for entry in rule.spec.get("subsets") or ():
            if entry.get("name") == subset:
                return str((entry.get("labels") or {}).get("version", subset))
    return subset
