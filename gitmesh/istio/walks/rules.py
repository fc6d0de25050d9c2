"""What a DestinationRule is on its way: twin subsets with the new policy, and routes that share with them.

Stage: decide, plan (pure). Each subset that will change gets a twin beside it for a while. Routes are walked
from the subset to its twin as they are from any destination to another one. At the end the rule is the target
itself, and no route names a twin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gitmesh.istio.canonical import canonical
from gitmesh.istio.hosts import fully_qualified
from gitmesh.istio.routes import PROTOCOLS, Destination, Route, Spec, destination_of, entries_of, routes_of
from gitmesh.istio.walks import services
from gitmesh.istio.walks.routes import MARK
from gitmesh.model.resource import content_hash
from gitmesh.model.stand import Stand

TWIN = "gitmesh"  # `<subset>-gitmesh-<digest of what it says>`
_NAME_MAX = 63  # Source: Istio's validation: a subset is a DNS label
_DIGEST = 8
_TWIN_NAME = re.compile(rf"(?:^|-){TWIN}-[0-9a-f]{{{_DIGEST}}}$")
_WALKED = frozenset({"trafficPolicy", "subsets"})
_PORTS = "portLevelSettings"
# Source: istio/istio, util.MergeTrafficPolicy: the settings of a port replace all of these, also by nothing.
_OF_A_PORT = ("connectionPool", "outlierDetection", "loadBalancer", "tls")

Policy = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Twin:
    """A subset that stands for another one for a while; for the host as a whole when `of` is empty."""

    host: str  # fully qualified
    of: str
    name: str
    content: Mapping[str, Any]


def effective(stable: Spec, target: Spec, stand: Stand, *, namespace: str = "") -> Spec:
    """Return the spec of the rule that should be live where the rollout stands.

    Subsets that only the target has are there from the start: nothing changes until a route names them.
    """
    if stand.is_end or not moves(stable, target):
        return target
    added = [] if stand.is_start else [twin.content for twin in twins(stable, target, namespace=namespace)]
    subsets = [*_subsets(with_added(stable, target)).values(), *added]
    return {**stable, "subsets": subsets} if subsets else stable


def with_added(stable: Spec, target: Spec) -> Spec:
    """Return the stable spec with the subsets that only the target has, each with all that it means there."""
    known = _subsets(stable)
    new = [
        _beside(stable, target, subset)
        for name, subset in _subsets(target).items()
        if name not in known and not is_twin(name)  # what is live may stand for what Git says
    ]
    if not new or stable.get("host") != target.get("host"):
        return stable
    return {**stable, "subsets": [*known.values(), *new]}


def moves(stable: Spec, target: Spec) -> bool:
    """Say whether there is something to walk, and twins can say it; else the target is live at once."""
    return not cannot_be_walked(stable, target) and bool(twins(stable, target))


def cannot_be_walked(stable: Spec, target: Spec) -> str:
    """Say why twins cannot stand for the target; empty when they can."""
    for name in sorted({*stable, *target} - _WALKED):
        if canonical(stable.get(name)) != canonical(target.get(name)):
            return f"{name} changes"
    inherited = set(_policy(stable)) - {_PORTS}
    for twin in twins(stable, target):
        if missing := inherited - set(_policy(twin.content)):
            return f"{min(missing)} of trafficPolicy goes, which a subset cannot say"
    return ""


def twins(stable: Spec, target: Spec, *, namespace: str = "") -> tuple[Twin, ...]:
    """Return a twin for each subset whose meaning changes, and for the host when its own policy does."""
    host = fully_qualified(str(target.get("host") or ""), namespace)
    old, new = _subsets(stable), _subsets(target)
    changing = {
        name: _beside(stable, target, new[name])
        for name in old
        if name in new and _meaning(stable, old[name]) != _meaning(target, new[name])
    }
    if _meaning(stable, {}) != _meaning(target, {}):
        changing[""] = _beside(stable, target, {})
    return tuple(_twin(host, name, content, stable) for name, content in changing.items())


def watched(stable: Spec, target: Spec, *, namespace: str = "") -> tuple[Destination, ...]:
    """Return the destinations to look at. Requests to a subset and to its twin look alike, so it is both."""
    return tuple(Destination(twin.host, twin.of) for twin in twins(stable, target, namespace=namespace))


def through(spec: Spec, given: Iterable[Twin], stand: Stand, *, namespace: str = "") -> Spec:
    """Return the spec of a VirtualService in which as many requests take the twins as the stand says."""
    named = {(twin.host, twin.of): twin.name for twin in given}
    if stand.is_start or stand.is_end or not named:
        return spec
    twinned = _renamed(spec, named, namespace)
    return spec if twinned is spec else services.effective(spec, twinned, stand, namespace=namespace)


def is_twin(name: str) -> bool:
    """Say whether a subset is there for a while only, by its name."""
    return _TWIN_NAME.search(name) is not None


def original(name: str, known: Iterable[str]) -> str:
    """Return the subset that a twin stands for; empty for the host as a whole."""
    begin = _TWIN_NAME.sub("", name)
    return next((other for other in known if begin and other.startswith(begin) and other != name), begin)


def without_twins(spec: Spec, host: str, originals: Mapping[str, str], *, namespace: str = "") -> Spec:
    """Return the spec of a VirtualService with each twin's share back on the subset that it stands for."""
    changed: dict[str, list[Route]] = {}
    for protocol in PROTOCOLS:
        routes = routes_of(spec, protocol)
        kept = [_without(route, host, originals, namespace) for route in routes]
        if kept != list(routes):
            changed[protocol] = [route for route in kept if route is not None]
    return {**spec, **changed} if changed else spec


