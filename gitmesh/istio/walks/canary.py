"""Rules and copies for a canary beside the weights: chosen requests go there wholly, others leave a copy.

Stage: decide, plan (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gitmesh.istio.routes import Route, RoutePair, Spec, pair_routes, read_destination, routes_of
from gitmesh.istio.walks.conditions import Condition, UnsayableError, narrowed_where_possible, of_match
from gitmesh.istio.walks.routes import marked
from gitmesh.istio.weights import growing_entries
from gitmesh.model.steps import RequestMatch

HTTP = "http"
Rules = list[Mapping[str, Any]]


def conditions_of(matches: Iterable[RequestMatch]) -> Iterator[Condition]:
    """Yield what the matches ask, as far as it can be said."""
    for match in matches:
        try:
            yield of_match(match)
        except UnsayableError:
            continue


def growing(stable: Spec, target: Spec, namespace: str) -> Iterator[tuple[RoutePair, list[dict[str, Any]]]]:
    """Yield each HTTP route that moves weight, with the entries that gain, weighted by how much they do."""
    for pair in pair_routes(stable, target):
        if pair.protocol == HTTP and (entries := growing_entries(pair, namespace)):
            yield pair, entries


def with_chosen(
    spec: Spec, stable: Spec, target: Spec, conditions: Sequence[Condition], namespace: str
) -> Spec:
    """Return a spec with the target's routes in which the chosen requests take what grows."""
    before: dict[int, Mapping[str, Any]] = {}
    for pair, entries in growing(stable, target, namespace):
        if match := narrowed_where_possible(pair.target, conditions):
            name = marked(pair.target)
            before[pair.index] = {**pair.target, "name": name, "match": match, "route": entries}
    rules: Rules = []
    for index, route in enumerate(routes_of(spec, HTTP)):
        if index in before:
            rules.append(before[index])
        rules.append(route)
    return {**spec, HTTP: rules} if before else spec


def with_copies(
    spec: Spec, stable: Spec, target: Spec, percent: float, namespace: str, *, of_stable: bool
) -> Spec:
    """Return a spec in which what grows gets copies of so many percent of the requests of its routes.

    `of_stable` says whether the rules of the spec are those of the stable spec, or those of the target.
    """
    rules: Rules = list(routes_of(spec, HTTP))
    for pair, entries in growing(stable, target, namespace):
        at = pair.stable_index if of_stable else pair.index
        rules[at] = _copying(rules[at], entries, percent, namespace)
    return {**spec, HTTP: rules} if rules else spec


def _copying(
    route: Route, entries: Sequence[Mapping[str, Any]], percent: float, namespace: str
) -> Mapping[str, Any]:
    """Add mirrors to a route. Source: Istio, HTTPRoute: `mirror` and `mirrors` exclude each other."""
    mirrors = list(_mirrors_of(route))
    known = {read_destination(mirror.get("destination"), namespace) for mirror in mirrors}
    total = sum(entry.get("weight", 1) for entry in entries)
    for entry in entries:
        if read_destination(entry["destination"], namespace) not in known:
            value = percent * entry.get("weight", 1) / total
            mirrors.append({"destination": entry["destination"], "percentage": {"value": value}})
    old = ("mirror", "mirrorPercent", "mirror_percent", "mirrorPercentage")
    return {**{name: value for name, value in route.items() if name not in old}, "mirrors": mirrors}


def _mirrors_of(route: Route) -> Iterator[Mapping[str, Any]]:
    mirrors = route.get("mirrors")
    yield from (m for m in mirrors if isinstance(m, Mapping)) if isinstance(mirrors, list) else ()
    if isinstance(route.get("mirror"), Mapping):
        deprecated = route.get("mirrorPercent", route.get("mirror_percent", 100))
        percentage = route.get("mirrorPercentage") or {"value": deprecated}
        yield {"destination": route["mirror"], "percentage": percentage}
