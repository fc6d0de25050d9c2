"""Whether one HTTP match takes every request that another one would.

Stage: validate (pure). Source: istio/istio pilot/pkg/networking/core/route, TranslateRouteMatch: which
conditions there are; they all must hold. A prefix is a prefix of text, not of path segments.
"""

from __future__ import annotations

from collections.abc import Mapping

from gitmesh.istio.models.common import StringMatch
from gitmesh.istio.models.virtual_service import HTTPMatch

_ANY_PATH = ".*"


def covers_match(earlier: HTTPMatch, later: HTTPMatch) -> bool:
    """Say whether no request is left for `later` once `earlier` was tried. In doubt it says no."""
    return (
        _same_callers(earlier, later)
        and (not earlier.port or earlier.port == later.port)
        and _covers_path(earlier, later)
        and _takes(earlier.scheme, later.scheme)
        and _takes(earlier.method, later.method)
        and _takes(earlier.authority, later.authority)
        and _demands(earlier.headers, later.headers)
        and _demands(earlier.query_params, later.query_params)
        and _refusals(earlier.without_headers, later.without_headers)
    )


def takes_any_path(match: HTTPMatch) -> bool:
    """Say whether the match says nothing about the path. Source: pilot, IsCatchAllRoute."""
    uri = match.uri
    if uri is None or (uri.exact is None and uri.prefix is None and uri.regex is None):
        return True
    return uri.prefix in ("", "/") or uri.regex == _ANY_PATH


def _same_callers(earlier: HTTPMatch, later: HTTPMatch) -> bool:
    """Which proxies have the rule at all: gateways, else labels and namespace of the caller."""
    if earlier.gateways:
        return set(later.gateways) <= set(earlier.gateways) and bool(later.gateways)
    if not earlier.source_labels and not earlier.source_namespace:
        return True
    return (
        not later.gateways
        and earlier.source_labels.items() <= later.source_labels.items()
        and (earlier.source_namespace or later.source_namespace) == later.source_namespace
    )


def _covers_path(earlier: HTTPMatch, later: HTTPMatch) -> bool:
    if takes_any_path(earlier):
        return True
    if takes_any_path(later) or earlier.uri is None or later.uri is None:
        return False
    one, other = earlier.uri, later.uri
    if one.exact == "":
        return other.exact == ""
    if earlier.ignore_uri_case and one.regex is None:
        return _text_takes(_lowered(one), _lowered(other))
    return not (later.ignore_uri_case and other.regex is None) and _text_takes(one, other)


def _lowered(match: StringMatch) -> StringMatch:
    def lower(text: str | None) -> str | None:
        return None if text is None else text.lower()

    return match.model_copy(update={"exact": lower(match.exact), "prefix": lower(match.prefix)})


def _takes(earlier: StringMatch | None, later: StringMatch | None) -> bool:
    """Say whether the first condition holds wherever the second does."""
    return earlier is None or (later is not None and _text_takes(earlier, later))


def _text_takes(earlier: StringMatch, later: StringMatch) -> bool:
    if earlier.regex is not None:
        return earlier.regex == later.regex
    if earlier.exact:
        return earlier.exact == later.exact
    if earlier.prefix is None:
        return True  # also with an empty exact: the header or parameter only has to be there
    text = later.exact if later.exact is not None else later.prefix
    return text is not None and text.startswith(earlier.prefix)


def _demands(earlier: Mapping[str, StringMatch], later: Mapping[str, StringMatch]) -> bool:
    return all(name in later and _text_takes(match, later[name]) for name, match in earlier.items())


def _refusals(earlier: Mapping[str, StringMatch], later: Mapping[str, StringMatch]) -> bool:
    """Whatever the earlier match refuses, the later one must refuse as well."""
    return all(name in later and _text_takes(later[name], match) for name, match in earlier.items())
