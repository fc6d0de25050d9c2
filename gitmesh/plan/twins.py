"""Routes that share with the twins of a DestinationRule's subsets, while a change of it is on its way.

Stage: plan (pure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from gitmesh.istio.walks import rules
from gitmesh.model.kinds import DESTINATION_RULE
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.model.source import OWNER_ANNOTATION
from gitmesh.plan.references import Need, is_kind, needs_of, rule_host, services_in, subsets_of

Records = Mapping[ResourceKey, RolloutRecord]


def sharing(effective: Mapping[ResourceKey, Resource], records: Records) -> dict[ResourceKey, Resource]:
    """Return the VirtualServices that share with twins, each as it should be live."""
    found: dict[ResourceKey, Resource] = {}
    for key, record in sorted(records.items()):
        if key.kind != DESTINATION_RULE.kind or key not in effective or not record.phase.in_motion:
            continue
        assert record.canary is not None
        twins = rules.twins(record.stable.spec, record.canary.spec, namespace=key.namespace)
        offered = subsets_of(effective[key])
        twins = tuple(twin for twin in twins if twin.name in offered)
        for service in list(services_in({**effective, **found}.values())):
            spec = rules.through(service.spec, twins, record.live_stand, namespace=service.key.namespace)
            if spec is not service.spec:
                found[service.key] = service.with_spec(spec)
    return found


def left_alone(
    effective: Mapping[ResourceKey, Resource], records: Records, live: ResourceSet
) -> dict[ResourceKey, Resource]:
    """Return the live VirtualServices that have to leave twins although Git cannot be asked for them."""
    found: dict[ResourceKey, Resource] = {}
    for key, record in sorted(records.items()):
        if key.kind != DESTINATION_RULE.kind or record.phase is not Phase.ROLLED_BACK or key not in live:
            continue
        rule = live[key]
        originals = {name: rules.original(name, subsets_of(rule)) for name in twins_of(rule)}
        for service in services_in({**live, **found}.values()):
            if service.key in effective or OWNER_ANNOTATION not in service.annotations:
                continue
            spec = rules.without_twins(
                service.spec, rule_host(rule), originals, namespace=service.key.namespace
            )
            if spec is not service.spec:
                found[service.key] = service.with_spec(spec)
    return found


def sharers(
    rule: ResourceKey, effective: Mapping[ResourceKey, Resource], live: ResourceSet
) -> frozenset[ResourceKey]:
    """Return the VirtualServices that share, or shared until now, with twins of a DestinationRule."""
    known = [resource for resource in (effective.get(rule), live.get(rule)) if resource is not None]
    needs = {Need(rule_host(r), name) for r in known if is_kind(r, DESTINATION_RULE) for name in twins_of(r)}
    if not needs:
        return frozenset()
    services = chain(services_in(effective.values()), services_in(live.values()))
    return frozenset(s.key for s in services if s.key in effective and needs & needs_of(s))


def twins_of(rule: Resource) -> Iterator[str]:
    """Yield the names of the twins among the subsets of a rule."""
    return (name for name in subsets_of(rule) if rules.is_twin(name))
