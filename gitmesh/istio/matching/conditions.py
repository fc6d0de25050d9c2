"""The conditions of one `match`: each on its own, so that each can say why it does not hold.

Stage: plan (pure). Source: istio.io, Virtual Service, HTTPMatchRequest; istio/istio
pilot/pkg/networking/core/route: gateways, source and port are decided when a proxy is configured, the rest
for each request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gitmesh.istio.matching.reading import NOTHING, Spec, entries, integer, labels, mapping, text, texts
from gitmesh.istio.matching.request import Caller, Request
from gitmesh.istio.matching.wanted import Wanted, read_wanted

MESH = "mesh"


@dataclass(frozen=True, slots=True)
class Check:
    """One condition and how a request meets it. `field` is its place in the match: `headers.end-user`."""

    field: str
    actual: str | None  # None: the request has none
    wants: str
    holds: bool

    def __str__(self) -> str:
        name = _called(self.field)
        actual = "is missing" if self.actual is None else f"is '{self.actual}'"
        return f"{name} {actual}, wants {self.wants}"


def _called(field: str) -> str:
    place, dot, name = field.partition(".")
    return f"{_NOUNS.get(place, place)} {name}" if dot else _NOUNS.get(place, place)


_NOUNS = {
    "uri": "path",
    "headers": "header",
    "withoutHeaders": "header",
    "queryParams": "query parameter",
    "sourceLabels": "the caller's label",
    "sourceNamespace": "the caller's namespace",
    "gateways": "the gateway",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on a request."""

    place: str  # uri, headers, ...
    name: str  # of a header or a query parameter
    wanted: Wanted

    def check(self, request: Request) -> Check:
        """Say how a request meets it. Of a repeated header each value counts for itself."""
        values = self._values(request)
        actual = ", ".join(values) if values else None
        field = f"{self.place}.{self.name}" if self.name else self.place
        is_presence = self.wanted.kind == "present"
        if self.place == "withoutHeaders":
            if is_presence:
                return Check(field, actual, "no such header", not values)
            # A header that is missing counts as an empty one.
            holds = not any(map(self.wanted.accepts, values or ("",)))
            return Check(field, actual, f"anything but {self.wanted}", holds)
        is_there = bool(values) if is_presence else any(map(self.wanted.accepts, values))
        return Check(field, actual, str(self.wanted), is_there)

    def holds(self, request: Request) -> bool:
        """Say whether a request meets it."""
        return self.check(request).holds

    def _values(self, request: Request) -> tuple[str, ...]:
        match self.place:
            case "uri":
                return (request.path,)
            case "method":
                return (request.method,)
            case "scheme":
                return (request.scheme,)
            case "authority":
                return (request.authority,)
            case "queryParams":
                value = request.query.get(self.name)
                return () if value is None else (value,)
            case _:
                return request.values(self.name)


def conditions_of(match: Spec) -> tuple[Condition, ...]:
    """Return what a match asks of each request; nothing: it takes them all."""
    found: list[Condition] = []
    uri = read_wanted(match.get("uri"), ignores_case=match.get("ignoreUriCase") is True)
    if uri.kind != "present":
        found.append(Condition("uri", "", uri))
    for place in ("headers", "withoutHeaders"):
        found += [Condition(place, name, read_wanted(value)) for name, value in entries(match.get(place))]
    for place in ("scheme", "method", "authority"):
        if match.get(place) is not None:
            found.append(Condition(place, "", read_wanted(match[place])))
    found += [
        Condition("queryParams", name, read_wanted(value))
        for name, value in entries(match.get("queryParams"))
    ]
    return tuple(found)


def is_catch_all(conditions: tuple[Condition, ...]) -> bool:
    """Say whether the conditions take every request. Source: istio/istio, route.IsCatchAllRoute."""
    return all(c.place == "uri" and _takes_any_path(c.wanted) for c in conditions)


def _takes_any_path(wanted: Wanted) -> bool:
    return (wanted.kind, wanted.text) in {("prefix", "/"), ("regex", ".*")}


@dataclass(frozen=True, slots=True)
class Place:
    """For whom rules are chosen: a caller at one port, by the name of the gateway (`mesh` for sidecars)."""

    gateway: str
    port: int
    caller: Caller


def proxy_checks(match: Spec, place: Place, namespace: str) -> Iterator[Check]:
    """Yield each condition on the proxy itself; where one fails, it does not get this match at all.

    With `gateways` in a match, Istio does not look at the caller. `namespace` is the VirtualService's.
    """
    gateways = texts(match.get("gateways"))
    if gateways:
        named = [gateway_name(gateway, namespace) for gateway in gateways]
        yield Check("gateways", place.gateway, " or ".join(named), place.gateway in named)
    else:
        for name, value in labels(match.get("sourceLabels")).items():
            actual = place.caller.labels.get(name)
            yield Check(f"sourceLabels.{name}", actual, f"'{value}'", actual == value)
        source = text(match.get("sourceNamespace"))
        if source:
            actual = place.caller.namespace
            yield Check("sourceNamespace", actual, f"'{source}'", actual == source)
    port = integer(match.get("port"))
    if port:
        yield Check("port", str(place.port), str(port), port == place.port)
    for name, _ in (*entries(match.get("headers")), *entries(match.get("withoutHeaders"))):
        if name.startswith("@"):  # a claim of a token, which only gateways that check tokens know
            yield Check(f"headers.{name}", None, "a token that has been checked", False)


def gateway_name(name: str, namespace: str) -> str:
    """Return `mesh` or `namespace/name`. Source: istio/istio, resolveGatewayName."""
    if name == MESH:
        return name
    plain = name.removeprefix("./")
    if "/" in plain:
        return plain
    short, _, rest = plain.partition(".")
    return f"{rest.partition('.')[0]}/{short}" if rest else f"{namespace}/{short}"


def gateways_of(spec: Any, namespace: str) -> frozenset[str]:
    """Return the gateways that a VirtualService is bound to, `mesh` unless it names some."""
    names = (gateway_name(name, namespace) for name in texts(mapping(spec or NOTHING).get("gateways")))
    return frozenset(names) or frozenset({MESH})
