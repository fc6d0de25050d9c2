"""What Istio accepts in the actions of an HTTP rule although it does nothing, or Envoy refuses it.

Stage: validate (pure). Source: istio/istio pilot/pkg/networking/core/route/route.go, TranslateRoute; and the
bounds of Envoy 1.40's API, measured with `envoy --mode validate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gitmesh.istio.hosts import fully_qualified
from gitmesh.istio.models.virtual_service import (
    HeaderOperations,
    Headers,
    HTTPRoute,
    RouteDestination,
    VirtualServiceSpec,
)
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.header_commands import command_problem
from gitmesh.validate.headers import is_authority
from gitmesh.validate.never_matches import check_letter_case
from gitmesh.validate.subject import Path, Subject, dotted

_STATUS_END = 600
_WEIGHTS_MAX = 2**32 - 1
_STATUS_CODES = "retriable-status-codes"
_SHOWN = 60


def check_actions(subject: Subject, spec: VirtualServiceSpec) -> Iterator[Diagnostic]:
    """Yield what does not do what it says."""
    for index, rule in enumerate(spec.http):
        path: Path = ("spec", "http", index)
        yield from _refused(subject, rule, path)
        yield from _mirrored(subject, rule, path)
        yield from _retried(subject, rule, path)
        yield from _answered(subject, rule, path)
        yield from _headers(subject, rule, path)
        plain = [
            RouteDestination(destination=p.destination) if p.headers is None else None for p in rule.route
        ]
        yield from _twice(subject, plain, path)
    for index, tcp in enumerate(spec.tcp):
        yield from _twice(subject, tcp.route, ("spec", "tcp", index))
    for index, tls in enumerate(spec.tls):
        yield from _twice(subject, tls.route, ("spec", "tls", index))


def _refused(subject: Subject, rule: HTTPRoute, path: Path) -> Iterator[Diagnostic]:
    abort = rule.fault.abort if rule.fault is not None else None
    if abort is not None and abort.http_status == _STATUS_END:
        message = "Envoy refuses the status 600"
        yield subject.finding("GM428", message, (*path, "fault", "abort", "httpStatus"), hint=_BELOW)
    if rule.direct_response is not None and rule.direct_response.status == _STATUS_END:
        message = "Envoy refuses the status 600"
        yield subject.finding("GM428", message, (*path, "directResponse", "status"), hint=_BELOW)
    if sum(max(0, part.weight or 0) for part in rule.route) > _WEIGHTS_MAX:
        message = f"Envoy refuses weights that add up to more than {_WEIGHTS_MAX}"
        yield subject.finding(
            "GM428", message, (*path, "route"), hint="let them add up to 100", wants_key=True
        )


_BELOW = "the largest one is 599"


def _mirrored(subject: Subject, rule: HTTPRoute, path: Path) -> Iterator[Diagnostic]:
    shares = {
        "mirrorPercentage": rule.mirror_percentage,
        "mirrorPercent": rule.mirror_percent,
        "mirror_percent": rule.mirror_percent_snake,
    }
    for name, value in shares.items():
        if value is not None and rule.mirror is None:
            message = f"{name} does nothing without mirror"
            hint = "give each of mirrors its own percentage" if rule.mirrors else "add mirror, or remove it"
            yield subject.finding("GM429", message, (*path, name), hint=hint, wants_key=True)


def _retried(subject: Subject, rule: HTTPRoute, path: Path) -> Iterator[Diagnostic]:
    conditions = (rule.retries.retry_on or "").split(",") if rule.retries is not None else []
    if _STATUS_CODES in conditions and not any(condition.isdecimal() for condition in conditions):
        message = f"{_STATUS_CODES} retries nothing: no status is named beside it"
        hint = f"write for example {_STATUS_CODES},503"
        yield subject.finding("GM430", message, (*path, "retries", "retryOn"), hint=hint)


def _answered(subject: Subject, rule: HTTPRoute, path: Path) -> Iterator[Diagnostic]:
    cors = rule.cors_policy
    if cors is not None and not (cors.allow_origins or cors.allow_origin):
        message = "corsPolicy allows nothing: it names no origin"
        yield subject.finding(
            "GM432", message, (*path, "corsPolicy"), hint="add allowOrigins", wants_key=True
        )
    if rule.rewrite is not None and rule.rewrite.uri:
        for number, match in enumerate(rule.match):
            if match.uri is not None and match.uri.regex is not None:
                message = (
                    f"the whole path becomes {rule.rewrite.uri[:_SHOWN]}, as match[{number}] is an expression"
                )
                hint = "to replace a part of it, use uriRegexRewrite"
                yield subject.finding("GM434", message, (*path, "rewrite", "uri"), hint=hint)
                return


def _twice(subject: Subject, route: Sequence[RouteDestination | None], path: Path) -> Iterator[Diagnostic]:
    """Destinations with headers of their own (None here) may well be there twice."""
    seen: dict[tuple[str, str, int], int] = {}
    for index, part in enumerate(route):
        if part is None:
            continue
        to = part.destination
        port = (to.port.number if to.port is not None else None) or 0
        first = seen.setdefault((fully_qualified(to.host, subject.namespace), to.subset or "", port), index)
        if first != index:
            message = f"this is the same destination as {dotted((*path, 'route', first))}: the weights add up"
            where = (*path, "route", index, "destination")
            yield subject.finding("GM433", message, where, hint="name the other one, or join them")


def _headers(subject: Subject, rule: HTTPRoute, path: Path) -> Iterator[Diagnostic]:
    if rule.headers is not None:
        yield from _changes(subject, rule.headers, (*path, "headers"))
    for index, part in enumerate(rule.route):
        if part.headers is None:
            continue
        where: Path = (*path, "route", index, "headers")
        yield from _changes(subject, part.headers, where)
        if rule.headers is not None:
            several = len(rule.route) > 1
            yield from _overridden(subject, rule.headers, part.headers, path, where, several=several)


def _changes(subject: Subject, headers: Headers, path: Path) -> Iterator[Diagnostic]:
    for name, operations in (("request", headers.request), ("response", headers.response)):
        for action, values in (("set", operations.set), ("add", operations.add)) if operations else ():
            where: Path = (*path, name, action)
            yield from check_letter_case(subject, values, where)
            for header, value in values.items():
                if reason := command_problem(value):
                    hint = "see Envoy's manual, command operators; write %% for a percent sign"
                    yield subject.finding("GM442", f"Envoy refuses {reason}", (*where, header), hint=hint)


def _overridden(
    subject: Subject, of_rule: Headers, of_part: Headers, rule: Path, part: Path, *, several: bool
) -> Iterator[Diagnostic]:
    """Of several destinations Envoy changes headers for each first, then for the rule; of one after it."""
    pairs = (("request", of_rule.request, of_part.request), ("response", of_rule.response, of_part.response))
    for name, outer, inner in pairs:
        loser, where, winner = (
            (inner, part, "the rule") if several else (outer, (*rule, "headers"), "the destination")
        )
        taken = _set_by(outer if several else inner)
        for header in loser.set if loser is not None else ():
            if header.lower() in taken and not is_authority(header):
                message = f"{header[:_SHOWN]} is set by {winner} as well, which wins"
                path = (*where, name, "set", header)
                yield subject.finding("GM431", message, path, hint="set it in one place", wants_key=True)


def _set_by(operations: HeaderOperations | None) -> frozenset[str]:
    return frozenset(name.lower() for name in operations.set) if operations is not None else frozenset()
