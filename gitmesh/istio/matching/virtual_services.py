"""VirtualServices as proxies see them: hosts, gateways, who may see them, and their rules in order.

Stage: plan (pure). Source: istio/istio pilot/pkg/model (virtualservice.go, push_context.go) and
pilot/pkg/networking/core/route (BuildHTTPRoutesForVirtualService).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from gitmesh.istio.hosts import fully_qualified
from gitmesh.istio.matching.conditions import (
    Check,
    Condition,
    Place,
    conditions_of,
    gateways_of,
    is_catch_all,
    proxy_checks,
)
from gitmesh.istio.matching.delegates import merged_rule
from gitmesh.istio.matching.reading import NOTHING, Spec, integer, items, mapping, text, texts
from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.resource import Resource, ResourceKey

Path = tuple[str | int, ...]
Age = tuple[str, str, str]

ROUTABLE_REDIRECTS = frozenset({0, 301, 302, 303, 307, 308})


def age(resource: Resource) -> Age:
    """Sort key: the oldest first, then by name and namespace, as pilot orders objects in conflict."""
    created = resource.metadata.get("creationTimestamp")
    return (str(created or ""), resource.key.name, resource.key.namespace)


def exported_to(places: Iterable[str], own: str, namespace: str) -> bool:
    """Say whether an object in `own` with this exportTo is visible in `namespace`; empty: everywhere."""
    named = [own if place == "." else place for place in places]
    return not named or "*" in named or namespace in named


@dataclass(frozen=True)
class Rule:
    """One HTTP rule. `key` and `path` say where it is written; `root_path` is its delegating rule, if any."""

    key: ResourceKey
    path: Path
    spec: Spec
    root: ResourceKey
    root_path: Path
    inert: str = ""  # why no proxy gets it
    origins: tuple[tuple[bool, int], ...] | None = None  # of the matches of a merged rule

    @property
    def name(self) -> str:
        """What people call it; may be empty."""
        return text(self.spec.get("name"))

    @property
    def is_delegated(self) -> bool:
        """Say whether it is written in another VirtualService than the one that serves the host."""
        return self.key != self.root

    @cached_property
    def matches(self) -> tuple[Spec, ...]:
        """The alternatives; nothing: it takes every request."""
        return items(self.spec.get("match"))


@dataclass(frozen=True)
class Candidate:
    """One alternative of one rule: what a proxy has as one route. `match` is None for a rule without any."""

    rule: Rule
    match: int | None
    conditions: tuple[Condition, ...]
    absent: tuple[Check, ...]  # why this proxy does not have it; each of these fails
    present: tuple[Check, ...] = ()  # what this proxy meets: caller, gateway and port

    @property
    def place(self) -> tuple[ResourceKey, Path]:
        """Where the alternative is written: object and field. Below a root it may be the root's."""
        rule = self.rule
        if self.match is None:
            return rule.key, rule.path
        if rule.origins is None:
            return rule.key, (*rule.path, "match", self.match)
        is_delegates, number = rule.origins[self.match]
        if is_delegates:
            return rule.key, (*rule.path, "match", number)
        return rule.root, (*rule.root_path, "match", number)

    @property
    def name(self) -> str:
        """The name of the route as pilot gives it; may be empty."""
        match = text(self.rule.matches[self.match].get("name")) if self.match is not None else ""
        return f"{self.rule.name}.{match}" if match else self.rule.name


