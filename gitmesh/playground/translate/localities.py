"""Where workloads are, and what that means for load balancing: shares by place, and failing over.

Stage: playground translation (pure).
Source: istio/istio pilot/pkg/networking/core/loadbalancer; istio.io, Locality Load Balancing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.places import PLACE_LABELS, TOPOLOGY, locality_of
from gitmesh.playground.translate.policies import Client, Policy

_OTHER_REGION, _NO_FAILOVER = 3, 4


@dataclass(frozen=True, slots=True)
class Placed:
    """One endpoint of a cluster with its place (`region/zone/subzone`, or nothing) and its labels."""

    locality: str
    labels: Mapping[str, str]
    endpoint: Envoy
    weight: int = 1


@dataclass(frozen=True, slots=True)
class _Group:
    locality: str
    placed: list[Placed] = field(default_factory=list)
    priority: int = 0
    weight: int = 0


def locality_labels(policy: Policy) -> set[str]:
    """Return the labels of a client that decide how this policy spreads its requests."""
    setting = _setting(policy)
    if setting is not None and setting["distribute"].value:
        return set(PLACE_LABELS)
    if not _fails_over(policy):
        return set()
    words = setting["failoverPriority"].texts() if setting is not None else []
    return set(PLACE_LABELS) | {word for word in words if "=" not in word}


def spread(placed: Sequence[Placed], policy: Policy, client: Client) -> list[Envoy]:
    """Return endpoints by place, with the weight or the priority that the client's place gives them."""
    groups: dict[str, _Group] = {}
    for item in placed:
        groups.setdefault(item.locality, _Group(item.locality)).placed.append(item)
    arranged = _arranged([groups[name] for name in sorted(groups)], policy, client)
    weighted = len(arranged) > 1 or is_weighted(policy)
    return [_envoy(group, weighted=weighted) for group in arranged] or [{"lb_endpoints": []}]


def is_weighted(policy: Policy) -> bool:
    """Say whether Envoy is to weigh places, not only endpoints. Source: pilot, applyLocalityLoadBalancer."""
    setting = _setting(policy)
    if setting is None:
        return False
    fails_over = bool(setting["failover"].value or setting["failoverPriority"].value)
    return bool(setting["distribute"].value) or (fails_over and _fails_over(policy))


def _setting(policy: Policy) -> Field | None:
    setting = policy["loadBalancer"]["localityLbSetting"] if "loadBalancer" in policy else None
    if setting is None or not setting.present or not setting["enabled"].boolean(default=True):
        return None
    return setting


def _fails_over(policy: Policy) -> bool:
    # Without outlier detection Envoy would never leave the first priority.
    if "outlierDetection" not in policy or not policy["outlierDetection"].present:
        return False
    setting = policy["loadBalancer"]["localityLbSetting"] if "loadBalancer" in policy else None
    return setting is None or setting["enabled"].boolean(default=True)


def _arranged(groups: list[_Group], policy: Policy, client: Client) -> list[_Group]:
    setting, here = _setting(policy), locality_of(client.labels)
    if setting is not None and setting["distribute"].value:
        return _distributed(groups, setting["distribute"], here)
    if not _fails_over(policy):
        return groups
    words = setting["failoverPriority"].texts() if setting is not None else []
    if words:
        return _contiguous(_by_labels(groups, words, client))
    targets = {f["from"].text(): f["to"].text() for f in setting["failover"].items()} if setting else {}
    return _contiguous([replace(g, priority=_distance(here, g.locality, targets)) for g in groups])


def _distributed(groups: list[_Group], distribute: Field, here: str) -> list[_Group]:
    shares = next((s["to"] for s in distribute.items() if _matches(here, s["from"].text())), None)
    if shares is None:
        return groups
    left, found = list(groups), []
    for pattern, share in shares.entries():
        chosen = [group for group in left if _matches(group.locality, pattern)]
        left = [group for group in left if group not in chosen]
        total = sum(_weight(group) for group in chosen)
        for group in chosen:
            weight = ceil(_weight(group) * share.integer() / total)
            if weight > 0:
                found.append(replace(group, weight=weight))
    return found  # a place that is not named gets nothing


def _weight(group: _Group) -> int:
    return sum(item.weight for item in group.placed)


def _matches(locality: str, pattern: str) -> bool:
    """Say whether a place is inside of `region/zone/subzone`, where parts may be missing or `*`."""
    parts, wanted = _parts(locality), pattern.split("/")
    for part, want in zip(parts, wanted, strict=False):
        if want in ("*", ""):
            return True
        if part != want:
            return False
    return True


def _parts(locality: str) -> list[str]:
    return [*locality.split("/"), "", ""][:3]


def _distance(here: str, there: str, targets: Mapping[str, str]) -> int:
    ours, theirs = _parts(here), _parts(there)
    same = next((place for place in range(3) if ours[place] != theirs[place]), 3)
    if same == 0 and ours[0] in targets and targets[ours[0]] != theirs[0]:
        return _NO_FAILOVER
    return _OTHER_REGION - same


def _by_labels(groups: list[_Group], words: list[str], client: Client) -> list[_Group]:
    ours = _labels_with_place(client.labels, locality_of(client.labels))
    wanted = [(name, value if given else ours.get(name, "")) for name, given, value in _pairs(words)]
    found: dict[tuple[int, str], _Group] = {}
    for group in groups:
        for item in group.placed:
            labels = _labels_with_place(item.labels, item.locality)
            misses = (p for p, (name, value) in enumerate(wanted) if labels.get(name, "") != value)
            priority = len(wanted) - next(misses, len(wanted))
            found.setdefault(
                (priority, group.locality), _Group(group.locality, priority=priority)
            ).placed.append(item)
    return [found[key] for key in sorted(found)]


def _pairs(words: list[str]) -> list[tuple[str, str, str]]:
    return [word.partition("=") for word in words]


def _labels_with_place(labels: Mapping[str, str], locality: str) -> dict[str, str]:
    return {**dict(zip(TOPOLOGY, locality.split("/"), strict=False)), **labels}


def _contiguous(groups: list[_Group]) -> list[_Group]:
    """Number the priorities without gaps, the first one first, as Envoy wants them."""
    numbers = {priority: n for n, priority in enumerate(sorted({group.priority for group in groups}))}
    ordered = sorted(groups, key=lambda group: group.priority)
    return [replace(group, priority=numbers[group.priority]) for group in ordered]


def _envoy(group: _Group, *, weighted: bool) -> Envoy:
    message: Envoy = {"lb_endpoints": [item.endpoint for item in group.placed]}
    if group.locality:
        names = ("region", "zone", "sub_zone")
        parts = zip(names, group.locality.split("/"), strict=False)
        message["locality"] = {name: part for name, part in parts if part}
    if group.priority:
        message["priority"] = group.priority
    if weighted:
        message["load_balancing_weight"] = group.weight or _weight(group)
    return message
