"""DestinationRules: which one holds for a host, its subsets, and the policy of each port.

Stage: playground translation (pure).
Source: istio/istio pilot/pkg/model, destination_rule.go and push_context.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gitmesh.istio.hosts import covers, fully_qualified
from gitmesh.model.kinds import DESTINATION_RULE
from gitmesh.model.resource import Resource, ResourceSet
from gitmesh.playground.translate.fields import Field, Reports, spec_of

ROOT_NAMESPACE = "istio-system"
_PORT_BLOCKS = ("connectionPool", "loadBalancer", "outlierDetection", "tls")
_BLOCKS = (*_PORT_BLOCKS, "tunnel", "proxyProtocol", "retryBudget")

Policy = Mapping[str, Field]  # block name -> the field that holds it


@dataclass(frozen=True, slots=True)
class Subset:
    """A named part of a service's endpoints. No labels: all of them."""

    name: str
    labels: Mapping[str, str]
    policy: Field

    @property
    def version(self) -> str:
        """What telemetry calls destination_version."""
        return self.labels.get("version") or self.name


@dataclass(frozen=True, slots=True)
class Destination:
    """What all DestinationRules together say about one host."""

    subsets: tuple[Subset, ...] = ()
    policy: Field | None = None

    def policy_of(self, port: int, subset: Subset | None) -> Policy:
        """Return the blocks that hold for one port of one subset (None: the whole service).

        A port's own settings replace the whole policy; a subset overrides block by block.
        """
        blocks = _blocks(self.policy, port) if self.policy else {}
        return {**blocks, **_blocks(subset.policy, port)} if subset else blocks


def _blocks(policy: Field, port: int) -> Policy:
    for settings in policy["portLevelSettings"].items():
        if settings["port"]["number"].integer() == port:
            return {name: settings[name] for name in _PORT_BLOCKS}
    return {name: policy[name] for name in _BLOCKS if policy[name].present}


def age(resource: Resource) -> tuple[str, str, str]:
    """Sort key: the oldest object first, then by name and namespace, as pilot orders conflicting objects."""
    created = resource.metadata.get("creationTimestamp")
    return (str(created or ""), resource.key.name, resource.key.namespace)


class Destinations:
    """Finds what holds for a host, seen by a client in one namespace."""

    def __init__(self, resources: ResourceSet, client_namespace: str, reports: Reports) -> None:
        self._client_namespace = client_namespace
        self._rules: dict[str, list[tuple[str, Field]]] = {}
        self._used: set[tuple[str, str]] = set()
        group_kind = (DESTINATION_RULE.group, DESTINATION_RULE.kind)
        rules = (r for k, r in resources.items() if (k.group, k.kind) == group_kind)
        for resource in sorted(rules, key=age):
            spec = spec_of(resource, reports)
            if _is_visible(spec):
                host = fully_qualified(spec["host"].text(), resource.key.namespace)
                self._rules.setdefault(resource.key.namespace, []).append((host, spec))

    def of(self, host: str, namespace: str) -> Destination:
        """Return what holds for a service: the first namespace with a matching rule decides alone."""
        for place in (self._client_namespace, namespace, ROOT_NAMESPACE):
            rules = self._rules.get(place, ())
            best = max((h for h, _ in rules if covers(h, host)), key=_precision, default=None)
            if best is not None:
                self._used.add((place, best))
                return _merge(spec for h, spec in rules if h == best)
        return Destination()

    def report_unused(self) -> None:
        """Report the rules that hold for no Service. To be called after the last `of`."""
        for namespace, rules in self._rules.items():
            for host, spec in rules:
                if (namespace, host) not in self._used:
                    spec["host"].report(
                        "the rule has no effect: it holds for no HTTP Service of the playground"
                    )


def _is_visible(spec: Field) -> bool:
    if spec["workloadSelector"].present:
        spec["workloadSelector"].report("the whole rule is left out: it is for selected clients only")
        return False
    if spec["exportTo"].present and "*" not in spec["exportTo"].texts():
        spec["exportTo"].report("is not translated: the rule is visible to all of the playground")
    return True


def _precision(host: str) -> tuple[bool, int]:
    return (not host.startswith("*"), len(host))


def _merge(specs: Iterable[Field]) -> Destination:
    subsets: dict[str, Subset] = {}
    policy: Field | None = None
    for spec in specs:
        if spec["trafficPolicy"].present:
            if policy is not None:
                spec["trafficPolicy"].report(
                    f"has no effect: {policy.key} is older and has one for this host"
                )
            policy = policy or spec["trafficPolicy"]
        for field in spec["subsets"].items():
            labels = {name: value.text() for name, value in field["labels"].entries()}
            name = field["name"].text()
            if name in subsets:
                field.report(f"has no effect: an older subset of this host is called {name} too")
            subsets.setdefault(name, Subset(name, labels, field["trafficPolicy"]))
    subsets.pop("", None)
    return Destination(tuple(subsets.values()), policy)
