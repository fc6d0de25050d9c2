"""Changes that are refused one by one, because they would leave a route without its subset.

Stage: plan (pure).
"""

from __future__ import annotations

from collections.abc import Iterable

from gitmesh.model.kinds import DESTINATION_RULE, VIRTUAL_SERVICE
from gitmesh.model.plan import Change, Refusal
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.plan.references import (
    Need,
    Offers,
    any_answered,
    is_kind,
    missing_subsets,
    offers_of,
    rule_host,
    services_in,
    subset_needs,
)


def without_breaking(
    changes: Iterable[Change], live: ResourceSet
) -> tuple[tuple[Change, ...], tuple[Refusal, ...]]:
    """Leave out changes after which some route would name a subset that nothing defines.

    What is broken already, and not made worse, is nobody's fault here. A refused change may break another
    one, so this is repeated until nothing is left to refuse.
    """
    kept = {change.key: change for change in changes}
    refusals = list(_refuse_rebound(kept, live))
    if not any(_may_break(change) for change in kept.values()):
        return tuple(kept.values()), tuple(refusals)
    before = missing_subsets(live.values())
    while True:
        after = missing_subsets(_state_after(kept.values(), live).values())
        broken = {key: needs - before.get(key, frozenset()) for key, needs in after.items()}
        found = [r for key, needs in sorted(broken.items()) if needs for r in _refuse(key, needs, kept)]
        if not found:
            return tuple(kept.values()), tuple(refusals)
        refusals.extend(found)


def unknown_rollout(key: ResourceKey) -> Refusal:
    """Refuse to write an object of whose rollout nothing is known: it might give a canary more."""
    return Refusal(
        "the status of its TrafficRollout makes no sense: nothing is known of where its rollout stands",
        "put that status right, or delete the TrafficRollout to begin anew",
        key,
    )


def _may_break(change: Change) -> bool:
    """Say whether a change names a subset that was not named before, or takes one away."""
    before, after = change.before, change.after
    named = subset_needs(after) if after is not None and is_kind(after, VIRTUAL_SERVICE) else frozenset()
    known = subset_needs(before) if before is not None and is_kind(before, VIRTUAL_SERVICE) else frozenset()
    return bool(named - known or _offers(before) - _offers(after))


def _refuse(service: ResourceKey, needs: frozenset[Need], kept: dict[ResourceKey, Change]) -> list[Refusal]:
    """Take out the change that is to blame: the route's own, else what takes the subset away from it."""
    names = ", ".join(str(need) for need in sorted(needs))
    if kept.pop(service, None):
        reason = f"it would name {names}, which no DestinationRule in the cluster or in Git defines"
        return [Refusal(reason, "put the subset into a DestinationRule, or route to another one", service)]
    guilty = [key for key, change in kept.items() if _takes(change, needs)]
    for key in guilty:
        del kept[key]
    hint = f"change {service} first, or keep the subset"
    return [Refusal(f"{service} still names {names}", hint, key) for key in guilty]


def _takes(change: Change, needs: frozenset[Need]) -> bool:
    taken = offers_of(change.before) if change.before else frozenset()
    return any(any_answered(offer, needs) for offer in taken - (_offers(change.after)))


def _offers(resource: Resource | None) -> frozenset[Need]:
    return offers_of(resource) if resource else frozenset()


def _state_after(changes: Iterable[Change], live: ResourceSet) -> dict[ResourceKey, Resource]:
    state = dict(live)
    for change in changes:
        if change.after is None:
            state.pop(change.key, None)
        else:
            state[change.key] = change.after
    return state


def _refuse_rebound(kept: dict[ResourceKey, Change], live: ResourceSet) -> Iterable[Refusal]:
    """Refuse a DestinationRule that moves to another host while routes name its subsets there.

    One object cannot serve the old host and the new one in between.
    """
    rebound = [(key, change) for key, change in kept.items() if _is_rebound(change)]
    if not rebound:
        return
    named = frozenset(need for service in services_in(live.values()) for need in subset_needs(service))
    for key, change in rebound:
        assert change.before is not None
        assert change.after is not None
        others = Offers(r for k, r in live.items() if k != key)
        needed = [o for o in offers_of(change.before) if any_answered(o, named) and not others.meets(o)]
        if needed:
            del kept[key]
            yield Refusal(
                f"its host changes to {rule_host(change.after)} while routes name {min(needed)}",
                "add a new DestinationRule for the new host, and remove this one in a later commit",
                key,
            )


def _is_rebound(change: Change) -> bool:
    before, after = change.before, change.after
    if before is None or after is None or change.key.kind != DESTINATION_RULE.kind:
        return False
    return rule_host(before) != rule_host(after)
