"""Changes in an order in which no state in between names what does not exist.

Stage: plan (pure). Add what routes will name; move the routes; drop what no route names any more; deletes
last, in reverse. Source: istio.io, Traffic Management Best Practices, "Avoid 503 errors while reconfiguring
service routes".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from gitmesh.model.kinds import GATEWAY, TRAFFIC_KINDS, VIRTUAL_SERVICE
from gitmesh.model.plan import Change, ChangeKind, Wave
from gitmesh.model.resource import ResourceKey, ResourceSet
from gitmesh.plan.diff import diff
from gitmesh.plan.normalize import comparable, compared
from gitmesh.plan.references import (
    Need,
    Offers,
    any_answered,
    gateways_of,
    needs_of,
    offers_of,
    services_in,
)
from gitmesh.plan.widen import widened

_RANK = {kind.kind: rank for rank, kind in enumerate(TRAFFIC_KINDS)}

ADD = "add what routes name"
ROUTE = "move routes"
UNROUTE = "remove routes"
SHRINK = "drop what no route names any more"
REMOVE = "remove leftovers"


@dataclass(frozen=True, slots=True)
class _Parts:
    """The waves before settle times are known."""

    add: list[Change]
    route: list[Change]
    unroute: list[Change]
    shrink: list[Change]
    remove: list[Change]


def in_waves(changes: Iterable[Change], live: ResourceSet, settle_seconds: float) -> tuple[Wave, ...]:
    """Order changes into waves; `settle_seconds` is waited only where a later wave relies on the wait."""
    changes = tuple(changes)
    if not changes:
        return ()
    parts = _part(changes, live)
    pause = partial(_pause, settle_seconds)
    every = (
        Wave(ADD, tuple(parts.add), pause(_relies_on_added(parts, live))),
        Wave(ROUTE, tuple(parts.route), pause(_leaves_behind(parts.route, [*parts.shrink, *parts.remove]))),
        Wave(
            UNROUTE,
            tuple(parts.unroute),
            pause(_leaves_behind(parts.unroute, [*parts.shrink, *parts.remove])),
        ),
        Wave(SHRINK, tuple(parts.shrink)),
        Wave(REMOVE, tuple(parts.remove)),
    )
    waves = tuple(wave for wave in every if wave.changes)
    for wave in waves:
        assert len({change.key for change in wave.changes}) == len(wave.changes)
    return (*waves[:-1], replace(waves[-1], settle_seconds=0.0)) if waves else ()


def _pause(settle_seconds: float, needed: bool) -> float:
    return settle_seconds if needed else 0.0


def _part(changes: tuple[Change, ...], live: ResourceSet) -> _Parts:
    named = _named(changes, live)
    parts = _Parts([], [], [], [], [])
    for change in sorted(changes, key=_order):
        routes = change.key.kind == VIRTUAL_SERVICE.kind
        if change.kind is ChangeKind.DELETE:
            (parts.unroute if routes else parts.remove).append(change)
        elif routes:
            parts.route.append(change)
        else:
            first, then = _split(change, named)
            parts.add.extend(first)
            parts.shrink.extend(then)
    parts.unroute.reverse()
    parts.remove.reverse()
    return parts


def _order(change: Change) -> tuple[int, ResourceKey]:
    return _RANK.get(change.key.kind, 0), change.key


def _named(changes: tuple[Change, ...], live: ResourceSet) -> frozenset[Need]:
    """Return what any route names before the plan or after it; asked for only where something is taken."""
    if not any(_taken(change) for change in changes):
        return frozenset()
    services = [*services_in(live.values()), *services_in(c.after for c in changes if c.after)]
    return frozenset(need for service in services for need in needs_of(service))


def _split(change: Change, named: frozenset[Need]) -> tuple[list[Change], list[Change]]:
    """Part an update into one that only adds and one that takes away what a route names now or soon."""
    before, after = change.before, change.after
    if before is None or after is None:
        return [change], []
    between = widened(after, before, partial(any_answered, needs=named))
    if between is after:
        return [change], []
    added = diff(comparable(before, between), compared(between))
    rest = diff(compared(between), compared(after))
    reason = "keeps what routes still name until they have left"
    first = replace(change, after=between, fields=added, reason=f"{change.reason}; {reason}")
    version = before.resource_version  # until the first one is written, and then it is that one's
    then = replace(change, before=between.with_metadata(resourceVersion=version), fields=rest)
    if not added:
        return [], [then]
    # Who owns what is settled by the first of the two writes.
    return [first], [replace(then, takeover=None)]


def _relies_on_added(parts: _Parts, live: ResourceSet) -> bool:
    """Say whether a later wave counts on something that the first wave brings."""
    added = {offer for change in parts.add for offer in _brought(change)}
    if added:
        offers = Offers(live.values())
        added = {offer for offer in added if not offers.meets(offer)}
    gateways = {c.key for c in parts.add if c.kind is ChangeKind.CREATE and c.key.kind == GATEWAY.kind}
    routes = [c.after for c in parts.route if c.after]
    needs = frozenset(need for service in routes for need in needs_of(service))
    return (
        any(any_answered(offer, needs) for offer in added)
        or any(gateways & gateways_of(service) for service in routes)
        or bool(parts.add and (parts.shrink or _still_offered(parts)))
    )


def _still_offered(parts: _Parts) -> bool:
    """Say whether a leftover goes whose subsets or hosts the first wave defines in another object."""
    added = {o for c in parts.add if c.after for o in offers_of(c.after)}
    return any(c.before and added & offers_of(c.before) for c in parts.remove)


def _leaves_behind(routes: list[Change], gone: list[Change]) -> bool:
    """Say whether these routes named something that a later wave takes away."""
    services = [c.before for c in routes if c.before]
    needs = frozenset(need for service in services for need in needs_of(service))
    bound = {key for service in services for key in gateways_of(service)}
    return any(c.key in bound or any(any_answered(offer, needs) for offer in _taken(c)) for c in gone)


def _brought(change: Change) -> frozenset[Need]:
    after = offers_of(change.after) if change.after else frozenset()
    return after - offers_of(change.before) if change.before else after


def _taken(change: Change) -> frozenset[Need]:
    before = offers_of(change.before) if change.before else frozenset()
    return before - offers_of(change.after) if change.after else before
