"""How a DestinationRule spreads requests: hashes, tables, places.

Stage: validate (pure). Source: istio/istio pkg/config/validation, validateLoadBalancer, and
agent/validation.go, ValidateLocalityLbSetting.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from gitmesh.istio.models.traffic_policy import (
    ConsistentHash,
    HTTPCookie,
    LoadBalancer,
    LocalityLbSetting,
    Maglev,
    Warmup,
)
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.subject import Path, Subject, dotted

_TABLE_SIZE_LIMIT = 5_000_011
_TOPOLOGY = (
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.istio.io/subzone",
)
_EVERYTHING = "*"


def check_load_balancer(
    subject: Subject, balancer: LoadBalancer, path: Path, *, ejects: bool
) -> Iterator[Diagnostic]:
    """Yield what is wrong; `ejects`: the same policy has outlierDetection."""
    if balancer.consistent_hash is not None:
        yield from _hash(subject, balancer.consistent_hash, (*path, "consistentHash"))
    locality = balancer.locality_lb_setting
    if locality is not None:
        where = (*path, "localityLbSetting")
        yield from _locality(subject, locality, where)
        if (locality.failover or locality.failover_priority) and not ejects:
            field = "failover" if locality.failover else "failoverPriority"
            message = f"{field} does nothing without outlierDetection in the same policy"
            hint = "add outlierDetection: without it no endpoint counts as failing"
            yield subject.finding("GM143", message, (*where, field), hint=hint, wants_key=True)
    if balancer.warmup is not None:
        yield from _warmup(subject, balancer.warmup, (*path, "warmup"))


def _warmup(subject: Subject, warmup: Warmup, path: Path) -> Iterator[Diagnostic]:
    if warmup.aggression is not None and warmup.aggression < 1:
        message = f"aggression must be at least 1, found {warmup.aggression:g}"
        yield subject.finding("GM106", message, (*path, "aggression"))


def _hash(subject: Subject, hashing: ConsistentHash, path: Path) -> Iterator[Diagnostic]:
    if hashing.http_cookie is not None:
        yield from _cookie(subject, hashing.http_cookie, (*path, "httpCookie"))
    if hashing.minimum_ring_size and (hashing.ring_hash is not None or hashing.maglev is not None):
        message = f"minimumRingSize excludes ringHash and maglev in {dotted(path)}"
        where = (*path, "minimumRingSize")
        yield subject.finding("GM105", message, where, hint="use ringHash.minimumRingSize", wants_key=True)
    if hashing.maglev is not None:
        yield from _table(subject, hashing.maglev, (*path, "maglev"))


def _cookie(subject: Subject, cookie: HTTPCookie, path: Path) -> Iterator[Diagnostic]:
    if not cookie.name:
        yield subject.finding("GM126", f"{dotted(path)}.name is empty", (*path, "name"))
    seen: set[str] = set()
    for index, attribute in enumerate(cookie.attributes):
        where: Path = (*path, "attributes", index, "name")
        if not attribute.name:
            yield subject.finding("GM126", f"{dotted(where)} is empty", where)
        elif attribute.name in seen:
            message = f"the attribute {attribute.name[:60]} is there twice"
            yield subject.finding("GM110", message, where, hint="keep one of them")
        seen.add(attribute.name)


def _table(subject: Subject, maglev: Maglev, path: Path) -> Iterator[Diagnostic]:
    size = maglev.table_size or 0
    reason = ""
    if not size:
        reason = "tableSize must be set"
    elif size >= _TABLE_SIZE_LIMIT:
        reason = f"tableSize must be less than {_TABLE_SIZE_LIMIT}"
    elif not _is_prime(size):
        reason = f"tableSize must be a prime number; {size} is none"
    if reason:
        hint = "65537 is what Envoy takes by itself"
        yield subject.finding("GM106", reason, (*path, "tableSize"), hint=hint)


def _is_prime(number: int) -> bool:
    if number < 4 or number % 2 == 0:
        return number in (1, 2, 3)  # Envoy counts 1 as prime here
    return all(number % factor for factor in range(3, math.isqrt(number) + 1, 2))


def _locality(subject: Subject, setting: LocalityLbSetting, path: Path) -> Iterator[Diagnostic]:
    if setting.distribute and setting.failover:
        message = f"distribute and failover exclude each other in {dotted(path)}"
        yield subject.finding("GM105", message, (*path, "failover"), hint="keep one of them", wants_key=True)
        return
    for index, label in enumerate(setting.failover_priority if setting.failover else ()):
        if label in _TOPOLOGY:
            message = f"failover and the label {label} in failoverPriority exclude each other"
            yield subject.finding("GM105", message, (*path, "failoverPriority", index), hint="keep one")
    yield from _distribution(subject, setting, path)
    yield from _failover(subject, setting, path)


def _distribution(subject: Subject, setting: LocalityLbSetting, path: Path) -> Iterator[Diagnostic]:
    sources: list[str] = []
    for index, share in enumerate(setting.distribute):
        where: Path = (*path, "distribute", index)
        sources.append(share.from_ or "")
        for place, weight in share.to.items():
            if not 1 <= weight <= 100:
                message = f"the weight of {place[:60]} must be 1 to 100, found {weight}"
                yield subject.finding("GM133", message, (*where, "to", place))
        total = sum(share.to.values())
        if total != 100:
            message = f"the weights of {dotted(where)}.to add up to {total}, not to 100"
            yield subject.finding("GM133", message, (*where, "to"), wants_key=bool(share.to))
        if reason := _places_problem(sorted(share.to, key=_widest_first)):
            yield subject.finding("GM133", reason, (*where, "to"), wants_key=True)
    if reason := _places_problem(sources):
        yield subject.finding("GM133", reason, (*path, "distribute"), wants_key=True)


def _places_problem(places: Iterable[str]) -> str:
    """Say which of the places (region/zone/subzone) is malformed, or included in one before it.

    A wildcard after places that it includes is fine: Istio asks only what came before.
    """
    taken: set[tuple[str, ...]] = set()
    above: set[tuple[str, ...]] = set()
    for place in places:
        parts = tuple(place.split("/", 2))
        if not all(parts) or "*" in place[:-1]:
            return f"{place[:60]!r} is not a place: region/zone/subzone, with * at the end only"
        wild = parts[-1] == _EVERYTHING
        plain = parts[:-1] if wild else parts
        ancestors = {plain[:length] for length in range(len(plain))}
        if plain in taken or ancestors & taken or (not wild and plain in above):
            return f"{place[:60]!r} overlaps with another place of the list"
        taken.add(plain)
        above |= ancestors
    return ""


def _widest_first(place: str) -> tuple[bool, int]:
    return (not place.endswith(_EVERYTHING), place.count("/"))


def _failover(subject: Subject, setting: LocalityLbSetting, path: Path) -> Iterator[Diagnostic]:
    for index, pair in enumerate(setting.failover):
        where: Path = (*path, "failover", index)
        regions = (pair.from_ or "", pair.to or "")
        if regions[0] == regions[1]:
            message = f"{dotted(where)} leads from a region to itself"
            yield subject.finding("GM133", message, where)
        for field, region in zip(("from", "to"), regions, strict=True):
            if "/" in region or "*" in region:
                message = f"{region[:60]!r} is not a region: failover knows neither zones nor wildcards"
                yield subject.finding("GM133", message, (*where, field))
