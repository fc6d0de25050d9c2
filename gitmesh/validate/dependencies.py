"""Rollouts that wait for others: whether there are such, and whether any could ever begin.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.kinds import DESTINATION_RULE, GITMESH, VIRTUAL_SERVICE
from gitmesh.model.policy import RolloutPolicy, most_precise
from gitmesh.model.resource import ResourceKey, ResourceSet
from gitmesh.validate.across.world import World
from gitmesh.validate.subject import Subject

_POLICY = "RolloutPolicy"
_WALKED = frozenset((kind.group, kind.kind) for kind in (VIRTUAL_SERVICE, DESTINATION_RULE))


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
    walked = [key for key in resources if (key.group, key.kind) in _WALKED]
    found = {key: most_precise(policies, key, resources[key].spec) for key in sorted(walked)}
    return {key: best[0] for key, best in found.items() if len(best) == 1}


def _problem(
    key: ResourceKey, name: str, chosen: Mapping[ResourceKey, RolloutPolicy], resources: ResourceSet
) -> tuple[str, str, str] | None:
    dependency = _named(key, name)
    if dependency not in resources:
        message = f"there is no VirtualService {dependency.namespace}/{dependency.name} in the repository"
        return "GM314", f"{message}, and {key.name} waits for it", "write its name, or namespace/name"
    group, other = chosen[key].spec.group, chosen.get(dependency)
    if group and other is not None and other.spec.group == group:
        message = f"{key.name} and {name} are of group {group}, begin together, and one waits for the other"
        return "GM313", message, "take it out of spec.after, or out of the group"
    way = _way_back(key, dependency, chosen)
    if way:
        names = _told((key, *way), chosen)
        return "GM313", f"no rollout of these could ever begin: {names}", "take one of them out of spec.after"
    return None


def _way_back(
    key: ResourceKey, start: ResourceKey, chosen: Mapping[ResourceKey, RolloutPolicy]
) -> tuple[ResourceKey, ...]:
    """Return the way from `start` to `key` along what waits for what; empty when there is none.

    What is of one group begins together, so that each of it waits for what any of it waits for.
    """
    ways: list[tuple[ResourceKey, ...]] = [(start,)]
    seen: set[ResourceKey | str] = {start}
    while ways:
        way = ways.pop()
        if way[-1] == key:
            return way
        policy = chosen.get(way[-1])
        if policy is None:
            continue
        before = [_named(way[-1], name) for name in policy.spec.after]
        if (group := policy.spec.group) and group not in seen:
            seen.add(group)
            before += [other for other in chosen if chosen[other].spec.group == group]
        for further in before:
            if further not in seen:
                seen.add(further)
                ways.append((*way, further))
    return ()


def _told(way: tuple[ResourceKey, ...], chosen: Mapping[ResourceKey, RolloutPolicy]) -> str:
    """Write a way: `reviews waits for ratings, which begins with details, which waits for reviews`."""
    text = way[0].name
    for number, (one, other) in enumerate(pairwise(way)):
        policy = chosen.get(one)
        waits = policy is not None and other in {_named(one, name) for name in policy.spec.after}
        text += f"{', which' if number else ''} {'waits for' if waits else 'begins with'} {other.name}"
    return text


def _named(key: ResourceKey, name: str) -> ResourceKey:
    namespace, _, service = name.rpartition("/")
    return VIRTUAL_SERVICE.key(namespace or key.namespace, service)
