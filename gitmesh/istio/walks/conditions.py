"""Conditions on requests, and both of two conditions as one, as far as Istio can say that.

Stage: decide, plan (pure).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

from gitmesh.istio.canonical import canonical
from gitmesh.istio.routes import Route
from gitmesh.istio.walks.request_ids import HEADER, pattern
from gitmesh.model.steps import RequestMatch

Alternative = Mapping[str, Any]  # one element of `match`; all that it says must hold
_EVERYTHING: tuple[Alternative, ...] = ({},)


class UnsayableError(ValueError):
    """Istio has no words for both conditions together: one header can be asked for one thing."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What is asked of a request on top of what its route asks: header name -> StringMatch, and labels."""

    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    source_labels: Mapping[str, str] = field(default_factory=dict)


def of_share(share: int) -> Condition:
    """Return the condition of the ids on a share."""
    return Condition({HEADER: {"regex": pattern(share)}})


def of_match(match: RequestMatch) -> Condition:
    """Return the condition that a step of matches writes. Raises UnsayableError."""
    headers: dict[str, Mapping[str, str]] = {
        name: text.model_dump(exclude_none=True) for name, text in match.headers.items()
    }
    if match.cookies:
        if any(name.lower() == "cookie" for name in headers):
            raise UnsayableError("cookies and the header cookie exclude each other in one match")
        headers["cookie"] = {"regex": _with_cookies(match.cookies)}
    return Condition(headers, match.source_labels)


def _with_cookies(cookies: Mapping[str, str]) -> str:
    """Return the pattern of a cookie header with all of these, in any order."""
    pairs = [f"{re.escape(name)}={re.escape(value)}" for name, value in cookies.items()]
    orders = (r"\s*;(?:.*;)?\s*".join(order) for order in permutations(pairs))
    return rf"(?:.*;\s*)?(?:{'|'.join(orders)})(?:\s*;.*)?"


def alternatives_of(route: Route) -> tuple[Alternative, ...]:
    """Return the alternatives of a route's match; one that asks nothing when it has none."""
    match = route.get("match")
    found = tuple(a for a in match if isinstance(a, Mapping)) if isinstance(match, list) else ()
    return found or _EVERYTHING


def narrowed(route: Route, conditions: Iterable[Condition]) -> list[dict[str, Any]]:
    """Return a match for what the route takes and one of the conditions holds of. Raises UnsayableError."""
    found = (
        both(alternative, condition) for condition in conditions for alternative in alternatives_of(route)
    )
    return [alternative for alternative in found if alternative is not None]


def narrowed_where_possible(route: Route, conditions: Iterable[Condition]) -> list[dict[str, Any]]:
    """Return the same, without the alternatives that cannot be said."""
    return [found for condition in conditions for found in _sayable(route, condition)]


def _sayable(route: Route, condition: Condition) -> Iterator[dict[str, Any]]:
    for alternative in alternatives_of(route):
        try:
            found = both(alternative, condition)
        except UnsayableError:
            continue
        if found is not None:
            yield found


def both(alternative: Alternative, condition: Condition) -> dict[str, Any] | None:
    """Return what takes a request when both hold; None when both never do. Raises UnsayableError."""
    labels = dict(alternative.get("sourceLabels") or {})
    if condition.source_labels and alternative.get("gateways"):
        # Source: istio/istio, sourceMatchHTTP: labels are not looked at where gateways are named.
        raise UnsayableError("sourceLabels have no effect beside gateways")
    for name, value in condition.source_labels.items():
        if labels.setdefault(name, value) != value:
            return None
    headers = dict(alternative.get("headers") or {})
    for name, wanted in condition.headers.items():
        at = next((known for known in headers if known.lower() == name.lower()), name)
        one = _both_texts(headers.get(at) or {}, wanted)
        if one is None:
            return None
        headers[at] = one
    result = dict(alternative)
    if headers:
        result["headers"] = headers
    if labels:
        result["sourceLabels"] = labels
    return result


def _both_texts(one: Mapping[str, str], other: Mapping[str, str]) -> Mapping[str, str] | None:
    if not one or dict(one) == dict(other):
        return other
    if not other:
        return one
    if "regex" in one or "regex" in other:
        raise UnsayableError("a header cannot be asked for a regular expression and for something else")
    longer, shorter = (one, other) if "exact" in one or _length(one) > _length(other) else (other, one)
    if "exact" in shorter:  # and in the longer one too, for it comes first
        return None
    return longer if _text(longer).startswith(shorter["prefix"]) else None


def _text(match: Mapping[str, str]) -> str:
    return match.get("exact", match.get("prefix", ""))


def _length(match: Mapping[str, str]) -> int:
    return len(_text(match))


def covers(takers: Iterable[Route], taken: Iterable[Route]) -> bool:
    """Say whether any request that a route of `taken` matches is surely matched by one of `takers`."""
    known = [_said(alternative) for route in takers for alternative in alternatives_of(route)]
    return {} in known or all(_said(a) in known for route in taken for a in alternatives_of(route))


def _said(alternative: Alternative) -> Any:
    said = canonical(alternative)
    return {name: value for name, value in said.items() if name != "name" and value not in ({}, [])}
