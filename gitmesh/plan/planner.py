"""From effective and live to a plan.

Stage: plan (pure).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from gitmesh.model.plan import Change, ChangeKind, Plan, Refusal
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.model.source import OWNER_ANNOTATION, PRUNE_ANNOTATION, TrafficSourceSpec
from gitmesh.plan.diff import diff
from gitmesh.plan.guard import refuse_empty, refuse_many_deletes
from gitmesh.plan.normalize import comparable, compared, renewed, to_apply
from gitmesh.plan.references import Offers, any_answered, needs_of, offers_of, services_in
from gitmesh.plan.refusals import without_breaking
from gitmesh.plan.twins import sharers
from gitmesh.plan.waves import in_waves
from gitmesh.plan.widen import widened


@dataclass(frozen=True, slots=True)
class PlanInput:
    """Everything that a plan depends on.

    `live` holds every traffic object of the cluster, also those of others; `inventory` what this source
    owned by its last status. `moving` are the objects whose rollout record asks for something that has not
    been seen live yet: a difference there is no drift. `reasons` may say why an effective object is not as
    Git says (`plan.overlay.overlay_reasons`). `empty_source` is true when Git holds no traffic object at
    all, for then `effective` may still hold what was rolled back. `doubtful` are the objects of which a write
    was never answered: it may be carried out yet, so that what is live is not certain.
    """

    source: str
    revision: str
    effective: ResourceSet
    live: ResourceSet
    inventory: frozenset[ResourceKey]
    previous_revision: str
    spec: TrafficSourceSpec
    settle_seconds: float
    moving: frozenset[ResourceKey] = frozenset()
    reasons: Mapping[ResourceKey, str] = field(default_factory=dict)
    empty_source: bool = False
    doubtful: frozenset[ResourceKey] = frozenset()

    def owns(self, live: Resource) -> bool:
        """Say whether a live object is this source's: by its mark, or by inventory and nobody's mark."""
        owner = live.annotations.get(OWNER_ANNOTATION, "")
        return owner == self.source or (not owner and live.key in self.inventory)


def make_plan(given: PlanInput) -> Plan:
    """Return the ordered changes that turn live into effective, or the reasons not to."""
    owned = {key for key, resource in given.live.items() if given.owns(resource)} | given.inventory
    desired = 0 if given.empty_source else len(given.effective)
    if refusal := refuse_empty(desired, len(owned)):
        return Plan(given.source, given.revision, refusals=(refusal,))
    writes = [_write(given, given.effective[key]) for key in sorted(given.effective)]
    deletes = list(_deletes(given))
    if refusal := refuse_many_deletes(len(deletes), len(owned), given.spec.limits.delete_percent_max):
        return Plan(given.source, given.revision, refusals=(refusal,))
    return _planned(given, writes, deletes)


def make_rollback_plan(given: PlanInput, keys: Collection[ResourceKey]) -> Plan:
    """Return the plan for some keys alone: what was rolled back, which nothing else may hold up.

    It deletes nothing. Subsets and hosts that the rolled back specs name, and live lacks, come along; and so
    do the routes that have to leave the twins of a rolled back rule.
    """
    keys = frozenset(keys).union(*(sharers(key, given.effective, given.live) for key in keys))
    services = [given.effective[key] for key in sorted(keys) if key in given.effective]
    offers = Offers(given.live.values())
    lacking = frozenset(n for s in services_in(services) for n in needs_of(s) if not offers.meets(n))
    providers = [
        _only_wider(given, resource)
        for key, resource in sorted(given.effective.items())
        if key not in keys and any(any_answered(offer, lacking) for offer in offers_of(resource))
    ]
    return _planned(given, [_write(given, resource, urgent=True) for resource in [*providers, *services]], [])


def is_live(wanted: Resource, live: Resource, source: str) -> bool:
    """Say whether a live object is as wanted, with the marks of this source."""
    after = to_apply(wanted, source)
    return not diff(comparable(live, after), compared(after))


def _planned(given: PlanInput, writes: list[Change | Refusal | None], deletes: list[Change]) -> Plan:
    wanted = [w for w in writes if isinstance(w, Change)]
    changes, broken = without_breaking([*wanted, *deletes], given.live)
    refusals = (*(w for w in writes if isinstance(w, Refusal)), *broken)
    waves = in_waves(changes, given.live, given.settle_seconds)
    return Plan(given.source, given.revision, waves, refusals, unchanged=writes.count(None))


def _only_wider(given: PlanInput, resource: Resource) -> Resource:
    live = given.live.get(resource.key)
    return resource if live is None else widened(resource, live, lambda _: True)


def _write(given: PlanInput, resource: Resource, *, urgent: bool = False) -> Change | Refusal | None:
    """Return what has to be written for one object; None when it is right, or must be left alone."""
    after = to_apply(resource, given.source)
    live = given.live.get(resource.key)
    if live is not None and not given.owns(live):
        return _foreign(given, live, after)
    fields = diff(comparable(live, after), compared(after)) if live else ()
    if live is not None and not fields:
        if not (urgent and resource.key in given.doubtful):
            return None
        after = renewed(after, live)
    awaited = resource.key in given.moving
    moving = urgent or awaited or resource.key in given.doubtful
    known = live is not None or resource.key in given.inventory
    drift = known and not moving and given.previous_revision == given.revision
    if drift and not given.spec.heal:
        return None
    kind = ChangeKind.UPDATE if live else ChangeKind.CREATE
    reason = _reason(given, resource.key, live, drift=drift, moving=moving)
    return Change(
        kind,
        resource.key,
        live,
        after,
        fields,
        reason,
        drift=drift,
        force=live is not None,
        if_unchanged=awaited and not urgent,
    )


def _reason(given: PlanInput, key: ResourceKey, live: Resource | None, *, drift: bool, moving: bool) -> str:
    why = given.reasons.get(key) or ("rollout" if moving else "")
    if drift:
        happened = "was deleted" if live is None else "was changed"
        return f"drift: live {happened} by someone else" + (f"; {why}" if why else "")
    return why or ("new in Git" if live is None else "changed in Git")


def _foreign(given: PlanInput, live: Resource, after: Resource) -> Change | Refusal:
    """Refuse to touch what is not ours, unless its adoption was asked for. Nothing is taken from a source."""
    owner = live.annotations.get(OWNER_ANNOTATION, "")
    if owner:
        hint = "keep it in one of the two repositories, or remove that annotation to hand it over"
        return Refusal(f"it belongs to TrafficSource {owner} ({OWNER_ANNOTATION})", hint, live.key)
    if not given.spec.adopt:
        hint = "set spec.adopt: true on the TrafficSource to take it over, or rename it in Git"
        return Refusal("it exists already and does not come from this source", hint, live.key)
    fields = diff(comparable(live, after), compared(after))
    return Change(ChangeKind.UPDATE, live.key, live, after, fields, "adopted from the cluster", force=True)


def _deletes(given: PlanInput) -> Iterator[Change]:
    if not given.spec.prune:
        return
    for key, live in sorted(given.live.items()):
        kept = live.annotations.get(PRUNE_ANNOTATION) == "disabled"
        if key not in given.effective and given.owns(live) and not kept:
            yield Change(ChangeKind.DELETE, key, live, None, reason="no longer in Git")
