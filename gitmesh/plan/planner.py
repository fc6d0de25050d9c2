"""From effective and live to a plan.

Stage: plan (pure).
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gitmesh.model.field_managers import FieldManager
from gitmesh.model.plan import Change, ChangeKind, FieldChange, Plan, Refusal, Skipped
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.model.rollout import Hold
from gitmesh.model.source import OWNER_ANNOTATION, TrafficSourceSpec
from gitmesh.plan import adoption
from gitmesh.plan.alike import Alike
from gitmesh.plan.diff import diff
from gitmesh.plan.guard import clearly_within, excess_of, refuse_empty
from gitmesh.plan.normalize import comparable, compared, renewed, to_apply
from gitmesh.plan.opponents import Stance, opponents, stance
from gitmesh.plan.references import Offers, any_answered, needs_of, offers_of, services_in
from gitmesh.plan.refusals import unknown_rollout, without_breaking
from gitmesh.plan.skips import fought_over, kept, left_alone, never_pruned, not_healed, not_now
from gitmesh.plan.twins import sharers
from gitmesh.plan.waves import in_waves
from gitmesh.plan.widen import widened


@dataclass(frozen=True, slots=True)
class Resting:
    """What was written of an object that others change again and again; None: it was deleted."""

    content: Mapping[str, Any] | None
    text: str


@dataclass(frozen=True, slots=True)
class PlanInput:
    """Everything that a plan depends on.

    `live` holds every traffic object of the cluster, also those of others; `marked` those of them with the
    mark of this source, where that is known; `inventory` what this source owned by its last status.
    `moving` are the objects whose rollout record asks for something that has not been seen live yet: a
    difference there is no drift. `reasons` may say why an effective object is not as Git says
    (`plan.overlay.overlay_reasons`). `empty_source` is true when Git holds no traffic object at all, for then
    `effective` may still hold what was rolled back. `doubtful` are the objects of which a write was never
    answered: it may be carried out yet, so that what is live is not certain. `settled` are the objects of
    which this revision says the same as the one that was applied wholly before it: a difference there is
    drift. `walked` is what Git says of what rollouts walk. `resting` are objects that others change again
    and again: the same is not written again now. `kept` are never pruned. `deletes_wait` says why nothing is
    deleted now: all of it waits, because deletions have an order. Of what is `unread` there is a
    rollout of which nothing is known. `managers` says who owns which
    fields of the live objects; nothing is forced on an object not in it. `alike` knows what was compared.
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
    settled: Container[ResourceKey] = frozenset()
    walked: ResourceSet = field(default_factory=dict)
    resting: Mapping[ResourceKey, Resting] = field(default_factory=dict)
    kept: frozenset[ResourceKey] = frozenset()
    unread: frozenset[ResourceKey] = frozenset()
    deletes_wait: Hold | None = None
    managers: Mapping[ResourceKey, tuple[FieldManager, ...]] = field(default_factory=dict)
    marked: frozenset[ResourceKey] | None = None
    alike: Alike = field(default_factory=Alike, compare=False)

    def owns(self, live: Resource) -> bool:
        """Say whether a live object is this source's: by its mark, or by inventory and nobody's mark."""
        owner = live.annotations.get(OWNER_ANNOTATION, "")
        return owner == self.source or (not owner and live.key in self.inventory)

    @property
    def owned_min(self) -> int:
        """At least so many objects are this source's: known without looking at each."""
        return max(len(self.marked or ()), len(self.inventory))

    @property
    def owned(self) -> frozenset[ResourceKey]:
        """Every object that is this source's, or was by its last status."""
        marked = self.marked
        if marked is None:
            marked = frozenset(key for key, resource in self.live.items() if self.owns(resource))
        return marked | self.inventory


def make_plan(given: PlanInput) -> Plan:
    """Return the ordered changes that turn live into effective, or the reasons not to."""
    desired = 0 if given.empty_source else len(given.effective)
    if not desired and (refusal := refuse_empty(desired, len(given.owned))):
        return Plan(given.source, given.revision, refusals=(refusal,))
    look = given.alike.look(given.effective, given.live)
    todo = sorted(look.to_compare)
    writes = [_write(given, given.effective[key]) for key in todo]
    plan = _planned(given, writes, list(_deletes(given, look.left_over)))
    plan = replace(plan, unchanged=plan.unchanged + len(given.effective) - len(todo))
    if plan.is_empty or clearly_within(plan.changes(), given.owned_min, given.spec.limits):
        return plan
    return replace(plan, excess=excess_of(plan.changes(), given.owned, given.spec.limits))


