"""What should be live now: what Git says, overlaid with where each rollout stands.

Stage: plan (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from gitmesh.istio.walks import rules
from gitmesh.istio.walks.way import way_of
from gitmesh.model.edition import Edition, changed_between
from gitmesh.model.kinds import DESTINATION_RULE
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.model.rollout import Phase, RolloutRecord, Snapshot
from gitmesh.model.source import OWNER_ANNOTATION
from gitmesh.model.stand import Stand
from gitmesh.plan.alike import Alike, LaidOver
from gitmesh.plan.references import Need, Offers, any_answered, needs_of, offers_of, services_in
from gitmesh.plan.twins import left_alone, sharers, sharing
from gitmesh.plan.widen import widened


def overlay(
    desired: ResourceSet,
    records: Mapping[ResourceKey, RolloutRecord],
    live: ResourceSet,
    alike: Alike | None = None,
) -> ResourceSet:
    """Return the effective resources.

    A rollout in motion has its weights in between; one that waits or was rolled back has its stable spec.
    Subsets and hosts that such a spec still names stay, also when Git dropped them; so do those of the stable
    spec that a rollout in motion would go back to, at 100 % too. With nothing desired
    (Git cannot be read) what was rolled back is still known, and stays so on the live object. `alike`
    knows what was alike before, and so can lack nothing.
    """
    alike = alike or Alike()
    if not desired:
        effective: ResourceSet = {
            key: live[key].with_spec(record.stable.spec)
            for key, record in records.items()
            if record.phase is Phase.ROLLED_BACK and key in live
        }
    else:
        laid = {k: _overlaid(desired[k], records[k], alike) for k in records if k in desired}
        effective = _merged(desired, laid, alike)
    effective = _with(effective, left_alone(effective, records, live))
    effective = _with(effective, sharing(effective, records))
    return _with_retained(effective, records, live, alike)


def _merged(desired: ResourceSet, laid: ResourceSet, alike: Alike) -> ResourceSet:
    """Do as `_with`, and return the very same as the last time while both are the same again."""
    known = alike.merged
    if known is None or known[0] is not desired or not _same(known[1], laid):
        known = alike.merged = desired, laid, _merged_anew(desired, laid, known)
    return known[2]


def _merged_anew(
    desired: ResourceSet, laid: ResourceSet, known: tuple[ResourceSet, ResourceSet, ResourceSet] | None
) -> ResourceSet:
    result = _with(desired, laid)
    since = changed_between(known[0], desired) if known is not None and result is not desired else None
    if known is None or since is None:
        return result
    moved = {key for key in laid.keys() | known[1].keys() if laid.get(key) is not known[1].get(key)}
    return Edition(result, known[2], since | moved)


def _same(one: ResourceSet, other: ResourceSet) -> bool:
    return one.keys() == other.keys() and all(one[key] is found for key, found in other.items())


def _with(resources: ResourceSet, others: ResourceSet) -> ResourceSet:
    """Return the one with the other laid over it; the very same where that changes nothing."""
    changed = {key: other for key, other in others.items() if other is not resources.get(key)}
    return {**resources, **changed} if changed else resources


def overlay_reasons(
    desired: ResourceSet, records: Mapping[ResourceKey, RolloutRecord], effective: ResourceSet
) -> Mapping[ResourceKey, str]:
    """Say, for each object that is not as Git says, why."""
    return {} if effective is desired else _Reasons(desired, records, effective)


class _Reasons(Mapping[ResourceKey, str]):
    """Put into words when somebody asks: mostly nothing has to be written, and nobody does."""

    def __init__(
        self, desired: ResourceSet, records: Mapping[ResourceKey, RolloutRecord], effective: ResourceSet
    ) -> None:
        self._desired = desired
        self._records = records
        self._effective = effective
        self._shared = _why_shared(records, effective)

    def __getitem__(self, key: ResourceKey) -> str:
        resource, record = self._effective[key], self._records.get(key)
        if resource is self._desired.get(key):
            raise KeyError(key)
        if record is None or (record.phase is Phase.SUCCEEDED and key in self._shared):
            return self._shared.get(key) or _why_retained(self._desired.get(key), resource)
        return _why(record)

    def __iter__(self) -> Iterator[ResourceKey]:
        as_in_git = self._desired.get
        return (key for key, resource in self._effective.items() if resource is not as_in_git(key))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _why_shared(
    records: Mapping[ResourceKey, RolloutRecord], effective: ResourceSet
) -> dict[ResourceKey, str]:
    return {
        key: f"shares with {rule.kind} {rule.name}: {_why(record)}"
        for rule, record in records.items()
        if rule.kind == DESTINATION_RULE.kind
        for key in sharers(rule, effective, {})
    }


def _overlaid(resource: Resource, record: RolloutRecord, alike: Alike) -> Resource:
    if record.phase is Phase.SUCCEEDED:
        alike.laid.pop(resource.key, None)
        return resource
    stand = record.live_stand if record.phase.in_motion else None
    # What Git has for the same way waits, while nothing may go forward.
    target = record.canary if stand and record.awaits else None
    known = alike.laid.get(resource.key)
    if known is None or not known.is_for(resource, stand, record.stable, target):
        result = _laid_over(resource, record, stand, target)
        known = alike.laid[resource.key] = LaidOver(resource, stand, record.stable, target, result)
    return known.result


def _laid_over(
    resource: Resource, record: RolloutRecord, stand: Stand | None, target: Snapshot | None
) -> Resource:
    if stand is None:
        is_rule = resource.key.kind == DESTINATION_RULE.kind
        stable = record.stable.spec
        return resource.with_spec(rules.with_added(stable, resource.spec) if is_rule else stable)
    way = way_of(record, resource.key.namespace, target.spec if target else resource.spec)
    spec = way.at(stand)
    return resource if spec is resource.spec else resource.with_spec(spec)


def _with_retained(
    effective: ResourceSet, records: Mapping[ResourceKey, RolloutRecord], live: ResourceSet, alike: Alike
) -> ResourceSet:
    """Keep from live what effective routes, and those of a way back, name and nothing effective defines."""
    look = alike.look(effective, live)
    changed = [*(key for key in look.to_compare if key in live), *sorted(look.left_over)]
    dropped = [key for key in changed if _drops(live[key], effective.get(key))]
    if not dropped:
        return effective
    ways_back = [
        effective[key].with_spec(record.stable.spec)
        for key, record in records.items()
        if record.phase.in_motion and key in effective
    ]
    lacking = _lacking([*effective.values(), *ways_back])
    result = dict(effective)
    for key in dropped:
        resource = live[key]
        if not any(any_answered(offer, lacking) for offer in offers_of(resource)):
            continue
        wanted = effective.get(key)
        kept = resource if wanted is None else widened(wanted, resource, partial(any_answered, needs=lacking))
        result[key] = kept
    return result


def _drops(live: Resource, wanted: Resource | None) -> bool:
    """Say whether a live object of ours defines what the effective one does not."""
    if OWNER_ANNOTATION not in live.annotations:
        return False
    return bool(offers_of(live) - offers_of(wanted) if wanted is not None else offers_of(live))


def _lacking(effective: Iterable[Resource]) -> frozenset[Need]:
    resources = tuple(effective)
    offers = Offers(resources)
    needs = {need for service in services_in(resources) for need in needs_of(service)}
    return frozenset(need for need in needs if not offers.meets(need))


def _why(record: RolloutRecord) -> str:
    if record.phase is Phase.ROLLED_BACK:
        return f"rolled back ({record.message})" if record.message else "rolled back"
    if record.phase is Phase.WAITING:
        return f"waits: {record.message}"
    if record.live_stand != record.stand:
        why = "by a failed check" if record.failed_checks else "until its window opens"
        return f"rollout held at {record.live_stand.progress:g} % {why}"
    return f"rollout at {record.progress:g} % ({record.weights})"


def _why_retained(wanted: Resource | None, kept: Resource) -> str:
    if wanted is None:
        return "gone from Git, kept because a route still names it"
    names = sorted(need.subset or need.host for need in offers_of(kept) - offers_of(wanted))
    return f"keeps {', '.join(names)}, gone from Git, because a route still names it"
