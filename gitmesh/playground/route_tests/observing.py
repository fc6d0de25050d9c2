"""From what came back of a request to what a route test speaks of.

Stage: playground (pure).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.resource import ResourceKey
from gitmesh.model.values import parse_duration
from gitmesh.playground.envoy.virtual_hosts import VirtualHosts, clusters_of, origin_of
from gitmesh.playground.route_tests.echo import ARRIVED, SEEN
from gitmesh.playground.route_tests.stubs import CLUSTER, PICK, ROUTE, RULE, SOURCE, percent_of
from gitmesh.playground.route_tests.wire import Received
from gitmesh.playground.translate.fault_filter import FAULT
from gitmesh.playground.translate.naming import Envoy, without_variant
from gitmesh.validate.guardrail_rules import path_of
from gitmesh.validate.route_tests.observed import Observed, Origin, Part, Reply, listed, percent_text

_OWN = frozenset({PICK, ROUTE, CLUSTER, SOURCE, RULE, ARRIVED, SEEN})
_REDIRECTS = range(301, 309)


@dataclass(frozen=True, slots=True)
class Taken:
    """The route that took a request, as Envoy names it; `message` as it was before anything was stubbed."""

    name: str
    cluster: str
    source: str
    rule: str
    message: Envoy


def taken_by(received: Received, hosts: VirtualHosts, authority: str) -> Taken:
    """Find the route that took a request."""
    named = [received.headers.get(name, "-") for name in (ROUTE, CLUSTER, SOURCE, RULE)]
    name, cluster, source, rule = ("" if value == "-" else value for value in named)
    host = hosts.of(authority) or {}
    for message in host.get("routes", ()):
        is_it = origin_of(message) == (source, rule) and message.get("name", "") == name
        if is_it and (not cluster or cluster in clusters_of(message)):
            return Taken(name, cluster, source, rule, message)
    return Taken(name, cluster, source, rule, {})


def picks(taken: Taken) -> list[int]:
    """Return for each weighted cluster a number that makes Envoy choose it."""
    entries = taken.message.get("route", {}).get("weighted_clusters", {}).get("clusters", ())
    found, start = [], 0
    for entry in entries:
        if entry["weight"]:
            found.append(start)
        start += entry["weight"]
    return found or [0]


def observe(taken: Taken, received: list[Received], namespace: str, reasons: tuple[str, ...]) -> Observed:
    """Return what becomes of a request. `received`: what came back for each share of it."""
    replies = tuple(_reply(one, namespace) for one in received)
    first = received[0]
    action = taken.message.get("route", {})
    arrived = ARRIVED in first.headers
    location = first.headers.get("location", "") if first.status in _REDIRECTS and not arrived else ""
    parts = tuple(_parts(taken, action)) if arrived else ()
    timeout = parse_duration(str(action.get("timeout", "15s"))).total_seconds()
    return Observed(
        says=listed(parts, namespace) + _sometimes(taken.message) if arrived else _own_reply(taken, first),
        parts=parts,
        copies=tuple(_copies(action)) if arrived else (),
        replies=replies,
        location=location,
        sent_on=arrived,
        timeout_seconds=timeout or None,
        retries=_retries(action),
        origin=_origin(taken),
        reasons=reasons,
    )


def _own_reply(taken: Taken, received: Received) -> str:
    if received.status in _REDIRECTS and "location" in received.headers:
        return f"redirect {received.status} to {received.headers['location']}"
    if not taken.message:
        return f"{received.status}: no route takes it"
    return f"{received.status}: the proxy answers itself"


def _reply(received: Received, namespace: str) -> Reply:
    headers = {name: value for name, value in received.headers.items() if name not in _OWN}
    if ARRIVED not in received.headers:
        return Reply("", arrives=False, status=received.status, response_headers=headers)
    seen = json.loads(received.headers.get(SEEN) or received.body or "{}")
    cluster = received.headers.get(CLUSTER, "")
    return Reply(
        label=_part(cluster, 100).label(namespace),
        arrives=True,
        status=received.status,
        path=str(seen.get("path", "")),
        authority=str(seen.get("authority", "")),
        request_headers={n: v for n, v in seen.get("headers", {}).items() if n not in _OWN},
        response_headers=headers,
    )


def _parts(taken: Taken, action: Envoy) -> Iterator[Part]:
    entries = action.get("weighted_clusters", {}).get("clusters", ())
    total = sum(entry["weight"] for entry in entries)
    if not total:
        yield _part(taken.cluster, 100.0)
    for entry in entries:
        if entry["weight"]:
            yield _part(entry["name"], 100 * entry["weight"] / total)


def _copies(action: Envoy) -> Iterator[Part]:
    for mirror in action.get("request_mirror_policies", ()):
        fraction = mirror.get("runtime_fraction", {}).get("default_value")
        yield _part(mirror.get("cluster", ""), 100.0 if fraction is None else percent_of(fraction))


def _part(cluster: str, percent: float) -> Part:
    """Read the name of a cluster: `outbound|9080|v1|reviews.default.svc.cluster.local`."""
    words = without_variant(cluster).split("|")
    if len(words) != 4 or not words[1].isdecimal():
        return Part(cluster, percent=percent)
    return Part(words[3], words[2], int(words[1]), percent)


def _retries(action: Envoy) -> int:
    policy: Mapping[str, object] | None = action.get("retry_policy")
    return int(str(policy.get("num_retries", 1))) if policy else 0


def _sometimes(message: Envoy) -> str:
    abort = message.get("typed_per_filter_config", {}).get(FAULT, {}).get("abort")
    if not abort:
        return ""
    status = abort.get("http_status", "an error")
    return f" (but {status} for {percent_text(percent_of(abort.get('percentage')))}: a fault)"


def _origin(taken: Taken) -> Origin | None:
    namespace, _, name = taken.source.partition("/")
    if not name:
        return None
    key: ResourceKey = VIRTUAL_SERVICE.key(namespace, name)
    return Origin(key, path_of(taken.rule), taken.name)