def make_rollback_plan(given: PlanInput, keys: Collection[ResourceKey]) -> Plan:
    """Return the plan for some keys alone: what was rolled back, which nothing else may hold up.

    It deletes nothing, and asks for nobody's leave: neither for that of who wants an object left alone.
    Subsets and hosts that the rolled back specs name, and live lacks, come along; and so do the routes that
    have to leave the twins of a rolled back rule.
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


def make_removal_plan(given: PlanInput) -> Plan:
    """Return the plan that takes away all that a source owns, in reverse: routes before what they name.

    What somebody wants left alone, or never pruned, stays.
    """
    spec = given.spec.model_copy(update={"prune": True})
    nothing = replace(given, effective={}, spec=spec, resting={}, deletes_wait=None)
    return _planned(nothing, [], list(_deletes(nothing, given.live.keys())))


def is_live(wanted: Resource, live: Resource, given: PlanInput) -> bool:
    """Say whether a live object is as wanted, with the marks of this source."""
    return given.alike.holds(wanted, live) or not _differences(given, wanted, live)[1]


def _differences(
    given: PlanInput, wanted: Resource, live: Resource | None
) -> tuple[Resource, tuple[FieldChange, ...]]:
    """Return the object as it is applied, and the fields in which what is live differs from it."""
    after = to_apply(wanted, given.source)
    if live is None:
        return after, ()
    given.alike.compared += 1
    return after, diff(comparable(live, after), compared(after))


def _planned(
    given: PlanInput, writes: Sequence[Change | Refusal | Skipped | None], deletes: Sequence[Change | Skipped]
) -> Plan:
    outcomes = [*writes, *deletes]
    changes, broken = without_breaking([o for o in outcomes if isinstance(o, Change)], given.live)
    return Plan(
        given.source,
        given.revision,
        in_waves(changes, given.live, given.settle_seconds),
        (*(o for o in outcomes if isinstance(o, Refusal)), *broken),
        unchanged=writes.count(None),
        skipped=tuple(o for o in outcomes if isinstance(o, Skipped)),
    )


def _only_wider(given: PlanInput, resource: Resource) -> Resource:
    live = given.live.get(resource.key)
    return resource if live is None else widened(resource, live, lambda _: True)


def _write(
    given: PlanInput, resource: Resource, *, urgent: bool = False
) -> Change | Refusal | Skipped | None:
    """Return what has to be written for one object; None when it is right, or what to say when it is left."""
    live = given.live.get(resource.key)
    after, fields = _differences(given, resource, live)
    if not urgent and (skipped := left_alone(resource.key, live, resource, fields)):
        return skipped
    if live is not None and not given.owns(live):
        return _foreign(given, resource, live, after, fields)
    if live is not None and not fields:
        if not (urgent and resource.key in given.doubtful):
            given.alike.note(resource, live)
            return None
        after = renewed(after, live)
    if resource.key in given.unread:
        return unknown_rollout(resource.key)
    awaited = resource.key in given.moving
    moving = urgent or awaited or resource.key in given.doubtful
    drift = not moving and _is_drift(given, resource.key, live)
    if drift and not given.spec.heal:
        return not_healed(resource.key, fields)
    if not urgent and (skipped := _resting(given, resource.key, after.body, fields)):
        return skipped
    against = _against(given, resource, fields, urgent=urgent) if live else Stance()
    if isinstance(against, Refusal):
        return against
    return Change(
        ChangeKind.UPDATE if live else ChangeKind.CREATE,
        resource.key,
        live,
        after,
        fields,
        _reason(given, resource.key, live, drift=drift, moving=moving),
        drift=drift,
        force=against.force,
        if_unchanged=live is not None and not urgent,
        stands=drift or urgent or resource.key in given.settled,
        walks_to=_walked(given, resource.key),
        opponents=against.opponents,
        takeover=against.takeover,
    )


def _against(
    given: PlanInput, resource: Resource, fields: tuple[FieldChange, ...], *, urgent: bool
) -> Stance | Refusal:
    return stance(resource, fields, given.managers.get(resource.key), given.spec, urgent=urgent)


def _is_drift(given: PlanInput, key: ResourceKey, live: Resource | None) -> bool:
    known = live is not None or key in given.inventory
    return known and (given.previous_revision == given.revision or key in given.settled)


def _resting(
    given: PlanInput, key: ResourceKey, content: Mapping[str, Any] | None, fields: tuple[FieldChange, ...]
) -> Skipped | None:
    """Leave alone for a while what others change again and again; new content is written all the same."""
    found = given.resting.get(key)
    return fought_over(key, found.text, fields) if found and found.content == content else None


def _walked(given: PlanInput, key: ResourceKey) -> Resource | None:
    return to_apply(given.walked[key], given.source) if key in given.walked else None


def _reason(given: PlanInput, key: ResourceKey, live: Resource | None, *, drift: bool, moving: bool) -> str:
    why = given.reasons.get(key) or ("rollout" if moving else "")
    if drift:
        happened = "was deleted" if live is None else "was changed"
        return f"drift: live {happened} by someone else" + (f"; {why}" if why else "")
    return why or ("new in Git" if live is None else "changed in Git")


def _foreign(
    given: PlanInput, resource: Resource, live: Resource, after: Resource, fields: tuple[FieldChange, ...]
) -> Change | Refusal:
    """Refuse to touch what is not ours, unless its adoption was asked for. Nothing is taken from a source."""
    managers = given.managers.get(live.key, ())
    if refused := adoption.refusal(resource, live, managers, given.spec):
        return refused
    return Change(
        ChangeKind.UPDATE,
        live.key,
        live,
        after,
        fields,
        "adopted from the cluster",
        force=True,
        if_unchanged=True,
        opponents=opponents(fields, managers),
        takeover=adoption.takeover(managers),
    )


def _deletes(given: PlanInput, left_over: Collection[ResourceKey]) -> Iterator[Change | Skipped]:
    for key in sorted(left_over):
        live = given.live[key]
        if not given.owns(live):
            continue
        if skipped := left_alone(key, live, None):
            yield skipped
        elif never_pruned(live) or key in given.kept:
            yield kept(key)
        elif given.spec.prune and given.deletes_wait:
            yield not_now(key, given.deletes_wait.reason)
        elif given.spec.prune:
            why = "no longer in Git" if given.effective else "its TrafficSource is deleted"
            yield _resting(given, key, None, ()) or Change(ChangeKind.DELETE, key, live, None, reason=why)
