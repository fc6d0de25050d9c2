"""From a destination of a route to the label that metrics know it by.

Stage: decide (pure).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from gitmesh.istio.hosts import fully_qualified
from gitmesh.model.edition import changed_between
from gitmesh.model.kinds import DESTINATION_RULE
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.model.rollout import Target

Resolver = Callable[[str, str], Target]


class Rules:
    """The DestinationRules of a set of resources, by the host that they are for.

    It goes along with the set: of one that has changed a little, only what has changed is looked at.
    `looked` counts the resources that were.
    """

    def __init__(self) -> None:
        self.looked = 0
        self._of: ResourceSet = {}
        self._hosts: dict[ResourceKey, str] = {}
        self._by_host: dict[str, dict[ResourceKey, Resource]] = {}

    def of(self, resources: ResourceSet) -> Rules:
        """Be the rules of this set from now on."""
        changed = changed_between(self._of, resources)
        if changed is None:
            self._hosts, self._by_host = {}, {}
        for key in resources if changed is None else changed:
            self._take(key, resources.get(key))
        self._of = resources
        return self

    def _take(self, key: ResourceKey, rule: Resource | None) -> None:
        self.looked += 1
        if key.kind != DESTINATION_RULE.kind:
            return
        if (was := self._hosts.pop(key, None)) is not None:
            del self._by_host[was][key]
            if not self._by_host[was]:
                del self._by_host[was]
        if rule is not None:
            host = fully_qualified(str(rule.spec.get("host", "")), key.namespace)
            self._hosts[key] = host
            self._by_host.setdefault(host, {})[key] = rule

    def covering(self, host: str) -> Iterator[Resource]:
        """Yield the rules whose host is this qualified one or includes it, the most precise first."""
        own = host.removeprefix("*")
        wider = (f"*{own[start:]}" for start in range(len(own) + 1))
        for pattern in dict.fromkeys((host, *wider)):
            rules = self._by_host.get(pattern)
            if rules:
                yield from (rules[key] for key in sorted(rules))


def resolver(namespace: str, *layers: Rules) -> Resolver:
    """Return a function (host, subset) -> Target for routes in `namespace`; earlier layers win.

    Istio labels a request with the `version` label of the workload that took it, so a subset is looked up
    among the DestinationRules; a subset without such a label goes by its own name.
    """

    def resolve(host: str, subset: str) -> Target:
        full = fully_qualified(host, namespace)
        rules = chain.from_iterable(layer.covering(full) for layer in layers)
        return Target(host=full, subset=subset, version=_version(rules, subset) if subset else "")

    return resolve


def versions(host: str, rules: Rules) -> Iterator[Target]:
    """Yield every version of a qualified host that DestinationRules name."""
    for name, version in _subsets(rules.covering(host)):
        if name and version:
            yield Target(host=host, subset=name, version=version)


def _version(rules: Iterable[Resource], subset: str) -> str:
    return next((version for name, version in _subsets(rules) if name == subset), subset)


def _subsets(rules: Iterable[Resource]) -> Iterator[tuple[str, str]]:
    """Yield name and version of each subset; what the cluster holds need not be well formed."""
    for rule in rules:
        entries = rule.spec.get("subsets")
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                name, labels = str(entry.get("name") or ""), entry.get("labels")
                yield name, str((labels if isinstance(labels, dict) else {}).get("version", name))
