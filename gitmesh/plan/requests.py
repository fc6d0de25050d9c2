"""Which requests change hands when a plan is carried out.

Stage: plan (pure). Requests are derived from the conditions of the old and of the new rules; each is put to
both. What one request shows stands for all that meet the same conditions, as long as no other rule takes
some of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from gitmesh.istio.hosts import CLUSTER_DOMAIN
from gitmesh.istio.matching.answer import Answer
from gitmesh.istio.matching.conditions import MESH
from gitmesh.istio.matching.gateways import Server, servers_of
from gitmesh.istio.matching.outcome import Forward, NoRoute, Outside, Redirect, Respond, Share
from gitmesh.istio.matching.reading import NOTHING, integer, labels
from gitmesh.istio.matching.request import Caller
from gitmesh.istio.matching.samples import Sample, sample_of
from gitmesh.istio.matching.services import Service, service_from_host
from gitmesh.istio.matching.traffic import Traffic
from gitmesh.istio.matching.virtual_services import VirtualService
from gitmesh.model.kinds import GATEWAY, VIRTUAL_SERVICE
from gitmesh.model.plan import Change, Plan
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet

HOSTS_MAX = 200
REQUESTS_PER_HOST_MAX = 100
SHOWN_MAX = 20
_PORT = 80
_SUFFIX = f".svc.{CLUSTER_DOMAIN}"
# What is created now is younger than all that is there.
_YOUNGEST = "9999-12-31T23:59:59Z"


@dataclass(frozen=True, slots=True)
class MovedRequest:
    """Requests that go elsewhere afterwards, in words."""

    request: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.request}: {self.before} -> {self.after}"

    def as_json(self) -> dict[str, Any]:
        """Return the form that programs read."""
        return {"request": self.request, "before": self.before, "after": self.after}


def moved_requests(plan: Plan, live: ResourceSet) -> tuple[MovedRequest, ...]:
    """Return the requests that change hands between `live` and what the plan makes of it."""
    changed = [change for change in plan.changes() if _is(change.key, VIRTUAL_SERVICE.kind)]
    if not changed:
        return ()
    old, new = live, _state_after(plan.changes(), live)
    old_sources, new_sources = _sources(old), _sources(new)
    hosts = _hosts_of(changed, [*old_sources, *new_sources])
    known = tuple(_services([*old_sources, *new_sources]))
    before, after = Traffic(old, services=known), Traffic(new, services=known)
    gateways = [r for r in {**old, **new}.values() if _is(r.key, GATEWAY.kind)]
    found: dict[MovedRequest, None] = {}
    for host in hosts[:HOSTS_MAX]:
        sources = [s for s in (*old_sources, *new_sources) if host in s.hosts]
        for words, sample, caller in _asked(host, sources, gateways):
            ours, theirs = before.answer(sample.request, caller), after.answer(sample.request, caller)
            was, becomes = _goes_to(ours, host), _goes_to(theirs, host)
            if was != becomes:
                found[MovedRequest(words, was, becomes)] = None
    return tuple(found)


def render_moved(moved: tuple[MovedRequest, ...]) -> list[str]:
    """Return them as lines, with a heading; nothing where no request changes hands."""
    if not moved:
        return []
    lines = ["requests that change hands", *(f"  {request}" for request in moved[:SHOWN_MAX])]
    return [*lines, f"  and {len(moved) - SHOWN_MAX} more"] if len(moved) > SHOWN_MAX else lines


def _is(key: ResourceKey, kind: str) -> bool:
    return key.kind == kind and key.group == VIRTUAL_SERVICE.group


def _state_after(changes: Iterable[Change], live: ResourceSet) -> dict[ResourceKey, Resource]:
    state = dict(live)
    for change in changes:
        if change.after is None:
            state.pop(change.key, None)
        else:
            created = change.before.metadata.get("creationTimestamp") if change.before else _YOUNGEST
            state[change.key] = change.after.with_metadata(creationTimestamp=created)
    return state


def _sources(resources: ResourceSet) -> list[VirtualService]:
    every = {key: resource for key, resource in resources.items() if _is(key, VIRTUAL_SERVICE.kind)}
    delegates = {key: resource for key, resource in every.items() if not resource.spec.get("hosts")}
    return [VirtualService(resource, delegates) for key, resource in every.items() if key not in delegates]


def _hosts_of(changed: Iterable[Change], sources: Iterable[VirtualService]) -> list[str]:
    """Return the hosts whose rules change: of the objects themselves, or of those that delegate to them."""
    keys = {change.key for change in changed}
    found: dict[str, None] = {}
    for source in sources:
        if source.key in keys or any(rule.key in keys for rule in source.rules):
            found.update(dict.fromkeys(source.hosts))
    return sorted(found)


def _services(sources: Iterable[VirtualService]) -> Iterator[Service]:
    """Yield a service for each host that must be one: of the mesh's Services nothing is known here."""
    ports: dict[str, set[int]] = {}
    for source in sources:
        for host in source.hosts:
            if host.endswith(_SUFFIX) and not host.startswith("*"):
                named = (integer(m.get("port")) for rule in source.rules for m in rule.matches)
                ports.setdefault(host, {_PORT}).update(port for port in named if port)
    for host, numbers in ports.items():
        yield service_from_host(host, sorted(numbers))


