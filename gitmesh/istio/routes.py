"""Identity of routes and destinations inside VirtualService specs.

Stage: decide, plan (pure). A route is the same route when its name is the same, else when its match
conditions are; its place in the list says nothing, because people insert routes above it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gitmesh.istio.canonical import canonical
from gitmesh.istio.hosts import fully_qualified

Spec = Mapping[str, Any]
Route = Mapping[str, Any]

PROTOCOLS = ("http", "tls", "tcp")


@dataclass(frozen=True, slots=True, order=True)
class Destination:
    """Where a route sends requests. `host` is fully qualified; subset and port may be empty (0)."""

    host: str
    subset: str = ""
    port: int = 0

    @property
    def label(self) -> str:
        """How people call it: the subset, else the first part of the host."""
        name = self.subset or self.host.partition(".")[0]
        return f"{name}:{self.port}" if self.port else name


@dataclass(frozen=True, slots=True)
class RoutePair:
    """One route of the target and the route that it was in the stable spec (None: it is new)."""

    protocol: str
    index: int  # in the target's list of this protocol
    target: Route
    stable: Route | None
    stable_index: int = -1


def routes_of(spec: Spec, protocol: str) -> tuple[Route, ...]:
    """Return the routes of one protocol, in order; empty where the spec has none."""
    return _mappings(spec.get(protocol))


def _mappings(values: Any) -> tuple[Mapping[str, Any], ...]:
    """Read a list of mappings. What is none counts as an empty one, so that places in the list stay."""
    if not isinstance(values, list):
        return ()
    return tuple(v if isinstance(v, (dict, Mapping)) else {} for v in values)


def all_routes(spec: Spec) -> Iterator[Route]:
    """Yield every route of every protocol."""
    for protocol in PROTOCOLS:
        yield from routes_of(spec, protocol)


def entries_of(route: Route) -> tuple[Mapping[str, Any], ...]:
    """Return the weighted destinations of a route; empty for a redirect, direct response or delegate."""
    return _mappings(route.get("route"))


def read_destination(destination: Any, namespace: str) -> Destination | None:
    """Read a `destination` (also of a mirror); None when it names no host."""
    if not isinstance(destination, (dict, Mapping)) or not isinstance(destination.get("host"), str):
        return None
    port = destination.get("port")
    number = port.get("number") if isinstance(port, (dict, Mapping)) else None
    return Destination(
        fully_qualified(destination["host"], namespace),
        str(destination.get("subset") or ""),
        number if isinstance(number, int) else 0,
    )


def destination_of(entry: Mapping[str, Any], namespace: str) -> Destination:
    """Return the identity of one entry of `route`."""
    return read_destination(entry.get("destination"), namespace) or Destination("")


def referenced_destinations(spec: Spec, namespace: str) -> frozenset[Destination]:
    """Return every destination that the spec names: routes, whatever their weight, and mirrors."""
    found: set[Destination | None] = set()
    for route in all_routes(spec):
        found.update(read_destination(entry.get("destination"), namespace) for entry in entries_of(route))
        found.add(read_destination(route.get("mirror"), namespace))
        mirrors = _mappings(route.get("mirrors"))
        found.update(read_destination(mirror.get("destination"), namespace) for mirror in mirrors)
    return frozenset(destination for destination in found if destination is not None)


def pair_routes(stable: Spec, target: Spec) -> tuple[RoutePair, ...]:
    """Find for each route of the target the stable route that it continues.

    Equal name and match first, then equal name, then equal match (also when a route got or lost its name).
    Each stable route is used once: of two routes with equal conditions only the first ever takes a request.
    """
    pairs: list[RoutePair] = []
    for protocol in PROTOCOLS:
        olds, news = routes_of(stable, protocol), routes_of(target, protocol)
        chosen = _match(olds, news)
        for index, route in enumerate(news):
            at = chosen.get(index)
            old = None if at is None else olds[at]
            pairs.append(RoutePair(protocol, index, route, old, -1 if at is None else at))
    return tuple(pairs)


def _match(olds: tuple[Route, ...], news: tuple[Route, ...]) -> dict[int, int]:
    chosen: dict[int, int] = {}
    for identity in (_name_and_match, _name, _conditions):
        free: dict[str, list[int]] = {}
        for index, route in enumerate(olds):
            if index not in chosen.values() and (name := identity(route)):
                free.setdefault(name, []).append(index)
        for index, route in enumerate(news):
            if index not in chosen and free.get(name := identity(route)):
                chosen[index] = free[name].pop(0)
    return chosen


def _name(route: Route) -> str:
    return str(route.get("name") or "")


def _conditions(route: Route) -> str:
    """Return the match conditions as text; the conditions of a list are alternatives, so order is nothing."""
    alternatives = _mappings(route.get("match"))
    return json.dumps(sorted(json.dumps(canonical(a), sort_keys=True) for a in alternatives))


def _name_and_match(route: Route) -> str:
    return f"{_name(route)} {_conditions(route)}"
