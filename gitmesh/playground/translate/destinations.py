"""DestinationRules: which ones hold for a service as one client sees it.

Stage: playground translation (pure).
Source: istio/istio pilot/pkg/model, destination_rule.go, push_context.go and sidecar.go.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from gitmesh.istio.hosts import covers, fully_qualified
from gitmesh.model.kinds import DESTINATION_RULE
from gitmesh.model.resource import Resource, ResourceSet
from gitmesh.playground.translate.fields import Field, Reports, Untranslated, spec_of
from gitmesh.playground.translate.localities import locality_labels
from gitmesh.playground.translate.memo import Memo
from gitmesh.playground.translate.places import PLACE_LABELS, locality_of
from gitmesh.playground.translate.policies import ROOT_NAMESPACE, Client, Destination, Policy, Subset
from gitmesh.playground.translate.services import Resolution, Service, includes

__all__ = ["ROOT_NAMESPACE", "Client", "Destination", "Destinations", "Policy", "Subset", "age"]

_PUBLIC = frozenset({"*"})


def age(resource: Resource) -> tuple[str, str, str]:
    """Sort key: the oldest object first, then by name and namespace, as pilot orders conflicting objects."""
    created = resource.metadata.get("creationTimestamp")
    return (str(created or ""), resource.key.name, resource.key.namespace)


@dataclass(frozen=True, slots=True)
class _Rule:
    """One DestinationRule, but for what it says."""

    spec: Field
    host: str
    selector: Mapping[str, str] | None
    export_to: frozenset[str]  # namespaces, or *


@dataclass(frozen=True, slots=True)
class _Merged:
    """What rules together say, and which labels of a client (or its Secrets) make a difference in it."""

    destination: Destination
    labels: frozenset[str]
    by_credential: bool


_NOTHING = _Merged(Destination(), frozenset(), by_credential=False)


@dataclass(slots=True)
class _Group:
    """Rules of one namespace for one host that are merged, because the same clients see them."""

    namespace: str
    selector: Mapping[str, str] | None
    export_to: frozenset[str]
    specs: list[Field] = field(default_factory=list)
    merged: _Merged = _NOTHING
    used: bool = False

    def selects(self, client: Client) -> bool:
        if self.selector is None:
            return True
        # Source: istio.io, Destination Rule, workloadSelector: only workloads of the rule's own namespace.
        return client.namespace == self.namespace and includes(client.labels, self.selector)

    def is_seen_from(self, namespace: str) -> bool:
        return namespace == self.namespace or not self.export_to.isdisjoint({"*", namespace})

    @property
    def name(self) -> str:
        return f"{self.namespace}/{self.specs[0].key.name}"


class _Found(NamedTuple):
    service: Service
    destination: Destination
    said: Sequence[Untranslated]
    groups: Sequence[_Group]


class Destinations:
    """Finds what holds for a service, seen by a client; by `memo` the same object until it changes."""

    def __init__(self, resources: ResourceSet, reports: Reports, memo: Memo | None = None) -> None:
        self._memo = memo or Memo(reports)
        # namespace -> host of the rules -> groups, the oldest first
        self._groups: dict[str, dict[str, list[_Group]]] = {}
        self._wildcards: dict[str, list[str]] = {}
        group_kind = (DESTINATION_RULE.group, DESTINATION_RULE.kind)
        rules = (r for k, r in resources.items() if (k.group, k.kind) == group_kind)
        for resource in sorted(rules, key=age):
            read = partial(_read, resource, reports)
            self._add(self._memo.keep(("rule", resource.key), (resource,), read))
        for group in self._all_groups():
            # A rule is in one group, so that its first rule names it.
            name = ("merged rules", group.specs[0].key)
            group.merged = self._memo.keep(name, tuple(group.specs), partial(_merge, group.specs))
        for namespace, hosts in self._groups.items():
            wildcards = sorted((host for host in hosts if host.startswith("*")), key=len, reverse=True)
            self._wildcards[namespace] = wildcards
        self.asked_labels = frozenset(self._asked())
        self._sorted_labels = sorted(self.asked_labels)
        self._reports = reports
        self._found: dict[Hashable, _Found] = {}

    def forget_uses(self) -> None:
        """Begin anew to note which rules hold for anybody: now ask for every service and client."""
        for group in self._all_groups():
            group.used = False

    def of(self, service: Service, client: Client) -> Destination:
        """Return what holds for a service: the first namespace with a matching rule decides alone."""
        asked = tuple((name, client.labels.get(name)) for name in self._sorted_labels)
        question = (service.host, service.namespace, client.namespace, client.router, asked)
        found = self._found.get(question)
        if found is None or found.service is not service:
            with self._reports.recording() as said:
                group, own = self._group(service, client), self._group(service, Client(service.namespace))
                destination = self._make(question, service, client, group, own)
            groups = [one for one in (group, own) if one is not None]
            found = self._found[question] = _Found(service, destination, said, groups)
        elif found.said:
            self._reports.repeat(found.said)
        for group in found.groups:
            group.used = True
        return found.destination

    def _make(
        self, question: Hashable, service: Service, client: Client, group: _Group | None, own: _Group | None
    ) -> Destination:
        merged = group.merged if group else _NOTHING
        inputs = (service, merged, own.merged if own else _NOTHING)

        def make() -> Destination:
            parts = [f"of={service.namespace}"] if service.twin_of_older else []
            parts += [] if group is own else [group.name if group else "none"]
            parts += _differences(merged, service, client)
            is_selective = group is not None and group.selector is not None
            return replace(
                merged.destination, variant=",".join(parts), client=client, selects_clients=is_selective
            )

        return self._memo.keep(("destination", question), inputs, make)

    def report_unused(self) -> None:
        """Report the rules that hold for no client of the playground. To be called after the last `of`."""
        for group in self._all_groups():
            if not group.used:
                _report_unused(group)

    def _all_groups(self) -> Iterator[_Group]:
        return (group for hosts in self._groups.values() for groups in hosts.values() for group in groups)

    def _add(self, rule: _Rule) -> None:
        namespace = rule.spec.key.namespace
        groups = self._groups.setdefault(namespace, {}).setdefault(rule.host, [])
        for group in groups:
            if (group.selector, group.export_to) == (rule.selector, rule.export_to):
                group.specs.append(rule.spec)
                return
        groups.append(_Group(namespace, rule.selector, rule.export_to, [rule.spec]))

    def _group(self, service: Service, client: Client) -> _Group | None:
        for namespace in dict.fromkeys((client.namespace, service.namespace, ROOT_NAMESPACE)):
            groups = self._most_precise(namespace, service.host, client)
            selected = [group for group in groups if group.selects(client)]
            # A rule for selected clients comes before one for all.
            if selected:
                return min(selected, key=lambda group: group.selector is None)
        return None

    def _most_precise(self, namespace: str, host: str, client: Client) -> list[_Group]:
        hosts = self._groups.get(namespace, {})
        candidates = [host, *(w for w in self._wildcards.get(namespace, ()) if w != host and covers(w, host))]
        for candidate in candidates:
            seen = [group for group in hosts.get(candidate, ()) if group.is_seen_from(client.namespace)]
            if seen:
                return seen
        return []

    def _asked(self) -> Iterator[str]:
        """Yield the labels of a client by which some rule tells clients apart."""
        for group in self._all_groups():
            yield from group.selector or ()
            yield from group.merged.labels


def _read(resource: Resource, reports: Reports) -> _Rule:
    spec, namespace = spec_of(resource, reports), resource.key.namespace
    host = fully_qualified(spec["host"].text(), namespace).lower()
    export_to = frozenset(namespace if n == "." else n for n in spec["exportTo"].texts()) or _PUBLIC
    return _Rule(spec, host, _selector(spec["workloadSelector"]), export_to)


def _selector(field_: Field) -> Mapping[str, str] | None:
    if not field_.present:
        return None
    return {name: value.text() for name, value in field_["matchLabels"].entries()}


def _report_unused(group: _Group) -> None:
    for spec in group.specs:
        why = "it holds for no Service that a client of the playground sees"
        if group.selector is not None:
            spec["workloadSelector"].report(f"the rule has no effect yet: {why}")
        else:
            spec["host"].report(f"the rule has no effect: {why}")


def _merge(specs: Iterable[Field]) -> _Merged:
    destination = _merged(specs)
    labels: set[str] = set()
    by_credential = False
    for policy in destination.policies():
        labels |= locality_labels(policy)
        by_credential |= "tls" in policy and bool(policy["tls"]["credentialName"].text())
    return _Merged(destination, frozenset(labels), by_credential)


def _merged(specs: Iterable[Field]) -> Destination:
    subsets: dict[str, Subset] = {}
    policy: Field | None = None
    for spec in specs:
        if spec["trafficPolicy"].present:
            if policy is not None:
                spec["trafficPolicy"].report(
                    f"has no effect: {policy.key} is older and has one for this host"
                )
            policy = policy or spec["trafficPolicy"]
        for entry in spec["subsets"].items():
            labels = {name: value.text() for name, value in entry["labels"].entries()}
            name = entry["name"].text()
            if name in subsets:
                entry.report(f"has no effect: an older subset of this host is called {name} too")
            subsets.setdefault(name, Subset(name, labels, entry["trafficPolicy"]))
    subsets.pop("", None)
    return Destination(tuple(subsets.values()), policy)


def _differences(merged: _Merged, service: Service, client: Client) -> Iterator[str]:
    """Yield what makes the clusters of this client differ from those of others that see the same rules."""
    placed = any(endpoint.locality for endpoint in service.endpoints)
    locality = locality_of(client.labels)
    if merged.labels and placed and locality:
        yield f"from={locality.replace('/', '.')}"
    for name in sorted(merged.labels):
        if name in client.labels and name not in PLACE_LABELS:
            yield f"{name}={client.labels[name]}"
    if client.router and (merged.by_credential or service.resolution is Resolution.NONE):
        yield f"gateway={client.namespace}"  # whose Secrets they are, and which passes nothing through