class VirtualService:
    """One VirtualService, read when it is asked for."""

    def __init__(self, resource: Resource, delegates: Mapping[ResourceKey, Resource]) -> None:
        self.key = resource.key
        self.age = age(resource)
        self._spec = resource.spec
        self._delegates = delegates
        namespace = resource.key.namespace
        names = (fully_qualified(host, namespace).lower() for host in texts(self._spec.get("hosts")) if host)
        self.hosts: tuple[str, ...] = tuple(dict.fromkeys(names))
        self.gateways = gateways_of(self._spec, namespace)

    def rests_on(self, delegates: Mapping[ResourceKey, Resource]) -> bool:
        """Say whether its rules would be the same with these delegates."""
        delegating = [rule for rule in items(self._spec.get("http")) if rule.get("delegate") is not None]
        return not delegating or all(
            self._delegates.get(key) is delegates.get(key)
            for key in {self._delegate_of(rule) for rule in delegating}
        )

    def is_visible_in(self, namespace: str) -> bool:
        """Say whether proxies of that namespace get it."""
        return exported_to(texts(self._spec.get("exportTo")), self.key.namespace, namespace)

    def rank(self, namespace: str) -> tuple[int, Age]:
        """Return its place in the list of a proxy in that namespace: private, then exported, then public.

        Source: istio/istio pilot/pkg/model, push_context.go (virtualServiceIndex).
        """
        places = texts(self._spec.get("exportTo"))
        if not places or "*" in places:
            return 2, self.age
        return int(self.key.namespace != namespace), self.age

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The HTTP rules in order, with the rules of delegates in the place of what delegates to them."""
        return tuple(self._read_rules())

    def _read_rules(self) -> Iterator[Rule]:
        for index, spec in enumerate(items(self._spec.get("http"))):
            path: Path = ("spec", "http", index)
            if spec.get("delegate") is None:
                yield Rule(self.key, path, spec, self.key, path, _inert(spec))
            else:
                yield from self._delegated(path, spec)

    def _delegated(self, path: Path, root: Spec) -> Iterator[Rule]:
        key = self._delegate_of(root)
        resource = self._delegates.get(key)
        lacking = _why_no_delegate(key, resource, self.key.namespace)
        if resource is None or lacking:
            yield Rule(self.key, path, root, self.key, path, lacking)
            return
        for index, spec in enumerate(items(resource.spec.get("http"))):
            inner: Path = ("spec", "http", index)
            merged = merged_rule(root, spec)
            if spec.get("delegate") is not None:
                yield Rule(key, inner, spec, self.key, path, "a delegate cannot delegate again")
            elif merged is None:
                why = f"its conditions contradict those of {self.key}"
                yield Rule(key, inner, spec, self.key, path, why)
            else:
                yield Rule(key, inner, merged.spec, self.key, path, _inert(merged.spec), merged.origins)

    def _delegate_of(self, rule: Spec) -> ResourceKey:
        wanted = mapping(rule.get("delegate"))
        return VIRTUAL_SERVICE.key(
            text(wanted.get("namespace")) or self.key.namespace, text(wanted.get("name"))
        )

    def candidates(self, place: Place) -> tuple[Candidate, ...]:
        """Return every alternative in order, up to the first that takes all requests at this place."""
        found: list[Candidate] = []
        for rule in self.rules:
            for match in range(len(rule.matches)) if rule.matches else (None,):
                candidate = _candidate(rule, match, place)
                found.append(candidate)
                if not rule.inert and not candidate.absent and is_catch_all(candidate.conditions):
                    return tuple(found)
        return tuple(found)


def is_present(candidate: Candidate) -> bool:
    """Say whether the proxy has this alternative as a route."""
    return not candidate.rule.inert and not candidate.absent


def _candidate(rule: Rule, match: int | None, place: Place) -> Candidate:
    spec = NOTHING if match is None else rule.matches[match]
    checks = tuple(proxy_checks(spec, place, rule.key.namespace))
    absent = tuple(check for check in checks if not check.holds)
    present = tuple(check for check in checks if check.holds)
    return Candidate(rule, match, conditions_of(spec), absent, present)


def _inert(spec: Spec) -> str:
    if spec.get("redirect") is not None:
        code = integer(mapping(spec["redirect"]).get("redirectCode"))
        return "" if code in ROUTABLE_REDIRECTS else f"{code} is no redirect that Envoy can send"
    if spec.get("directResponse") is not None:
        return ""
    destinations = items(spec.get("route"))
    if len(destinations) == 1:
        named = text(mapping(destinations[0].get("destination")).get("host"))
        return "" if named else "its destination names no host"
    if any(integer(destination.get("weight")) > 0 for destination in destinations):
        return ""
    return "it has no destination with a weight" if destinations else "it has no destination"


def _why_no_delegate(key: ResourceKey, delegate: Resource | None, namespace: str) -> str:
    if delegate is None:
        return f"there is no VirtualService {key.namespace}/{key.name} without hosts to delegate to"
    if not exported_to(texts(delegate.spec.get("exportTo")), key.namespace, namespace):
        return f"its delegate {key.namespace}/{key.name} is not exported to namespace {namespace}"
    return ""
