"""Conditions of HTTP rules that Istio accepts and no request meets.

Stage: validate (pure). Source: istio/istio pilot/pkg/networking/core/route/route.go, TranslateRouteMatch; and
what Envoy 1.40 does: paths are normalized first, and methods and schemes are compared as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gitmesh.istio.models.common import StringMatch
from gitmesh.istio.models.virtual_service import HTTPMatch, VirtualServiceSpec
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.subject import Path, Subject, dotted

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"))
_SCHEMES = frozenset(("http", "https"))
_MESH = "mesh"
_ESCAPED = re.compile(r"%(?:2[de]|3[0-9]|[46][1-9a-f]|[57][0-9a]|5f|7e)", re.IGNORECASE | re.ASCII)
_SHOWN = 60


def check_matches(subject: Subject, spec: VirtualServiceSpec) -> Iterator[Diagnostic]:
    """Yield the conditions that are never met."""
    gateways = {_gateway(name, subject.namespace) for name in spec.gateways} or {_MESH}
    for index, rule in enumerate(spec.http):
        for number, match in enumerate(rule.match):
            path: Path = ("spec", "http", index, "match", number)
            yield from _match(subject, match, path)
            if spec.hosts:
                yield from _gateways(subject, match.gateways, gateways, path)
    for index, tcp in enumerate(spec.tcp):
        for number, one in enumerate(tcp.match):
            yield from _gateways(subject, one.gateways, gateways, ("spec", "tcp", index, "match", number))
    for index, tls in enumerate(spec.tls):
        for number, other in enumerate(tls.match):
            yield from _gateways(subject, other.gateways, gateways, ("spec", "tls", index, "match", number))


def _gateway(name: str, namespace: str) -> str:
    if name == _MESH:
        return name
    before, slash, after = name.partition("/")
    if slash:
        return f"{namespace if before == '.' else before}/{after}"
    parts = name.split(".")
    return f"{parts[1]}/{parts[0]}" if len(parts) > 1 else f"{namespace}/{name}"


def _gateways(subject: Subject, names: tuple[str, ...], bound: set[str], path: Path) -> Iterator[Diagnostic]:
    for index, name in enumerate(names):
        if name.count("/") < 2 and _gateway(name, subject.namespace) not in bound:
            message = (
                f"the VirtualService is not bound to {name[:_SHOWN]}, so that no request comes from there"
            )
            hint = f"add {name[:_SHOWN]} to spec.gateways, or remove it here"
            yield subject.finding("GM427", message, (*path, "gateways", index), hint=hint)


def _match(subject: Subject, match: HTTPMatch, path: Path) -> Iterator[Diagnostic]:
    if match.uri is not None:
        yield from _path(subject, match.uri, (*path, "uri"))
    elif match.ignore_uri_case:
        message = "ignoreUriCase does nothing without uri"
        yield subject.finding("GM418", message, (*path, "ignoreUriCase"), hint="add uri", wants_key=True)
    yield from _word(subject, match.method, (*path, "method"), _METHODS)
    yield from _word(subject, match.scheme, (*path, "scheme"), _SCHEMES)
    for field, headers in (("headers", match.headers), ("withoutHeaders", match.without_headers)):
        yield from check_letter_case(subject, headers, (*path, field))
    wanted = {name.lower(): condition for name, condition in match.headers.items()}
    for name, condition in match.without_headers.items():
        if wanted.get(name.lower()) == condition:
            message = f"{name[:_SHOWN]} is wanted in headers, and refused here: no request has both"
            where = (*path, "withoutHeaders", name)
            yield subject.finding("GM426", message, where, hint="keep one of them", wants_key=True)


def _path(subject: Subject, uri: StringMatch, path: Path) -> Iterator[Diagnostic]:
    field, text = ("exact", uri.exact) if uri.exact is not None else ("prefix", uri.prefix or "")
    if text is None or (field == "prefix" and not text) or text == "*":
        return
    parts = text.split("/") if field == "exact" else text.split("/")[:-1]
    reason = ""
    if not text.startswith("/"):
        reason = "every path begins with /"
    elif "." in parts or ".." in parts:
        reason = "proxies resolve . and .. first"
    elif _ESCAPED.search(text):
        reason = "proxies write letters, digits, -, ., _ and ~ without % first"
    if reason:
        message = f"{dotted((*path, field))} never matches {text[:_SHOWN]!r}: {reason}"
        hint = f"write /{text[:_SHOWN]}" if not text.startswith("/") else "write the path as it is then"
        yield subject.finding("GM423", message, (*path, field), hint=hint)


def _word(
    subject: Subject, match: StringMatch | None, path: Path, known: frozenset[str]
) -> Iterator[Diagnostic]:
    text = match.exact if match is not None else None
    if not text or text in known:
        return
    meant = next((word for word in known if word.lower() == text.lower()), "")
    if meant:
        message = f"{dotted((*path, 'exact'))} never matches: {meant} is compared letter by letter"
        yield subject.finding("GM424", message, (*path, "exact"), hint=f"write {meant}")


def check_letter_case(subject: Subject, headers: Mapping[str, object], path: Path) -> Iterator[Diagnostic]:
    """Yield names of one map that are the same header; `path` leads to the map."""
    seen: dict[str, str] = {}
    for name in headers:
        first = seen.setdefault(name.lower(), name)
        if first != name:
            message = f"{name[:_SHOWN]} and {first[:_SHOWN]} are the same header"
            hint = "keep one of them: upper and lower case make no difference"
            yield subject.finding("GM425", message, (*path, name), hint=hint, wants_key=True)
