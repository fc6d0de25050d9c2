"""What Istio demands of one HTTP rule of a VirtualService.

Stage: validate (pure). Source: istio/istio pkg/config/validation/virtualservice.go and validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gitmesh.istio.models.virtual_service import HTTPRoute
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.headers import check_authority, check_headers
from gitmesh.validate.http_actions import (
    check_cors,
    check_direct_response,
    check_fault,
    check_redirect,
    check_retries,
    check_rewrite,
)
from gitmesh.validate.http_matches import check_http_match
from gitmesh.validate.subject import Path, Subject, dotted


@dataclass(frozen=True, slots=True)
class Bound:
    """Where the rules of a VirtualService hold. `delegated`: it has no hosts, so others delegate to it."""

    delegated: bool
    in_mesh: bool


def check_http_rule(subject: Subject, rule: HTTPRoute, path: Path, bound: Bound) -> Iterator[Diagnostic]:
    """Yield what is wrong with one rule; its destinations apart."""
    yield from _what_it_does(subject, rule, path, delegated=bound.delegated)
    for index, match in enumerate(rule.match):
        yield from check_http_match(subject, match, (*path, "match", index), in_mesh=bound.in_mesh)
    yield from _actions(subject, rule, path)
    if rule.headers is not None:
        yield from check_headers(subject, rule.headers, (*path, "headers"))
    yield from check_authority(subject, rule.rewrite, rule.headers, path)
    for index, part in enumerate(rule.route):
        if part.headers is not None:
            yield from check_headers(subject, part.headers, (*path, "route", index, "headers"))


def _actions(subject: Subject, rule: HTTPRoute, path: Path) -> Iterator[Diagnostic]:
    if rule.retries is not None:
        yield from check_retries(subject, rule.retries, (*path, "retries"))
    if rule.fault is not None:
        yield from check_fault(subject, rule.fault, (*path, "fault"))
    if rule.rewrite is not None:
        yield from check_rewrite(subject, rule.rewrite, (*path, "rewrite"))
    if rule.redirect is not None:
        yield from check_redirect(subject, rule.redirect, (*path, "redirect"))
    if rule.direct_response is not None:
        yield from check_direct_response(subject, rule.direct_response, (*path, "directResponse"))
    if rule.cors_policy is not None:
        yield from check_cors(subject, rule.cors_policy, (*path, "corsPolicy"))


def _what_it_does(subject: Subject, rule: HTTPRoute, path: Path, *, delegated: bool) -> Iterator[Diagnostic]:
    written = {
        "delegate": rule.delegate,
        "redirect": rule.redirect,
        "directResponse": rule.direct_response,
        "route": rule.route or None,
        "fault": rule.fault,
        "rewrite": rule.rewrite,
        "mirror": rule.mirror,
        "mirrors": rule.mirrors or None,
    }
    present = [name for name, value in written.items() if value is not None]
    if not {"delegate", "redirect", "directResponse", "route"} & set(present):
        message = f"{dotted(path)} says nothing about what happens to its requests"
        yield subject.finding("GM123", message, path, hint="add route, redirect or directResponse")
    for one, others in _EXCLUSIVE:
        for other in others:
            if one in present and other in present:
                message = f"{one} and {other} exclude each other in {dotted(path)}"
                yield subject.finding(
                    "GM105", message, (*path, other), hint="keep one of them", wants_key=True
                )
    if delegated and rule.delegate is not None:
        message = "a delegate cannot delegate further"
        yield subject.finding("GM125", message, (*path, "delegate"), wants_key=True)


_EXCLUSIVE = (
    ("delegate", ("redirect", "route")),
    ("redirect", ("directResponse", "route", "fault", "rewrite")),
    ("directResponse", ("route", "fault", "rewrite")),
    ("mirror", ("mirrors",)),
)
