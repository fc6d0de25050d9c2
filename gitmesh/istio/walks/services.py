"""What a VirtualService is on its way: the spec that is live where a rollout stands.

Stage: decide, plan (pure). At the end it is the target itself, so nothing that is there for a while is left;
and after a rollback it is the stable spec itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gitmesh.istio.canonical import canonical
from gitmesh.istio.routes import Destination, Spec, routes_of
from gitmesh.istio.walks.canary import HTTP, conditions_of, with_chosen, with_copies
from gitmesh.istio.walks.conditions import Condition, of_share
from gitmesh.istio.walks.request_ids import share_of
from gitmesh.istio.walks.routes import cannot_be_walked, says_all, walked
from gitmesh.istio.weights import (
    changed_destinations,
    describe_weights,
    growing_destinations,
    interpolate,
    moves_weight,
    same_course,
)
from gitmesh.model.policy import Walk
from gitmesh.model.stand import Stand


def effective(stable: Spec, target: Spec, stand: Stand, *, namespace: str = "") -> Spec:
    """Return the spec that should be live where the rollout stands.

    By weights: the target, with its weights on the way. By routes: the HTTP rules of both, told apart by the
    ids of requests; everything else as by weights, and before the first step the stable spec.
    """
    if stand.is_end:
        return target
    if not walks_routes(stable, target, stand.walk):
        return _by_weights(stable, target, stand, namespace)
    if stand.is_start:
        return stable
    return _by_routes(stable, target, stand, namespace)


def walks_routes(stable: Spec, target: Spec, walk: Walk) -> bool:
    """Say whether the HTTP rules differ, and are walked by the ids of requests."""
    old, new = routes_of(stable, HTTP), routes_of(target, HTTP)
    asked = walk is Walk.ROUTES and canonical(old) != canonical(new)
    return asked and not cannot_be_walked([*old, *new])


def moves(stable: Spec, target: Spec, walk: Walk, *, namespace: str = "") -> bool:
    """Say whether there is a way to walk; else the target is live at once."""
    return walks_routes(stable, target, walk) or moves_weight(stable, target, namespace=namespace)


def stays_on_course(stable: Spec, one: Spec, other: Spec, walk: Walk, *, namespace: str = "") -> bool:
    """Say whether what was seen on the way to one target was seen on the way to the other too."""
    if walks_routes(stable, one, walk) or walks_routes(stable, other, walk):
        return bool(canonical(one) == canonical(other))
    return same_course(stable, one, other, namespace=namespace)


def watched(stable: Spec, target: Spec, walk: Walk, *, namespace: str = "") -> tuple[Destination, ...]:
    """Return the destinations to look at: those that take a larger share, else those of what differs."""
    grown = growing_destinations(stable, target, namespace=namespace)
    if not walks_routes(stable, target, walk):
        return grown or changed_destinations(stable, target, namespace=namespace)
    found = dict.fromkeys([*grown, *changed_destinations(stable, target, namespace=namespace)])
    return tuple(found)


def describe(stable: Spec, target: Spec, stand: Stand, *, namespace: str = "") -> str:
    """Write for people what is live where the rollout stands, for example `v1 75, v2 25`."""
    by_routes = walks_routes(stable, target, stand.walk)
    if stand.is_end:
        return describe_weights(target)
    parts = [f"{stand.progress:g} % of requests take the new routes" if by_routes and stand.progress else ""]
    if not by_routes:
        parts = [describe_weights(interpolate(stable, target, stand.progress, namespace=namespace))]
    elif not stand.progress:
        parts = [describe_weights(stable)]
    count = len(stand.matches)
    parts += [f"{count} {'match' if count == 1 else 'matches'} on the canary" if count else ""]
    parts += [f"copies of {stand.mirror:g} % to the canary" if stand.mirror else ""]
    return "; ".join(part for part in parts if part)


def _by_weights(stable: Spec, target: Spec, stand: Stand, namespace: str) -> Spec:
    spec = interpolate(stable, target, stand.progress, namespace=namespace)
    if stand.mirror:
        spec = with_copies(spec, stable, target, stand.mirror, namespace, of_stable=False)
    if stand.matches:
        spec = with_chosen(spec, stable, target, tuple(conditions_of(stand.matches)), namespace)
    return spec


def _by_routes(stable: Spec, target: Spec, stand: Stand, namespace: str) -> Spec:
    old, new = routes_of(stable, HTTP), routes_of(target, HTTP)
    if stand.mirror:
        copied = with_copies(stable, stable, target, stand.mirror, namespace, of_stable=True)
        old = routes_of(copied, HTTP)
    conditions = _conditions(stand, new)
    rules = walked(old, new, conditions) if conditions else list(old)
    if stand.progress <= 0:
        # Only requests are there already that were chosen; what has no requests begins with the first step.
        return {**stable, HTTP: rules}
    rest = interpolate(_without_http(stable), _without_http(target), stand.progress, namespace=namespace)
    return {**rest, HTTP: rules} if rules else rest


def _conditions(stand: Stand, new: Sequence[Any]) -> tuple[Condition, ...]:
    """Return who is chosen. A match that cannot be said of every new rule chooses nobody: halves of two lists
    of rules are neither of them.
    """
    found = [condition for condition in conditions_of(stand.matches) if says_all(new, condition)]
    if share := share_of(stand.progress):
        found.insert(0, of_share(share))
    return tuple(found)


def _without_http(spec: Spec) -> dict[str, Any]:
    return {name: value for name, value in spec.items() if name != HTTP}
