"""What HTTP rules do besides routing: redirects, fixed answers, rewrites, retries, faults, CORS.

Stage: validate (pure). Source: istio/istio pkg/config/validation, validation.go and agent/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus

from gitmesh.istio.grpc import GRPC_STATUSES
from gitmesh.istio.models.scalars import duration_nanoseconds
from gitmesh.istio.models.virtual_service import (
    CorsPolicy,
    DirectResponse,
    FaultAbort,
    HTTPFault,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
)
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.spelling import closest
from gitmesh.validate.headers import is_token
from gitmesh.validate.patterns import check_regex, check_string_match
from gitmesh.validate.subject import Path, Subject, dotted

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
_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"])
_SCHEMES = ("http", "https")
_STATUSES = frozenset(str(status.value) for status in HTTPStatus)
_STATUS_TEXT = re.compile(r"[+]?0*([0-9]{3})", re.ASCII)
_BODY_BYTES_MAX = 1024 * 1024
_BODY_BYTES_LARGE = 100 * 1024
_NANOSECONDS = 1_000_000_000
_PERCENT_MIN = 0.0001


def check_redirect(subject: Subject, redirect: HTTPRedirect, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with a redirect."""
    leads = redirect.port is not None or redirect.derive_port is not None
    if not (leads or redirect.uri or redirect.authority or redirect.scheme):
        message = "the redirect leads nowhere: it has no uri, authority, scheme or port"
        yield subject.finding("GM126", message, path, wants_key=True)
    if redirect.redirect_code and not 300 <= redirect.redirect_code <= 399:
        message = f"redirectCode must be 300 to 399, found the number {redirect.redirect_code}"
        yield subject.finding("GM106", message, (*path, "redirectCode"))
    if redirect.scheme and redirect.scheme not in _SCHEMES:
        message = f"{redirect.scheme[:40]!r} is not a scheme of a redirect"
        yield subject.finding("GM104", message, (*path, "scheme"), hint="write http or https")


