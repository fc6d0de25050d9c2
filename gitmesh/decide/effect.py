"""Whether requests go where the weights of a VirtualService say: the measured shares against the expected.

Stage: decide (pure). How far a share may be off follows from how many requests there were: a share is
contradicted when it would be less likely than `ALPHA` if the weights were in effect.
Source: Hoeffding, "Probability inequalities for sums of bounded random variables", JASA 58 (1963), theorem 1:
of n requests, each taking its way with probability p, the chance that a share of q or more takes it is at
most exp(-n KL(q, p)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from gitmesh.istio.hosts import fully_qualified
from gitmesh.istio.routes import destination_of, entries_of, routes_of
from gitmesh.model.resource import Resource
from gitmesh.model.rollout import Target

ALPHA = 1e-4
# Of a thousand requests one may have been on its way when the routes changed.
SHARE_MIN = 0.001
# So near the expected share the measured one has to be known before it counts as confirmed, in points of 1.
PRECISION = 0.1
REQUESTS_MIN = 20

Version = tuple[str, str]  # qualified host, version: what request metrics tell apart


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the requests one version may take, from 0 to 1: routes with conditions leave a range."""

    target: Target
    low: float
    high: float

    @property
    def says_nothing(self) -> bool:
        """True when every share is right."""
        return self.low <= 0.0 and self.high >= 1.0


class Fit(Enum):
    """How measured shares fit the expected ones."""

    CONFIRMED = auto()
    CONTRADICTED = auto()
    TOO_FEW = auto()


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison came to. `figures` are for people: `v1 took 49.5 % (75 % expected)`."""

    fit: Fit
    requests: float
    figures: str


def expected(
    service: Resource, resolve: Callable[[str, str], Target], versions: Callable[[str], Iterable[Target]]
) -> tuple[Share, ...]:
    """Return the share of each version that metrics can tell apart; nothing when no share would be wrong.

    `versions(host)` are all the versions of a host that DestinationRules name: those that the VirtualService
    does not name are to take nothing.
    """
    routes = [_shares(route, service, resolve) for route in routes_of(service.spec, "http")]
    routes = [shares for shares in routes if shares]
    named = {version for shares in routes for version in shares}
    if not routes or any(not version for _, version in named):
        return ()
    known: dict[Version, Target] = {}
    for host in sorted({host for host, _ in named}):
        for target in versions(host):
            known.setdefault((target.host, target.version), target)
    for shares in routes:
        for at, (target, _) in shares.items():
            known.setdefault(at, target)
    found = []
    for at, target in sorted(known.items()):
        parts = [shares[at][1] if at in shares else 0.0 for shares in routes]
        found.append(Share(target, min(parts), max(parts)))
    if len(found) < 2 or all(share.says_nothing for share in found):
        return ()
    return tuple(found)


def _shares(
    route: Mapping[str, object], service: Resource, resolve: Callable[[str, str], Target]
) -> dict[Version, tuple[Target, float]]:
    entries = entries_of(route)
    weights = [entry.get("weight") for entry in entries]
    numbers = [float(w) if isinstance(w, int | float) else 0.0 for w in weights]
    if len(entries) == 1:
        numbers = [1.0]
    total = sum(numbers)
    found: dict[Version, tuple[Target, float]] = {}
    for entry, number in zip(entries, numbers, strict=True):
        destination = destination_of(entry, service.key.namespace)
        target = resolve(destination.host, destination.subset)
        at = (target.host, target.version)
        before = found[at][1] if at in found else 0.0
        found[at] = target, before + (number / total if total else 0.0)
    return found


def compare(shares: tuple[Share, ...], counts: Mapping[Target, float]) -> Compared:
    """Compare counted requests with the expected shares."""
    total = sum(counts[share.target] for share in shares)
    figures = ", ".join(_figures(share, counts[share.target], total) for share in shares)
    if total <= 0:
        return Compared(Fit.TOO_FEW, 0.0, figures)
    if any(_is_contradicted(share, counts[share.target], total) for share in shares):
        return Compared(Fit.CONTRADICTED, total, figures)
    enough = max(_needed(share) for share in shares)
    return Compared(Fit.CONFIRMED if total >= enough else Fit.TOO_FEW, total, figures)


def _is_contradicted(share: Share, count: float, total: float) -> bool:
    measured = count / total
    low, high = max(share.low - SHARE_MIN, 0.0), min(share.high + SHARE_MIN, 1.0)
    if low <= measured <= high:
        return False
    nearest = high if measured > high else low
    return total * _divergence(measured, nearest) > -math.log(ALPHA)


def _divergence(measured: float, supposed: float) -> float:
    """Return the Kullback-Leibler divergence of two shares."""
    parts = ((measured, supposed), (1.0 - measured, 1.0 - supposed))
    return sum(a * math.log(a / b) if b > 0 else math.inf for a, b in parts if a > 0)


def _needed(share: Share) -> float:
    """Return how many requests tell a share that is off by PRECISION from one that is right."""
    if share.says_nothing:
        return 0.0
    spread = max(edge * (1.0 - edge) for edge in (share.low, share.high))
    return max(REQUESTS_MIN, -2.0 * math.log(ALPHA) * spread / PRECISION**2)


def _figures(share: Share, count: float, total: float) -> str:
    name = share.target.subset or share.target.version
    low, high = (f"{100 * edge:.4g}" for edge in (share.low, share.high))
    wanted = f"{low} %" if low == high else f"{low} to {high} %"
    measured = f"{100 * count / total:.3g} %" if total > 0 else "nothing"
    return f"{name} took {measured} ({wanted} expected)"


def also_ruled_elsewhere(service: Resource) -> str:
    """Say why requests to these destinations may be none of this VirtualService's; empty when all are.

    Requests are counted by where they go, whoever sends them.
    """
    spec, namespace = service.spec, service.key.namespace
    gateways, visible = spec.get("gateways"), spec.get("exportTo")
    if isinstance(gateways, list) and gateways and "mesh" not in gateways:
        return "it rules only what comes through gateways"
    if isinstance(visible, list) and visible and "*" not in visible:
        return "exportTo limits who sees it"
    hosts = {fully_qualified(str(host), namespace) for host in spec.get("hosts") or ()}
    if {host for host, _ in _named(service)} - hosts:
        return "its destinations are reached by other hosts too"
    limits = ("sourceLabels", "sourceNamespace", "gateways")
    for route in routes_of(spec, "http"):
        for match in route.get("match") or ():
            if isinstance(match, Mapping) and any(name in match for name in limits):
                return "some of its rules are for certain callers only"
    return ""


def _named(service: Resource) -> Iterator[tuple[str, str]]:
    for route in routes_of(service.spec, "http"):
        for entry in entries_of(route):
            destination = destination_of(entry, service.key.namespace)
            yield destination.host, destination.subset