def _without(route: Route, host: str, originals: Mapping[str, str], namespace: str) -> Route | None:
    """Return a route without twins; None for one that stands for another route only to share with a twin."""

    def is_ours(entry: Any) -> bool:
        to = destination_of(entry, namespace) if isinstance(entry, Mapping) else None
        return to is not None and to.host == host and to.subset in originals

    entries = entries_of(route)
    if any(is_ours(entry) for entry in entries):
        if str(route.get("name", "")).endswith(MARK):
            return None
        route = {**route, "route": _merged_back(entries, originals, is_ours, namespace)}
    mirrors = route.get("mirrors")
    if isinstance(mirrors, list) and any(is_ours(mirror) for mirror in mirrors):
        rest = [mirror for mirror in mirrors if not is_ours(mirror)]
        route = {**{n: v for n, v in route.items() if n != "mirrors"}, **({"mirrors": rest} if rest else {})}
    return route


def _merged_back(
    entries: Iterable[Mapping[str, Any]],
    originals: Mapping[str, str],
    is_ours: Callable[[Any], bool],
    namespace: str,
) -> list[Mapping[str, Any]]:
    found: dict[Destination, Mapping[str, Any]] = {}
    for entry in entries:
        if is_ours(entry):
            said = {name: value for name, value in entry["destination"].items() if name != "subset"}
            subset = originals[entry["destination"]["subset"]]
            entry = {**entry, "destination": {**said, **({"subset": subset} if subset else {})}}
        to = destination_of(entry, namespace)
        before = found.get(to)
        weight = (before or {}).get("weight", 0) + entry.get("weight", 0)
        found[to] = {**entry, "weight": weight} if before or "weight" in entry else entry
    return list(found.values())


def describe(stable: Spec, target: Spec, stand: Stand) -> str:
    """Write for people what is live where the rollout stands."""
    if stand.is_end or not moves(stable, target):
        return "the new policy"
    if stand.is_start:
        return "the stable policy"
    return f"{stand.progress:g} % of requests with the new policy"