def check_direct_response(subject: Subject, response: DirectResponse, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with a fixed answer; every proxy holds its body in memory."""
    body = response.body
    if body is None:
        return
    field = "string" if body.string is not None else "bytes"
    text = body.string if body.string is not None else body.bytes or ""
    size = len(text.encode(errors="replace")) if field == "string" else len(text) * 3 // 4
    if size > _BODY_BYTES_MAX:
        message = f"the body has {size} bytes, more than the {_BODY_BYTES_MAX} that are allowed"
        yield subject.finding("GM106", message, (*path, "body", field), wants_key=True)
    elif size > _BODY_BYTES_LARGE:
        message = f"the body has {size} bytes, which every proxy keeps in memory"
        yield subject.finding("GM147", message, (*path, "body", field), wants_key=True)


def check_rewrite(subject: Subject, rewrite: HTTPRewrite, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with a rewrite."""
    regex = rewrite.uri_regex_rewrite
    if not (rewrite.uri or rewrite.authority or regex is not None):
        message = "the rewrite has neither uri nor authority"
        yield subject.finding("GM126", message, path, wants_key=True)
    if regex is None:
        return
    where = (*path, "uriRegexRewrite")
    if rewrite.uri:
        message = f"uri and uriRegexRewrite exclude each other in {dotted(path)}"
        yield subject.finding("GM105", message, where, hint="keep one of them", wants_key=True)
    if not (regex.match and regex.rewrite):
        yield subject.finding("GM126", "uriRegexRewrite needs match and rewrite", where, wants_key=True)
    if regex.match:
        yield from check_regex(subject, regex.match, (*where, "match"))


def check_retries(subject: Subject, retries: HTTPRetry, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with retries."""
    details = {
        "perTryTimeout": retries.per_try_timeout is not None,
        "retryOn": bool(retries.retry_on),
        "retryRemoteLocalities": retries.retry_remote_localities is not None,
    }
    written = next((name for name, present in details.items() if present), "")
    if written and not retries.attempts:
        message = f"{written} has no effect without attempts"
        where = (*path, written)
        yield subject.finding("GM127", message, where, hint="set attempts, or remove it", wants_key=True)
    for condition in (retries.retry_on or "").split(",") if retries.retry_on else ():
        if not _is_condition(condition):
            message = f"{condition[:60]!r} is not a condition of retryOn"
            yield subject.finding("GM104", message, (*path, "retryOn"), hint=_condition_hint(condition))


def _is_condition(text: str) -> bool:
    number = _STATUS_TEXT.fullmatch(text)
    return text in _RETRY_ON or (number is not None and number.group(1) in _STATUSES)


def _condition_hint(condition: str) -> str:
    if condition != condition.strip() and _is_condition(condition.strip()):
        return "write no spaces between the conditions"
    near = closest(condition, _RETRY_ON)
    return f"did you mean {near}?" if near else f"one of: {', '.join(sorted(_RETRY_ON))}"


def check_fault(subject: Subject, fault: HTTPFault, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with a fault that is made on purpose."""
    if fault.abort is None and fault.delay is None:
        yield subject.finding("GM126", "the fault has neither delay nor abort", path, wants_key=True)
    for name, part in (("abort", fault.abort), ("delay", fault.delay)):
        share = part.percentage.value if part is not None and part.percentage is not None else None
        if share is not None and 0 < share < _PERCENT_MIN:
            message = f"a percentage is 0, or at least {_PERCENT_MIN}; found {share:g}"
            yield subject.finding("GM106", message, (*path, name, "percentage", "value"))
    if fault.delay is not None and fault.delay.exponential_delay is not None:
        message = "exponentialDelay is not supported by Istio"
        where = (*path, "delay", "exponentialDelay")
        yield subject.finding("GM109", message, where, hint="use fixedDelay", wants_key=True)
    if fault.abort is not None:
        yield from _abort(subject, fault.abort, (*path, "abort"))


def _abort(subject: Subject, abort: FaultAbort, path: Path) -> Iterator[Diagnostic]:
    if abort.http2_error is not None:
        message = "http2Error is not supported by Istio"
        where = (*path, "http2Error")
        yield subject.finding("GM109", message, where, hint="use httpStatus", wants_key=True)
    status = abort.grpc_status
    if status is not None and status not in GRPC_STATUSES:
        near = closest(status, GRPC_STATUSES)
        hint = f"did you mean {near}?" if near else "a status of gRPC, such as UNAVAILABLE"
        message = f"{status[:60]!r} is not a status of gRPC"
        yield subject.finding("GM104", message, (*path, "grpcStatus"), hint=hint)


def check_cors(subject: Subject, cors: CorsPolicy, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with a policy about calls of other origins."""
    for index, origin in enumerate(cors.allow_origins):
        where: Path = (*path, "allowOrigins", index)
        if not (origin.exact or origin.prefix or origin.regex):
            yield subject.finding("GM126", f"{dotted(where)} allows no origin", where)
        else:
            yield from check_string_match(subject, origin, where)
    for index, method in enumerate(cors.allow_methods):
        if method not in _METHODS:
            hint = f"did you mean {method.upper()}?" if method.upper() in _METHODS else ""
            hint = hint or f"one of: {', '.join(sorted(_METHODS))}"
            message = f"{method[:40]!r} is not a method of HTTP"
            yield subject.finding("GM104", message, (*path, "allowMethods", index), hint=hint)
    for field, names in (("allowHeaders", cors.allow_headers), ("exposeHeaders", cors.expose_headers)):
        for index, name in enumerate(names):
            if name != "*" and not is_token(name):
                message = f"{name[:60]!r} is not the name of a header"
                yield subject.finding("GM108", message, (*path, field, index))
    if cors.max_age is not None and duration_nanoseconds(cors.max_age) % _NANOSECONDS:
        message = f"{dotted(path)}.maxAge must be a whole number of seconds"
        yield subject.finding("GM107", message, (*path, "maxAge"))
