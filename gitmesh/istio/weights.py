"""Weights on the way from the stable spec to the target spec of a VirtualService.

Stage: decide, plan (pure). Specs are plain mappings; everything but weights passes through untouched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from gitmesh.istio.canonical import canonical
from gitmesh.istio.routes import (
    Destination,
    Route,
    RoutePair,
    Spec,
    all_routes,
    destination_of,
    entries_of,
    pair_routes,
)

# Below this sum a step of one percent could not be written, so a smaller sum is multiplied while on the way.
RESOLUTION = 100

_Leg = tuple[Destination, int]  # the n-th entry with this destination, counted from 0


@dataclass(frozen=True, slots=True)
class _Ramp:
    """One route on its way: per leg the entry to write, and where its weight starts and ends."""

    entries: tuple[Mapping[str, Any], ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]


def interpolate(stable_spec: Spec, target_spec: Spec, progress: float, *, namespace: str = "") -> Spec:
    """Return the target spec with its weights `progress` percent of the way from the stable weights.

    Only routes that exist in both specs ramp. At 100 the result is `target_spec` itself. Weights only move
    in one direction as progress grows, and each route keeps the sum of the target's weights (a sum below
    100 is multiplied until it can express one percent). `namespace` is that of the VirtualService.
    """
    if progress >= 100:
        return target_spec
    routes: dict[str, list[Any]] = {}
    for pair in pair_routes(stable_spec, target_spec):
        ramp = _ramp(pair, namespace)
        if ramp is None:
            continue
        moved = {**pair.target, "route": _write(ramp, progress)}
        routes.setdefault(pair.protocol, list(target_spec[pair.protocol]))[pair.index] = moved
    return {**target_spec, **routes} if routes else target_spec


def moves_weight(stable_spec: Spec, target_spec: Spec, *, namespace: str = "") -> bool:
    """Say whether any route that exists in both specs splits its traffic differently."""
    return any(_ramp(pair, namespace) for pair in pair_routes(stable_spec, target_spec))


def same_course(stable_spec: Spec, one: Spec, other: Spec, *, namespace: str = "") -> bool:
    """Say whether two targets move the same weights of the stable spec to the same shares."""
    return _course(stable_spec, one, namespace) == _course(stable_spec, other, namespace)


def growing_destinations(
    stable_spec: Spec, target_spec: Spec, *, namespace: str = ""
) -> tuple[Destination, ...]:
    """Return the destinations that take a larger share of some route in the target."""
    growing: dict[Destination, None] = {}
    for pair in pair_routes(stable_spec, target_spec):
        if _ramp(pair, namespace) is None:
            continue
        before = _shares(pair.stable, namespace)
        for leg, share in _shares(pair.target, namespace).items():
            if share > before.get(leg, 0):
                growing[leg[0]] = None
    return tuple(growing)


def growing_entries(pair: RoutePair, namespace: str) -> list[dict[str, Any]]:
    """Return the entries of a route that gain, weighted by how much they do; empty when none does.

    A lone entry has no weight: it takes everything.
    """
    ramp = _ramp(pair, namespace)
    if ramp is None:
        return []
    gains = [max(end - start, 0) for start, end in zip(ramp.starts, ramp.ends, strict=True)]
    grown = [{**entry, "weight": gain} for entry, gain in zip(ramp.entries, gains, strict=True) if gain]
    if len(grown) == 1:
        del grown[0]["weight"]
    return grown


def changed_destinations(
    stable_spec: Spec, target_spec: Spec, *, namespace: str = ""
) -> tuple[Destination, ...]:
    """Return the destinations of each route that is new or differs; of all routes when none does."""
    pairs = pair_routes(stable_spec, target_spec)
    changed = [p.target for p in pairs if p.stable is None or canonical(p.stable) != canonical(p.target)]
    found: dict[Destination, None] = {}
    for route in changed or [p.target for p in pairs]:
        found.update({leg[0]: None for leg, share in _shares(route, namespace).items() if share})
    return tuple(found)


def served_by(spec: Spec, *, namespace: str = "") -> frozenset[tuple[str, str]]:
    """Return host and subset of everything that takes a share of some route."""
    legs = (item for route in all_routes(spec) for item in _shares(route, namespace).items())
    return frozenset((destination.host, destination.subset) for (destination, _), share in legs if share)


def describe_weights(spec: Spec) -> str:
    """Write the split of each route for people: `v1 75, v2 25`; several routes are parted by semicolons."""
    texts: dict[str, None] = {}
    for route in all_routes(spec):
        entries = entries_of(route)
        weights = _weights(entries)
        labels = [destination_of(entry, "").label for entry in entries]
        if len(set(labels)) < len(labels):
            labels = [_long_label(destination_of(entry, "")) for entry in entries]
        parts = [f"{label} {weight}" for label, weight in zip(labels, weights, strict=True)]
        if parts:
            texts[", ".join(parts)] = None
    return "; ".join(texts)


def _long_label(destination: Destination) -> str:
    host = destination.host.partition(".")[0]
    name = f"{host}/{destination.subset}" if destination.subset else host
    return f"{name}:{destination.port}" if destination.port else name


def _weights(entries: Sequence[Mapping[str, Any]]) -> list[int]:
    """Read weights as Istio does: a lone destination takes everything, whatever it says.

    Source: istio/istio pilot/pkg/networking/core/route: one destination becomes `cluster`, without weight.
    """
    weights = [_weight(entry) for entry in entries]
    return [weights[0] or RESOLUTION] if len(weights) == 1 else weights


def _weight(entry: Mapping[str, Any]) -> int:
    weight = entry.get("weight")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight > 0:
        return 0
    return int(weight)


def _legs(entries: Sequence[Mapping[str, Any]], namespace: str) -> tuple[_Leg, ...]:
    seen: dict[Destination, int] = {}
    legs: list[_Leg] = []
    for entry in entries:
        destination = destination_of(entry, namespace)
        legs.append((destination, seen.get(destination, 0)))
        seen[destination] = seen.get(destination, 0) + 1
    return tuple(legs)


def _shares(route: Route | None, namespace: str) -> dict[_Leg, Fraction]:
    entries = entries_of(route or {})
    weights = _weights(entries)
    total = sum(weights)
    legs = _legs(entries, namespace)
    return {leg: Fraction(w, total) for leg, w in zip(legs, weights, strict=True)} if total else {}


def _course(stable_spec: Spec, target_spec: Spec, namespace: str) -> dict[tuple[str, int], Any]:
    """Say where each moving route is going. The stable spec does not change, so its indexes are names."""
    return {
        (pair.protocol, pair.stable_index): {
            leg: share for leg, share in _shares(pair.target, namespace).items() if share
        }
        for pair in pair_routes(stable_spec, target_spec)
        if _ramp(pair, namespace)
    }


def _ramp(pair: RoutePair, namespace: str) -> _Ramp | None:
    """Lay out the way of one route; None when it is new or splits its traffic as before."""
    before, after = _shares(pair.stable, namespace), _shares(pair.target, namespace)
    if not before or not after or _without_zeros(before) == _without_zeros(after):
        return None
    old_entries, new_entries = entries_of(pair.stable or {}), entries_of(pair.target)
    old = dict(zip(_legs(old_entries, namespace), old_entries, strict=True))
    new = dict(zip(_legs(new_entries, namespace), new_entries, strict=True))
    legs = [*new, *(leg for leg in old if leg not in new)]
    total = _total(_weights(old_entries), _weights(new_entries))
    return _Ramp(
        entries=tuple(new.get(leg) or old[leg] for leg in legs),
        starts=_apportion(total, [before.get(leg, Fraction(0)) for leg in legs]),
        ends=_apportion(total, [after.get(leg, Fraction(0)) for leg in legs]),
    )


def _without_zeros(shares: dict[_Leg, Fraction]) -> dict[_Leg, Fraction]:
    return {leg: share for leg, share in shares.items() if share}


def _total(old: list[int], new: list[int]) -> int:
    """Choose the sum to write: the target's, which is anybody's guess when it has one destination only."""
    total = sum(new) if len(new) > 1 else max(RESOLUTION, sum(old) if len(old) > 1 else 0)
    return total * -(-RESOLUTION // total)


def _write(ramp: _Ramp, progress: float) -> list[dict[str, Any]]:
    """Move whole units of weight from the shrinking legs to the growing ones."""
    deltas = [end - start for start, end in zip(ramp.starts, ramp.ends, strict=True)]
    distance = sum(delta for delta in deltas if delta > 0)
    units = _units(distance, progress)
    gained = _apportion_units(units, [max(delta, 0) for delta in deltas])
    lost = _apportion_units(units, [max(-delta, 0) for delta in deltas])
    weights = [start + g - s for start, g, s in zip(ramp.starts, gained, lost, strict=True)]
    assert sum(weights) == sum(ramp.ends)
    assert all(weight >= 0 for weight in weights)
    return [{**entry, "weight": weight} for entry, weight in zip(ramp.entries, weights, strict=True)]


def _units(distance: int, progress: float) -> int:
    """Return how many units move; at least one once the ramp has begun, or no evidence would ever come."""
    if progress <= 0 or distance == 0:
        return 0
    return max(1, int(Fraction(distance) * Fraction(progress) / 100 + Fraction(1, 2)))


def _apportion(total: int, shares: Sequence[Fraction]) -> tuple[int, ...]:
    """Round shares of `total` to whole numbers with that sum, by largest remainder; ties go to the first."""
    exact = [share * total for share in shares]
    whole = [int(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (whole[i] - exact[i], i))
    for index in by_remainder[: total - sum(whole)]:
        whole[index] += 1
    return tuple(whole)


def _apportion_units(units: int, parts: Sequence[int]) -> list[int]:
    """Split `units` in proportion to `parts`, so that no part loses when `units` grows.

    This is Webster's method. Largest remainder would take a unit back now and then (the Alabama paradox),
    and a weight that shrinks while its rollout advances is noise for whoever watches it.
    """
    total = sum(parts)
    if total == 0:
        return [0] * len(parts)
    won = [int(Fraction(units * part, total) + Fraction(1, 2)) for part in parts]
    while sum(won) < units:
        open_parts = [i for i, part in enumerate(parts) if part]
        won[min(open_parts, key=lambda i: (Fraction(2 * won[i] + 1, parts[i]), i))] += 1
    while sum(won) > units:
        winners = [i for i, count in enumerate(won) if count]
        won[max(winners, key=lambda i: (Fraction(2 * won[i] - 1, parts[i]), i))] -= 1
    return won
