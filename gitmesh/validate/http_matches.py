"""The conditions of HTTP rules.

Stage: validate (pure). Source: istio/istio pkg/config/validation, validateHTTPRouteMatchRequest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gitmesh.istio.models.virtual_service import HTTPMatch
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.headers import check_matched_name, is_claim
from gitmesh.validate.labels import check_labels
from gitmesh.validate.names import is_fqdn, is_label
from gitmesh.validate.patterns import check_string_match
from gitmesh.validate.subject import Path, Subject, dotted

_ANY = "*"  # as a regular expression in withoutHeaders it means: whatever the value


def check_http_match(
    subject: Subject, match: HTTPMatch, path: Path, *, in_mesh: bool
) -> Iterator[Diagnostic]:
    """Yield what is wrong with one match; `in_mesh`: its VirtualService is bound to the mesh."""
    if match.uri is not None:
        yield from check_string_match(subject, match.uri, (*path, "uri"), empty_prefix=True)
    for name, one in (("scheme", match.scheme), ("method", match.method), ("authority", match.authority)):
        if one is not None:
            yield from check_string_match(subject, one, (*path, name))
    yield from _headers(subject, match, path, in_mesh=in_mesh)
    for key, value in match.query_params.items():
        if not key:
            message = f"an empty name in {dotted((*path, 'queryParams'))}"
            yield subject.finding("GM108", message, (*path, "queryParams"), wants_key=True)
        yield from check_string_match(subject, value, (*path, "queryParams", key))
    yield from check_labels(subject, match.source_labels, (*path, "sourceLabels"))
    yield from check_gateway_names(subject, match.gateways, (*path, "gateways"), in_match=True)
    if match.source_namespace and not is_label(match.source_namespace):
        message = f"{match.source_namespace[:80]!r} is not the name of a namespace"
        yield subject.finding("GM108", message, (*path, "sourceNamespace"))


def _headers(subject: Subject, match: HTTPMatch, path: Path, *, in_mesh: bool) -> Iterator[Diagnostic]:
    for field, headers in (("headers", match.headers), ("withoutHeaders", match.without_headers)):
        for name, value in headers.items():
            yield from check_matched_name(subject, name, (*path, field))
            if is_claim(name) and in_mesh:
                where = (*path, field, name)
                message = "claims of a token can be matched at a gateway only"
                hint = "bind the VirtualService to a gateway, and not to the mesh"
                yield subject.finding("GM129", message, where, hint=hint, wants_key=True)
            if field == "headers" or value.regex != _ANY:
                yield from check_string_match(subject, value, (*path, field, name))


def check_gateway_names(
    subject: Subject, names: Sequence[str], path: Path, *, in_match: bool = False
) -> Iterator[Diagnostic]:
    """Yield the names that cannot be those of Gateways; Istio takes an old form in matches silently."""
    for index, name in enumerate(names):
        namespace, slash, gateway = name.partition("/")
        good = is_label(namespace) and is_label(gateway) if slash else is_fqdn(name)
        if not good:
            hint = "write name, or namespace/name"
            message = f"{name[:80]!r} does not name a Gateway"
            yield subject.finding("GM108", message, (*path, index), hint=hint)
        elif not slash and "." in name and not in_match:
            parts = name.split(".")
            message = f"{name[:80]} names a Gateway in an old form"
            hint = f"write {parts[1]}/{parts[0]}"
            yield subject.finding("GM140", message, (*path, index), hint=hint)
