"""Names and values of HTTP headers, where they are matched and where they are changed.

Stage: validate (pure). Source: istio/istio pkg/config/validation, header_value_validator.go and beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gitmesh.istio.models.virtual_service import HeaderOperations, Headers, HTTPRewrite
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.subject import Path, Subject

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~A-Za-z0-9]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_PSEUDO = frozenset((":method", ":scheme", ":authority", ":path", ":status"))
_CLAIMS = "@request.auth.claims"
# A command of Envoy between percent signs: a name, and an optional argument in parentheses.
_COMMAND = re.compile(r"%(?:%|[^%(]*%|[^%(]*\((?:[^)\\]|\\.)*\) *%)", re.DOTALL)
_SHOWN = 60


def is_claim(name: str) -> bool:
    """Say whether a header name stands for a claim of a token: `@request.auth.claims.group`."""
    if not name.lower().startswith(_CLAIMS):
        return False
    rest = name[len(_CLAIMS) :]
    return (rest.startswith(".") and len(rest) > 1) or (
        rest.startswith("[") and rest.endswith("]") and len(rest) > 2
    )


def is_token(name: str) -> bool:
    """Say whether the text is the name of a header. Source: RFC 7230, section 3.2.6."""
    return _TOKEN.fullmatch(name) is not None


def check_matched_name(subject: Subject, name: str, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with the name of a header in a match; `path` leads to the map."""
    if not name:
        yield subject.finding("GM108", "the name of a header is empty", path, wants_key=True)
    elif not (is_claim(name) or name in _PSEUDO or is_token(name)):
        message = f"{name[:_SHOWN]!r} is not the name of a header"
        yield subject.finding("GM108", message, (*path, name), wants_key=True)


def check_headers(subject: Subject, headers: Headers, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with changes to the headers of requests and responses."""
    if headers.request is not None:
        yield from _operations(subject, headers.request, (*path, "request"), of_request=True)
    if headers.response is not None:
        yield from _operations(subject, headers.response, (*path, "response"), of_request=False)


def _operations(
    subject: Subject, operations: HeaderOperations, path: Path, *, of_request: bool
) -> Iterator[Diagnostic]:
    for action, values in (("add", operations.add), ("set", operations.set)):
        for name, value in values.items():
            where: Path = (*path, action, name)
            if reason := _name_problem(name, may_be_host=of_request):
                yield subject.finding("GM114", reason, where, wants_key=True)
            if reason := value_problem(value):
                message = f"the value of {name[:_SHOWN]} {reason}"
                yield subject.finding("GM114", message, where, hint="write %% for a percent sign")
    for index, name in enumerate(operations.remove):
        if reason := _name_problem(name, may_be_host=False):
            yield subject.finding("GM114", reason, (*path, "remove", index))


def _name_problem(name: str, *, may_be_host: bool) -> str:
    if not name:
        return "the name of a header is empty"
    if may_be_host and is_authority(name):
        return ""
    if name.lower() == "host":
        return "the header host can be set or added on requests only"
    return f"{name[:_SHOWN]} cannot be changed: it begins with a colon" if name.startswith(":") else ""


def value_problem(value: str) -> str:
    """Say why Envoy would refuse the value of a header; empty when it is fine."""
    if _CONTROL.search(value):
        return "has a control character"
    at = value.find("%")
    while at >= 0:
        command = _COMMAND.match(value, at)
        if command is None:
            return "has a % that begins no complete %COMMAND%"
        at = value.find("%", command.end())
    return ""


def is_authority(name: str) -> bool:
    """Say whether the header is the one that names the host."""
    return name.lower() in (":authority", "host")


def check_authority(
    subject: Subject, rewrite: HTTPRewrite | None, headers: Headers | None, path: Path
) -> Iterator[Diagnostic]:
    """Yield each place after the first that sets the host of a request; `path` leads to the rule."""
    request = headers.request if headers is not None else None
    known = bool(rewrite is not None and rewrite.authority)
    changes: tuple[tuple[str, Mapping[str, str]], ...] = ()
    if request is not None:
        changes = (("set", request.set), ("add", request.add))
    for action, values in changes:
        for name, value in values.items():
            if not is_authority(name):
                continue
            if known:
                where = (*path, "headers", "request", action, name)
                message = "the host of the request is set a second time"
                yield subject.finding("GM114", message, where, hint="keep one place", wants_key=True)
            known = known or bool(value)
