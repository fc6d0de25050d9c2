"""What happens to a request: where it goes, or what it is answered with.

Stage: plan (pure). Source: istio.io, Virtual Service, HTTPRoute; istio/istio
pilot/pkg/networking/core/route, with its defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from gitmesh.istio.hosts import fully_qualified
from gitmesh.istio.matching.reading import Spec, integer, items, mapping, percent, seconds, text, texts
from gitmesh.istio.routes import Destination

# Says which port is meant where a destination names none.
PortOf = Callable[[str], int]

DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
DEFAULT_RETRIES = 2


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """One operation on a header; `verb` is remove, set or add, `side` request or response."""

    side: str
    verb: str
    name: str
    value: str = ""

    def __str__(self) -> str:
        text = f"{self.verb} {self.side} header {self.name}"
        return text if self.verb == "remove" else f"{text}: {self.value}"


@dataclass(frozen=True, slots=True)
class Share:
    """One destination and its part of the requests. `destination.port` is the port in force."""

    destination: Destination
    weight: int
    percent: float
    changes: tuple[HeaderChange, ...] = ()

    @property
    def headers(self) -> tuple[str, ...]:
        """The operations on headers in words: `set request x-env: test`."""
        return tuple(map(str, self.changes))


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What is changed on the way. `path` is the result for this request; empty: it stays."""

    path: str = ""
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a failed request is sent again, and after what. `is_default`: Istio's own policy."""

    attempts: int
    on: str = ""
    per_try_seconds: float | None = None
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Mirror:
    """A destination that gets copies."""

    destination: Destination
    percent: float


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong on purpose. An abort is an HTTP status or the name of a gRPC status."""

    delay_seconds: float | None = None
    delay_percent: float = 0.0
    abort: str = ""
    abort_percent: float = 0.0


@dataclass(frozen=True, slots=True)
class Forward:
    """The request is sent on."""

    shares: tuple[Share, ...]
    rewrite: Rewrite = Rewrite()
    timeout_seconds: float | None = None
    retries: Retries = Retries(DEFAULT_RETRIES, DEFAULT_RETRY_ON, is_default=True)
    mirrors: tuple[Mirror, ...] = ()


@dataclass(frozen=True, slots=True)
class Redirect:
    """The answer is a redirect. `location` is what this request would get."""

    status: int
    location: str


@dataclass(frozen=True, slots=True)
class Respond:
    """The answer is a fixed one."""

    status: int
    body: str = ""


@dataclass(frozen=True, slots=True)
class NoRoute:
    """No rule takes the request. Status 404; `why` says whose rules were asked."""

    why: str
    status: int = 404


@dataclass(frozen=True, slots=True)
class Outside:
    """The mesh does not know the host: the request leaves as it is, or (`blocked`) is answered with 502."""

    blocked: bool


Outcome: TypeAlias = Forward | Redirect | Respond | NoRoute | Outside


@dataclass(frozen=True, slots=True)
class Action:
    """What a rule does: the outcome, and what goes with it."""

    outcome: Outcome
    changes: tuple[HeaderChange, ...] = ()
    fault: Fault | None = None
    cors: bool = False

    @property
    def headers(self) -> tuple[str, ...]:
        """The operations on headers in words."""
        return tuple(map(str, self.changes))


def header_changes(headers: Any) -> tuple[HeaderChange, ...]:
    """Return what is done to headers, in the order of effect."""
    found: list[HeaderChange] = []
    for side in ("request", "response"):
        operations = mapping(mapping(headers).get(side))
        found += [HeaderChange(side, "remove", name) for name in texts(operations.get("remove"))]
        for verb in ("set", "add"):
            entries = sorted(mapping(operations.get(verb)).items(), key=lambda entry: str(entry[0]))
            found += [HeaderChange(side, verb, str(name), str(value)) for name, value in entries]
    return tuple(found)


def shares_of(rule: Spec, namespace: str, port_of: PortOf) -> tuple[Share, ...]:
    """Return the destinations that get requests. One alone gets all of them, whatever its weight."""
    entries = items(rule.get("route"))
    weights = [max(0, integer(entry.get("weight"))) for entry in entries]
    if len(entries) == 1:
        weights = [weights[0] or 1]
    total = sum(weights)
    return tuple(
        Share(
            destination_of(entry.get("destination"), namespace, port_of),
            weight,
            100 * weight / total,
            header_changes(entry.get("headers")),
        )
        for entry, weight in zip(entries, weights, strict=True)
        if weight
    )


def destination_of(written: Any, namespace: str, port_of: PortOf) -> Destination:
    """Read a destination; its port is the written one, else that of the service."""
    spec = mapping(written)
    host = fully_qualified(text(spec.get("host")), namespace).lower()
    port = integer(mapping(spec.get("port")).get("number")) or port_of(host)
    return Destination(host, text(spec.get("subset")), port)


def retries_of(retries: Any) -> Retries:
    """Read a retry policy; Istio's own where there is none."""
    if retries is None:
        return Retries(DEFAULT_RETRIES, DEFAULT_RETRY_ON, is_default=True)
    spec = mapping(retries)
    attempts = integer(spec.get("attempts"))
    if attempts <= 0:
        return Retries(0)
    on = text(spec.get("retryOn")) or DEFAULT_RETRY_ON
    return Retries(attempts, on, seconds(spec.get("perTryTimeout")))


def mirrors_of(rule: Spec, namespace: str, port_of: PortOf) -> tuple[Mirror, ...]:
    """Return the destinations that get copies. Nothing said means all requests, 0 none."""
    written: list[tuple[Any, float | None]] = []
    if rule.get("mirror") is not None:
        share = percent(mapping(rule.get("mirrorPercentage")).get("value"))
        written.append((rule["mirror"], share if share is not None else percent(rule.get("mirrorPercent"))))
    for mirror in items(rule.get("mirrors")):
        written.append((mirror.get("destination"), percent(mapping(mirror.get("percentage")).get("value"))))
    return tuple(
        Mirror(destination_of(destination, namespace, port_of), 100.0 if share is None else share)
        for destination, share in written
        if share is None or share > 0
    )


def fault_of(fault: Any) -> Fault | None:
    """Read a fault. Without a percentage it never happens, as in Istio."""
    delay, abort = mapping(mapping(fault).get("delay")), mapping(mapping(fault).get("abort"))
    held = percent(mapping(delay.get("percentage")).get("value"))
    delay_percent = held if held is not None else percent(delay.get("percent")) or 0.0
    status = integer(abort.get("httpStatus"))
    answer = str(status) if status else text(abort.get("grpcStatus")).upper()
    abort_percent = percent(mapping(abort.get("percentage")).get("value")) or 0.0
    found = Fault(seconds(delay.get("fixedDelay")), delay_percent, answer, abort_percent)
    return found if found.delay_seconds or found.abort else None
