"""What was expected beside what happens.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from gitmesh.istio.hosts import fully_qualified
from gitmesh.model.route_test import NO_TIMEOUT, Destination, Expect, Reached
from gitmesh.model.values import format_duration
from gitmesh.validate.route_tests.observed import WAYS_OUT, Observed, Part, Reply, listed, percent_text

_SHARE_TOLERANCE = 0.05  # percent: shares such as a third are written with few digits


@dataclass(frozen=True, slots=True)
class Miss:
    """One expectation that does not hold. `field` is its name in `expect`."""

    field: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, is {self.actual}"


def judge(expect: Expect, observed: Observed, namespace: str) -> tuple[Miss, ...]:
    """Return what does not hold. `namespace` is that of the document, for short names."""
    return tuple(_misses(expect, observed, namespace))


def qualified(host: str, namespace: str) -> str:
    """Return the whole name of a host that a document names."""
    return host if host in WAYS_OUT else fully_qualified(host, namespace).lower()


def reaches(wanted: Reached, part: Part, namespace: str) -> bool:
    """Say whether a destination is the one that is named."""
    return (
        qualified(wanted.host, namespace) == part.host
        and wanted.subset in ("", part.subset)
        and wanted.port in (None, part.port)
    )


def named(wanted: Reached) -> str:
    """Return a destination as it is written."""
    port = f" port {wanted.port}" if wanted.port else ""
    return f"{wanted.host}{f' {wanted.subset}' if wanted.subset else ''}{port}"


def _misses(expect: Expect, observed: Observed, namespace: str) -> Iterator[Miss]:
    yield from _destinations(expect, observed, namespace)
    yield from _unwanted(expect, observed, namespace)
    if expect.redirect is not None and expect.redirect != observed.location:
        yield Miss("redirect", expect.redirect, observed.location or f"no redirect: {observed.says}")
    for reply in observed.replies:
        yield from _reply(expect, reply, observed, namespace)
    if not observed.replies and expect.status is not None:
        yield Miss("status", str(expect.status), observed.says)
    yield from _in_force(expect, observed)


def _destinations(expect: Expect, observed: Observed, namespace: str) -> Iterator[Miss]:
    wanted = expect.wanted
    if not wanted:
        return
    shares = [sum(p.percent for p in observed.parts if reaches(d, p, namespace)) for d in wanted]
    wrong = any(abs(share - d.share) > _SHARE_TOLERANCE for share, d in zip(shares, wanted, strict=True))
    rest = sum(p.percent for p in observed.parts if not any(reaches(d, p, namespace) for d in wanted))
    if wrong or (expect.destinations and rest > _SHARE_TOLERANCE):
        field = "destinations" if expect.destinations else "destination"
        actual = listed_by(observed.parts, wanted, namespace) if observed.parts else observed.says
        yield Miss(field, ", ".join(f"{named(d)} {percent_text(d.share)}" for d in wanted), actual)


def listed_by(parts: tuple[Part, ...], wanted: tuple[Destination, ...], namespace: str) -> str:
    """Return the destinations, with their ports where one is asked for."""
    if not any(destination.port for destination in wanted):
        return listed(parts, namespace)
    return ", ".join(f"{p.label(namespace)} port {p.port} {percent_text(p.percent)}" for p in parts)


def _unwanted(expect: Expect, observed: Observed, namespace: str) -> Iterator[Miss]:
    for unwanted in expect.must_not_reach:
        parts = tuple(p for p in observed.parts if p.percent and reaches(unwanted, p, namespace))
        copies = tuple(p for p in observed.copies if p.percent and reaches(unwanted, p, namespace))
        if parts:
            yield Miss("mustNotReach", f"nothing to {named(unwanted)}", listed(parts, namespace))
        elif copies:
            actual = f"copies: {listed(copies, namespace)}"
            yield Miss("mustNotReach", f"nothing to {named(unwanted)}", actual)


def _reply(expect: Expect, reply: Reply, observed: Observed, namespace: str) -> Iterator[Miss]:
    at = f" (at {reply.label})" if reply.arrives and len(observed.replies) > 1 else ""
    if expect.status is not None and reply.status != expect.status and "status" not in reply.unsure:
        actual = observed.says if reply.status is None or not reply.arrives else f"{reply.status}{at}"
        yield Miss("status", str(expect.status), actual)
    if reply.arrives:
        if expect.path is not None and not _same_path(expect.path, reply.path):
            yield Miss("path", expect.path, f"{reply.path}{at}")
        if expect.authority is not None and expect.authority != reply.authority:
            yield Miss("authority", expect.authority, f"{reply.authority}{at}")
        yield from _headers("requestHeaders", expect.request_headers, reply.request_headers, reply, at)
    else:
        for field, value in (("path", expect.path), ("authority", expect.authority)):
            if value is not None:
                yield Miss(field, value, f"nowhere: {observed.says}")
        if expect.request_headers:
            yield Miss("requestHeaders", ", ".join(expect.request_headers), f"nowhere: {observed.says}")
    yield from _headers("responseHeaders", expect.response_headers, reply.response_headers, reply, at)


def _same_path(expected: str, actual: str) -> bool:
    return expected in (actual, actual.partition("?")[0])


def _headers(
    field: str, expected: Mapping[str, str | None], actual: Mapping[str, str], reply: Reply, at: str
) -> Iterator[Miss]:
    for name, value in expected.items():
        lower = name.lower()
        found = actual.get(lower)
        if found != value and f"{field}.{lower}" not in reply.unsure:
            wanted = "none" if value is None else f"'{value}'"
            yield Miss(f"{field}.{name}", wanted, ("missing" if found is None else f"'{found}'") + at)


def _in_force(expect: Expect, observed: Observed) -> Iterator[Miss]:
    if expect.timeout is not None:
        wanted = None if expect.timeout == NO_TIMEOUT else expect.timeout.total_seconds()
        if not observed.sent_on or wanted != observed.timeout_seconds:
            yield Miss("timeout", _timeout(wanted), _or_says(_timeout(observed.timeout_seconds), observed))
    if expect.retries is not None and (not observed.sent_on or expect.retries != observed.retries):
        yield Miss("retries", str(expect.retries), _or_says(str(observed.retries), observed))


def _or_says(text: str, observed: Observed) -> str:
    return text if observed.sent_on else f"nothing that counts: {observed.says}"


def _timeout(seconds: float | None) -> str:
    return "none" if seconds is None else format_duration(timedelta(seconds=seconds))
