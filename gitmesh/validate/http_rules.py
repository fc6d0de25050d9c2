"""What Istio demands of one HTTP rule of a VirtualService.

Stage: validate (pure). Source: istio/istio pkg/config/validation/virtualservice.go and validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gitmesh.istio.models.common import StringMatch
from gitmesh.istio.models.virtual_service import HTTPFault, HTTPMatch, HTTPRetry, HTTPRewrite, HTTPRoute
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.spelling import closest
from gitmesh.validate.subject import Path, Subject, dotted

_REGEX_CHARS_MAX = 1024
_NOT_RE2 = re.compile(r"\(\?(?:[=!]|<[=!])|\\[1-9]")

_RETRY_ON = frozenset(
    [
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "retriable-headers",
        "envoy-ratelimited",
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    ]
)
_GRPC = frozenset(
    [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ]
)


def check_http_rule(
    subject: Subject, rule: HTTPRoute, path: Path, *, delegated: bool
) -> Iterator[Diagnostic]:
    """Yield what is wrong with one rule; `delegated`: it stands in a VirtualService without hosts."""
    yield from _what_it_does(subject, rule, path, delegated=delegated)
    for index, match in enumerate(rule.match):
        yield from _match(subject, match, (*path, "match", index))
    if rule.retries is not None:
        yield from _retries(subject, rule.retries, (*path, "retries"))
    if rule.fault is not None:
        yield from _fault(subject, rule.fault, (*path, "fault"))
    if rule.rewrite is not None:
        yield from _rewrite(subject, rule.rewrite, (*path, "rewrite"))
    redirect = rule.redirect
    if redirect is not None:
        aims = (redirect.uri, redirect.authority, redirect.scheme, redirect.port, redirect.derive_port)
        if all(aim is None for aim in aims):
            message = "the redirect leads nowhere: it has no uri, authority, scheme or port"
            yield subject.finding("GM126", message, (*path, "redirect"), wants_key=True)


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


def _match(subject: Subject, match: HTTPMatch, path: Path) -> Iterator[Diagnostic]:
    if match.uri is not None:
        yield from _string_match(subject, match.uri, (*path, "uri"), empty_prefix=True)
    for name, one in (("scheme", match.scheme), ("method", match.method), ("authority", match.authority)):
        if one is not None:
            yield from _string_match(subject, one, (*path, name))
    for name, many in (
        ("headers", match.headers),
        ("withoutHeaders", match.without_headers),
        ("queryParams", match.query_params),
    ):
        for key, value in many.items():
            if not key:
                message = f"an empty name in {dotted((*path, name))}"
                yield subject.finding("GM108", message, (*path, name), wants_key=True)
            yield from _string_match(subject, value, (*path, name, key))


def _string_match(
    subject: Subject, match: StringMatch, path: Path, *, empty_prefix: bool = False
) -> Iterator[Diagnostic]:
    if match.prefix == "" and not empty_prefix:
        yield subject.finding("GM108", f"{dotted(path)}.prefix is empty", (*path, "prefix"))
    if match.regex is None:
        return
    if not match.regex:
        yield subject.finding("GM108", f"{dotted(path)}.regex is empty", (*path, "regex"))
    elif len(match.regex) > _REGEX_CHARS_MAX:
        message = f"{dotted(path)}.regex is longer than {_REGEX_CHARS_MAX} characters"
        yield subject.finding("GM108", message, (*path, "regex"))
    elif _NOT_RE2.search(match.regex):
        message = f"{dotted(path)}.regex looks ahead, looks behind or refers back, which RE2 does not know"
        yield subject.finding("GM108", message, (*path, "regex"), hint="use RE2 syntax, as Envoy does")


def _retries(subject: Subject, retries: HTTPRetry, path: Path) -> Iterator[Diagnostic]:
    details = {
        "perTryTimeout": retries.per_try_timeout,
        "retryOn": retries.retry_on,
        "retryRemoteLocalities": retries.retry_remote_localities,
    }
    for name, value in details.items():
        if value and not retries.attempts:
            message = f"{name} has no effect without attempts"
            yield subject.finding(
                "GM127", message, (*path, name), hint="set attempts, or remove it", wants_key=True
            )
            break
    for condition in (retries.retry_on or "").split(",") if retries.retry_on else ():
        if condition not in _RETRY_ON and not (condition.isdecimal() and 100 <= int(condition[:4]) <= 599):
            near = closest(condition, _RETRY_ON)
            hint = f"did you mean {near}?" if near else f"one of: {', '.join(sorted(_RETRY_ON))}"
            message = f"{condition[:60]!r} is not a condition of retryOn"
            yield subject.finding("GM104", message, (*path, "retryOn"), hint=hint)


def _fault(subject: Subject, fault: HTTPFault, path: Path) -> Iterator[Diagnostic]:
    if fault.abort is None and fault.delay is None:
        message = "the fault has neither delay nor abort"
        yield subject.finding("GM126", message, path, wants_key=True)
    if fault.delay is not None and fault.delay.exponential_delay is not None:
        message = "exponentialDelay is not supported by Istio"
        where = (*path, "delay", "exponentialDelay")
        yield subject.finding("GM109", message, where, hint="use fixedDelay", wants_key=True)
    if fault.abort is None:
        return
    if fault.abort.http2_error is not None:
        where = (*path, "abort", "http2Error")
        message = "http2Error is not supported by Istio"
        yield subject.finding("GM109", message, where, hint="use httpStatus", wants_key=True)
    status = fault.abort.grpc_status
    if status is not None and status not in _GRPC:
        near = closest(status, _GRPC)
        hint = f"did you mean {near}?" if near else "a status of gRPC, such as UNAVAILABLE"
        message = f"{status[:60]!r} is not a status of gRPC"
        yield subject.finding("GM104", message, (*path, "abort", "grpcStatus"), hint=hint)


def _rewrite(subject: Subject, rewrite: HTTPRewrite, path: Path) -> Iterator[Diagnostic]:
    regex = rewrite.uri_regex_rewrite
    if rewrite.uri is None and rewrite.authority is None and regex is None:
        message = "the rewrite has neither uri nor authority"
        yield subject.finding("GM126", message, path, wants_key=True)
    if regex is not None and rewrite.uri is not None:
        message = f"uri and uriRegexRewrite exclude each other in {dotted(path)}"
        where = (*path, "uriRegexRewrite")
        yield subject.finding("GM105", message, where, hint="keep one of them", wants_key=True)
    if regex is not None and not (regex.match and regex.rewrite):
        message = "uriRegexRewrite needs match and rewrite"
        yield subject.finding("GM126", message, (*path, "uriRegexRewrite"), wants_key=True)