def _asked(
    host: str, sources: list[VirtualService], gateways: list[Resource]
) -> Iterator[tuple[str, Sample, Caller]]:
    """Yield what to ask for one host: words, request and caller."""
    name = f"any{host[1:]}" if host.startswith("*") else host
    samples = list(_samples(name, sources))
    if any(MESH in source.gateways for source in sources):
        for sample in samples:
            namespace = sample.namespace or _namespace_of(host, sources)
            yield _worded(sample, host), sample, Caller(namespace, sample.labels)
    bound = {gateway for source in sources for gateway in source.gateways} - {MESH}
    for resource in gateways:
        if f"{resource.key.namespace}/{resource.key.name}" in bound:
            caller = Caller(resource.key.namespace, labels(resource.spec.get("selector")), is_gateway=True)
            for server in _asked_servers(resource, caller):
                for sample in samples:
                    request = replace(sample.request, scheme=server.kind, port=server.port)
                    at = f"{_worded(sample, host)} at gateway {server.gateway}:{server.port}"
                    yield at, replace(sample, request=request), caller


def _asked_servers(resource: Resource, caller: Caller) -> list[Server]:
    return [server for server in servers_of([resource], caller) if server.kind in ("http", "https")]


def _samples(name: str, sources: Iterable[VirtualService]) -> Iterator[Sample]:
    matches = [match for source in sources for rule in source.rules for match in rule.matches or (NOTHING,)]
    seen = set()
    for match in [*matches, NOTHING][:REQUESTS_PER_HOST_MAX]:
        sample = sample_of(match, name, _PORT)
        if sample is not None and sample.words not in seen:
            seen.add(sample.words)
            yield sample


def _worded(sample: Sample, host: str) -> str:
    return sample.words.replace("HOST", _short(host), 1)


def _namespace_of(host: str, sources: Iterable[VirtualService]) -> str:
    if host.endswith(_SUFFIX):
        return host.removesuffix(_SUFFIX).rpartition(".")[2]
    return next((source.key.namespace for source in sources), "default")


def _short(host: str) -> str:
    name, _, namespace = host.removesuffix(_SUFFIX).partition(".")
    if not host.endswith(_SUFFIX) or host.startswith("*"):
        return host
    return name if namespace == "default" else f"{name}.{namespace}"


def _goes_to(answer: Answer, host: str) -> str:
    match answer.action.outcome:
        case Forward(shares):
            if len(shares) == 1:
                return _where(shares[0], host, answer.port)
            return ", ".join(f"{_where(share, host, answer.port)} {share.percent:.4g} %" for share in shares)
        case Redirect(status, location):
            return f"{status} to {location}"
        case Respond(status):
            return f"answered with {status}"
        case NoRoute(_, 0):
            return "nothing listens"
        case NoRoute():
            return "404"
        case Outside():
            return "no rule"


def _where(share: Share, host: str, port: int) -> str:
    where = share.destination
    service = "" if where.host == host and where.subset else _short(where.host)
    number = f":{where.port}" if where.port not in (port, _PORT) else ""
    return " ".join(part for part in (f"{service}{number}" if service else "", where.subset) if part)
