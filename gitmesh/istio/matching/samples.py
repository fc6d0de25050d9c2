"""A request that meets the conditions of a match: the shortest that can be said, and its description.

Stage: plan (pure). What no sample is found for (an involved regular expression) is left out, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gitmesh.istio.matching.conditions import Condition, conditions_of
from gitmesh.istio.matching.reading import Spec, integer, labels, text
from gitmesh.istio.matching.request import Request
from gitmesh.istio.matching.wanted import Wanted, full_match

_ANY = "x"
# Parts of regular expressions that people write, and what they match.
_SAMPLES = (
    (re.compile(r"\\d[+*]?|\[0-9\][+*]?|\\d\{\d+(,\d*)?\}"), "1"),
    (
        re.compile(
            r"\[\^[^\]]*\][+*]|\\w[+*]?|\[a-zA-Z0-9_?-?\][+*]|\[a-z\][+*]?|\[A-Z\]\[a-z\][+*]|\.[+*]\??"
        ),
        _ANY,
    ),
    (re.compile(r"\(\?:|\((?!\?)"), "("),
    (re.compile(r"([\w/-])[+*?]"), r"\1"),
)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_HIDDEN = 0xE000  # private use: here an escaped character waits, so that nothing takes it for syntax
_CHOICE = re.compile(r"\(([^()|]*)(?:\|[^()]*)?\)\??")


@dataclass(frozen=True, slots=True)
class Sample:
    """Conditions in words (`/ratings/* with end-user=jason`), and one request that meets them.

    `labels` and `namespace` are the caller's; empty: any.
    """

    words: str
    request: Request
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    namespace: str = ""


def sample_of(match: Spec, host: str, port: int) -> Sample | None:
    """Return a request for this host that meets a match; None where none is found."""
    conditions = conditions_of(match)
    by_place: dict[str, list[Condition]] = {}
    for condition in conditions:
        by_place.setdefault(condition.place, []).append(condition)
    single = {place: _sample(found[0].wanted) for place, found in by_place.items() if not found[0].name}
    headers = {c.name.lower(): _sample(c.wanted) for c in by_place.get("headers", ())}
    query = {c.name: _sample(c.wanted) for c in by_place.get("queryParams", ())}
    if None in (*single.values(), *headers.values(), *query.values()):
        return None
    parameters = "&".join(f"{name}={value}" for name, value in query.items())
    path = single.get("uri") or "/"
    request = Request(
        method=single.get("method") or "GET",
        scheme=single.get("scheme") or "http",
        authority=single.get("authority") or host,
        port=integer(match.get("port")) or port,
        target=f"{path}?{parameters}" if parameters else path,
        headers=MappingProxyType({name: value or "" for name, value in headers.items()}),
    )
    if not all(condition.holds(request) for condition in conditions):
        return None
    return Sample(_words(match, by_place), request, labels(match.get("sourceLabels")), _namespace(match))


def _namespace(match: Spec) -> str:
    return text(match.get("sourceNamespace"))


def _words(match: Spec, by_place: Mapping[str, list[Condition]]) -> str:
    uri = by_place.get("uri")
    path = _pattern(uri[0].wanted) if uri else "/*"
    extra = [
        f"{'without ' if place == 'withoutHeaders' else ''}{condition.name}{_value(condition.wanted)}"
        for place in ("headers", "withoutHeaders", "queryParams")
        for condition in by_place.get(place, ())
    ]
    extra += [
        f"{place}{_value(by_place[place][0].wanted)}"
        for place in ("scheme", "authority")
        if place in by_place
    ]
    if integer(match.get("port")):
        extra.append(f"port={integer(match.get('port'))}")
    callers = [f"{name}={value}" for name, value in sorted(labels(match.get("sourceLabels")).items())]
    callers += [f"namespace {_namespace(match)}"] if _namespace(match) else []
    method = _value(by_place["method"][0].wanted).lstrip("=") if "method" in by_place else ""
    return "".join(
        (
            f"{method} " if method else "",
            "HOST",
            path,
            f" with {', '.join(extra)}" if extra else "",
            f" from {', '.join(callers)}" if callers else "",
        )
    )


def _pattern(wanted: Wanted) -> str:
    if wanted.kind == "prefix":
        return f"{wanted.text}*"
    return wanted.text if wanted.kind == "exact" else f" {wanted.text}"


def _value(wanted: Wanted) -> str:
    if wanted.kind == "present":
        return ""
    return f"={wanted.text}*" if wanted.kind == "prefix" else f"={wanted.text}"


def _sample(wanted: Wanted) -> str | None:
    """Return a text that is as wanted."""
    if wanted.kind == "present":
        return _ANY
    if wanted.kind != "regex":
        return wanted.text
    found = _ESCAPED.sub(lambda escape: chr(_HIDDEN + ord(escape[1])), wanted.text)
    for pattern, sample in _SAMPLES:
        found = pattern.sub(sample, found)
    while (simpler := _CHOICE.sub(r"\1", found)) != found:
        found = simpler
    found = found.partition("|")[0].strip("^$").replace(".", _ANY)
    found = "".join(chr(ord(c) - _HIDDEN) if _HIDDEN <= ord(c) < _HIDDEN + 128 else c for c in found)
    for candidate in (found, wanted.text):
        if full_match(wanted.text)(candidate):
            return candidate
    return None
