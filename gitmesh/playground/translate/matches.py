"""HTTP match conditions: one entry of `match` to one Envoy RouteMatch.

Stage: playground translation (pure). Source: istio.io, Virtual Service, HTTPMatchRequest;
istio/istio pilot/pkg/networking/core/route, TranslateRouteMatch.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.handled import HANDLED, unhandled
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.route_context import RouteContext

_MATCH_TREE = HANDLED["VirtualService"]["http"]["match"]
_PSEUDO_HEADERS = ("method", "authority", "scheme")


def holds_here(match: Field, context: RouteContext) -> bool:
    """Say whether a condition can hold at this gateway and port, for this client.

    What cannot be evaluated counts as not holding: a condition must never be widened by leaving a part out.
    """
    gateways = match["gateways"]
    names = [gateway_name(name, gateways.key.namespace) for name in gateways.texts()]
    if names and context.gateway not in names:
        return False
    # With `gateways` in the same match, Istio does not look at the client.
    if not names and not context.is_from(match["sourceLabels"], match["sourceNamespace"].text()):
        return False
    if match["port"].integer() not in (0, context.port):
        return False
    return not _not_evaluated(match)


def gateway_name(text: str, namespace: str) -> str:
    """Return `mesh` or `namespace/name`. Source: istio/istio, resolveGatewayName."""
    if text == "mesh":
        return text
    text = text.removeprefix("./")
    if "/" in text:
        return text
    name, _, rest = text.partition(".")
    return f"{rest.partition('.')[0]}/{name}" if rest else f"{namespace}/{name}"


def _not_evaluated(match: Field) -> bool:
    unknown = list(unhandled(match, _MATCH_TREE))
    claims = [field for _, field in _all_headers(match) if str(field.path[-1]).startswith("@")]
    for field in (*unknown, *claims):
        field.report("the playground cannot evaluate this condition, so the whole match is left out")
    return bool(unknown or claims)


def _all_headers(match: Field) -> Iterator[tuple[str, Field]]:
    yield from match["headers"].entries()
    yield from match["withoutHeaders"].entries()


def route_match(match: Field | None) -> Envoy:
    """Return the Envoy match; None stands for a rule without conditions."""
    if match is None:
        return {"prefix": "/"}
    result = _path_match(match)
    headers = [_header(name, field) for name, field in match["headers"].entries()]
    headers += [_without(name, field) for name, field in match["withoutHeaders"].entries()]
    headers.sort(key=lambda header: str(header["name"]))
    headers += [_header(f":{name}", match[name]) for name in _PSEUDO_HEADERS if match[name].present]
    if headers:
        result["headers"] = headers
    queries = [_query(name, field) for name, field in match["queryParams"].entries()]
    if queries:
        result["query_parameters"] = queries
    return result


def is_catch_all(match: Envoy) -> bool:
    """Say whether a match takes every request, so that no later route can be reached."""
    anything = match.get("prefix") == "/" or match.get("safe_regex", {}).get("regex") == ".*"
    return anything and "headers" not in match and "query_parameters" not in match


def _path_match(match: Field) -> Envoy:
    uri = match["uri"]
    path: Envoy = {"prefix": "/"}
    if uri["exact"].present:
        path = {"path": uri["exact"].text()}
    elif uri["prefix"].present:
        path = {"prefix": uri["prefix"].text()}
    elif uri["regex"].present:
        path = {"safe_regex": {"regex": uri["regex"].text()}}
    # Envoy applies this to exact and prefix only; a regular expression keeps looking at case, as in Istio.
    if match["ignoreUriCase"].boolean():
        path["case_sensitive"] = False
    return path


def string_match(field: Field) -> Envoy | None:
    """Return an Envoy StringMatcher; None for a mere test of presence."""
    for kind in ("exact", "prefix"):
        if field[kind].present:
            # Envoy refuses an empty prefix, and it would match everything anyway.
            text = field[kind].text()
            return {kind: text} if text or kind == "exact" else None
    regex = field["regex"].text()
    return {"safe_regex": {"regex": regex}} if regex and regex != "*" else None


def _header(name: str, field: Field) -> Envoy:
    matcher = string_match(field)
    return {"name": name, "string_match": matcher} if matcher else {"name": name, "present_match": True}


def _without(name: str, field: Field) -> Envoy:
    inverted = {**_header(name, field), "invert_match": True}
    if "string_match" in inverted:
        inverted["treat_missing_header_as_empty"] = True
    return inverted


def _query(name: str, field: Field) -> Envoy:
    matcher = string_match(field)
    return {"name": name, "string_match": matcher} if matcher else {"name": name, "present_match": True}
