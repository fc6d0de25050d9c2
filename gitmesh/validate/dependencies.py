"""Rollouts that wait for others: whether there are such, and whether any could ever begin.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.kinds import GITMESH, VIRTUAL_SERVICE
from gitmesh.model.policy import RolloutPolicy, most_precise
from gitmesh.model.resource import ResourceKey, ResourceSet
from gitmesh.validate.across.world import World
from gitmesh.validate.subject import Subject

_POLICY = "RolloutPolicy"


def check_dependencies(resources: ResourceSet, world: World) -> Iterator[Diagnostic]:
    """Yield, at the policy, what a rollout waits for in vain; each once."""
    policies = world.policies()
    if not any(policy.spec.after for policy in policies):
        return
    chosen = _chosen(resources, policies)
    seen: set[tuple[str, str, int]] = set()
    for key, policy in chosen.items():
        for index, name in enumerate(policy.spec.after):
            found = _problem(key, name, chosen, resources)
            if found is None or (policy.full_name, found[0], index) in seen:
                continue
            seen.add((policy.full_name, found[0], index))
            code, message, hint = found
            subject = Subject(resources[ResourceKey(GITMESH, _POLICY, policy.namespace, policy.name)])
            yield subject.finding(code, message, ("spec", "after", index), hint=hint)


def _chosen(
    resources: ResourceSet, policies: tuple[RolloutPolicy, ...]
) -> Mapping[ResourceKey, RolloutPolicy]:
    services = [key for key in resources if (key.group, key.kind) == _SERVICE]
    found = {key: most_precise(policies, key, resources[key].spec) for key in sorted(services)}
    return {key: best[0] for key, best in found.items() if len(best) == 1}


_SERVICE = (VIRTUAL_SERVICE.group, VIRTUAL_SERVICE.kind)


def _problem(
    key: ResourceKey, name: str, chosen: Mapping[ResourceKey, RolloutPolicy], resources: ResourceSet
) -> tuple[str, str, str] | None:
    dependency = _named(key, name)
    if dependency not in resources:
        message = f"there is no VirtualService {dependency.namespace}/{dependency.name} in the repository"
        return "GM314", f"{message}, and {key.name} waits for it", "write its name, or namespace/name"
    way = _way_back(key, dependency, chosen)
    if way:
        names = " waits for ".join(each.name for each in (key, *way))
        return "GM313", f"no rollout of these could ever begin: {names}", "take one of them out of spec.after"
    group, other = chosen[key].spec.group, chosen.get(dependency)
    if group and other is not None and other.spec.group == group:
        message = f"{key.name} and {name} are of group {group}, begin together, and one waits for the other"
        return "GM313", message, "take it out of spec.after, or out of the group"
    return None


def _way_back(
    key: ResourceKey, start: ResourceKey, chosen: Mapping[ResourceKey, RolloutPolicy]
) -> tuple[ResourceKey, ...]:
    """Return the way from `start` to `key` along what waits for what; empty when there is none."""
    ways: list[tuple[ResourceKey, ...]] = [(start,)]
    seen = {start}
    while ways:
        way = ways.pop()
        if way[-1] == key:
            return way
        policy = chosen.get(way[-1])
        for name in policy.spec.after if policy else ():
            further = _named(way[-1], name)
            if further not in seen or further == key:
                seen.add(further)
                ways.append((*way, further))
    return ()


def _named(key: ResourceKey, name: str) -> ResourceKey:
    namespace, _, service = name.rpartition("/")
    return VIRTUAL_SERVICE.key(namespace or key.namespace, service)
