"""Who names what: the subsets, hosts and gateways that routes need, and the objects that define them.

Stage: plan (pure). Visibility (exportTo, the order of namespaces) is not looked at: a subset counts as
defined when any DestinationRule for its host has it, so that nothing is refused that may work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import Any, NamedTuple

from gitmesh.istio.hosts import covers, fully_qualified
from gitmesh.istio.routes import all_routes, referenced_destinations
from gitmesh.model.kinds import DESTINATION_RULE, GATEWAY, SERVICE_ENTRY, VIRTUAL_SERVICE, Kind
from gitmesh.model.resource import Resource, ResourceKey


class Need(NamedTuple):
    """One thing that a route names: a subset of a host, or (subset empty) the host itself."""

    host: str
    subset: str = ""

    def __str__(self) -> str:
        return f"subset {self.subset} of {self.host}" if self.subset else f"host {self.host}"


def is_kind(resource: Resource, *kinds: Kind) -> bool:
    """Say whether an object is of one of these kinds."""
    group, kind = resource.key[:2]
    return any(kind == k.kind and group == k.group for k in kinds)


def answers(offer: Need, need: Need) -> bool:
    """Say whether what is defined is what is needed; only an offer's wildcard stands for other hosts."""
    return offer.subset == need.subset and covers(offer.host, need.host)


def any_answered(offer: Need, needs: Set[Need]) -> bool:
    """Say whether an offer answers any of the needs."""
    if not offer.host.startswith("*"):
        return offer in needs
    return any(answers(offer, need) for need in needs)


def needs_of(service: Resource) -> frozenset[Need]:
    """Return every host and every subset that a VirtualService sends requests to."""
    return service.once(_needs_of)


def _needs_of(service: Resource) -> frozenset[Need]:
    destinations = referenced_destinations(service.spec, service.key.namespace)
    hosts = {Need(d.host) for d in destinations}
    return frozenset(hosts | {Need(d.host, d.subset) for d in destinations if d.subset})


def gateways_of(service: Resource) -> frozenset[ResourceKey]:
    """Return the keys of the Gateways that a VirtualService is bound to."""
    names = set(_texts(service.spec.get("gateways")))
    for route in all_routes(service.spec):
        for match in route.get("match") or ():
            names.update(_texts(match.get("gateways")))
    return frozenset(_gateway_key(name, service.key.namespace) for name in names if name != "mesh")


def _gateway_key(name: str, namespace: str) -> ResourceKey:
    place, _, short = name.rpartition("/")
    return GATEWAY.key(place or namespace, short)


def offers_of(resource: Resource) -> frozenset[Need]:
    """Return what an object defines: a DestinationRule its subsets, a ServiceEntry its hosts.

    The host of an offer may begin with a wildcard.
    """
    return resource.once(_offers_of)


def _offers_of(resource: Resource) -> frozenset[Need]:
    if is_kind(resource, DESTINATION_RULE):
        host = rule_host(resource)
        return frozenset(Need(host, name) for name in subsets_of(resource))
    if is_kind(resource, SERVICE_ENTRY):
        return frozenset(Need(host) for host in _texts(resource.spec.get("hosts")))
    return frozenset()


def rule_host(rule: Resource) -> str:
    """Return the fully qualified host of a DestinationRule."""
    return fully_qualified(str(rule.spec.get("host") or ""), rule.key.namespace)


def subsets_of(rule: Resource) -> dict[str, Any]:
    """Return the subsets of a DestinationRule by name."""
    entries = rule.spec.get("subsets")
    return {str(s.get("name")): s for s in entries if hasattr(s, "get")} if isinstance(entries, list) else {}


def _texts(values: object) -> tuple[str, ...]:
    return tuple(v for v in values if isinstance(v, str)) if isinstance(values, list) else ()


class Offers:
    """An index of everything that a set of objects defines."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._exact: set[Need] = set()
        self._wild: set[Need] = set()
        for resource in resources:
            for offer in offers_of(resource):
                (self._wild if offer.host.startswith("*") else self._exact).add(offer)

    def meets(self, need: Need) -> bool:
        """Say whether something defines what is needed."""
        return need in self._exact or any(answers(offer, need) for offer in self._wild)


def services_in(resources: Iterable[Resource]) -> Iterator[Resource]:
    """Yield the VirtualServices."""
    return (r for r in resources if is_kind(r, VIRTUAL_SERVICE))


def subset_needs(service: Resource) -> frozenset[Need]:
    """Return the subsets alone. A host may be a Service, which is none of our objects."""
    return service.once(_subset_needs)


def _subset_needs(service: Resource) -> frozenset[Need]:
    return frozenset(need for need in needs_of(service) if need.subset)


def missing_subsets(resources: Iterable[Resource]) -> dict[ResourceKey, frozenset[Need]]:
    """Return, for each VirtualService that names a subset which nothing defines, what it misses."""
    everything = tuple(resources)
    offers = Offers(everything)
    missing = {
        service.key: frozenset(need for need in subset_needs(service) if not offers.meets(need))
        for service in services_in(everything)
    }
    return {key: needs for key, needs in missing.items() if needs}