def _renamed(spec: Spec, named: Mapping[tuple[str, str], str], namespace: str) -> Spec:
    changed: dict[str, list[Route]] = {}
    for protocol in PROTOCOLS:
        for index, route in enumerate(routes_of(spec, protocol)):
            entries = [_to_twin(entry, named, namespace) for entry in entries_of(route)]
            if entries != list(entries_of(route)):
                changed.setdefault(protocol, list(spec[protocol]))[index] = {**route, "route": entries}
    return {**spec, **changed} if changed else spec


def _to_twin(
    entry: Mapping[str, Any], named: Mapping[tuple[str, str], str], namespace: str
) -> Mapping[str, Any]:
    to = destination_of(entry, namespace)
    name = named.get((to.host, to.subset))
    return entry if name is None else {**entry, "destination": {**entry["destination"], "subset": name}}


def _twin(host: str, name: str, content: Mapping[str, Any], stable: Spec) -> Twin:
    """Name a twin by what it says: other content is another twin, which stands before routes leave this one.

    What it would inherit is part of that: the policy of the host stays the stable one meanwhile.
    """
    digest = content_hash([canonical(content), canonical(_policy(stable))])[:_DIGEST]
    begin = f"{name[: _NAME_MAX - _DIGEST - len(TWIN) - 2]}-" if name else ""
    twin = f"{begin}{TWIN}-{digest}"
    return Twin(host, name, twin, {**content, "name": twin})


def _subsets(spec: Spec) -> dict[str, Mapping[str, Any]]:
    subsets = spec.get("subsets")
    found = subsets if isinstance(subsets, list) else ()
    return {str(subset.get("name")): subset for subset in found if isinstance(subset, Mapping)}


def _policy(part: Mapping[str, Any]) -> Policy:
    policy = part.get("trafficPolicy")
    return canonical(policy) if isinstance(policy, Mapping) else {}


def _meaning(spec: Spec, subset: Mapping[str, Any]) -> Any:
    """Return all that a subset says, and all that it has from the rule."""
    return canonical({**_explicit(spec, subset), "name": ""})


def _explicit(spec: Spec, subset: Mapping[str, Any]) -> dict[str, Any]:
    """Return a subset that says itself what it would have from the rule."""
    policy = _merged(_policy(spec), _policy(subset))
    rest = {name: value for name, value in subset.items() if name != "trafficPolicy"}
    return {**rest, "trafficPolicy": policy} if policy else rest


def _beside(stable: Spec, target: Spec, subset: Mapping[str, Any]) -> dict[str, Any]:
    """Return a subset that means in the stable rule what it means in the target."""
    found = _explicit(target, subset)
    policy = _policy(found)
    said = [number for number, _ in _by_port(policy, {})]
    blocks = {name: policy[name] for name in _OF_A_PORT if name in policy}
    # What the stable rule says of a port would come in between.
    more = [
        {"port": {"number": number}, **blocks}
        for number, _ in _by_port(_policy(stable), {})
        if number not in said
    ]
    return {**found, "trafficPolicy": {**policy, _PORTS: [*policy.get(_PORTS, []), *more]}} if more else found


def _merged(above: Policy, own: Policy) -> dict[str, Any]:
    """Return the policy of a subset as one. Source: istio/istio, util.MergeTrafficPolicy."""
    merged = {**above, **own}
    ports = {**dict(_by_port(above, own)), **dict(_by_port(own, {}))}
    merged.pop(_PORTS, None)
    return {**merged, _PORTS: [ports[number] for number in sorted(ports)]} if ports else merged


def _by_port(policy: Policy, over: Policy) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the settings of each port, with what is said over them for every port."""
    settings = policy.get(_PORTS)
    for setting in settings if isinstance(settings, list) else ():
        port = setting.get("port") if isinstance(setting, Mapping) else None
        if isinstance(port, Mapping) and isinstance(number := port.get("number"), int):
            yield number, {**setting, **{name: over[name] for name in _OF_A_PORT if name in over}}
