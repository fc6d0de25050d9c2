"""What a rule does to one request that it takes.

Stage: plan (pure). Source: istio/istio pilot/pkg/networking/core/route; the effects on path and location were
measured with Envoy 1.40.
"""

from __future__ import annotations

from gitmesh.istio.matching.outcome import (
    Action,
    Forward,
    Outcome,
    PortOf,
    Redirect,
    Respond,
    Rewrite,
    fault_of,
    header_changes,
    mirrors_of,
    retries_of,
    shares_of,
)
from gitmesh.istio.matching.paths import split_target
from gitmesh.istio.matching.reading import Spec, integer, mapping, seconds, text
from gitmesh.istio.matching.request import DEFAULT_PORTS, Request, split_authority
from gitmesh.istio.matching.virtual_services import Candidate

_HOST = ("host", ":authority")


def action_of(candidate: Candidate, request: Request, port: int, port_of: PortOf) -> Action:
    """Return what the rule does to a request that came to `port`."""
    rule = candidate.rule.spec
    return Action(
        outcome=_outcome(candidate, request, port, port_of),
        changes=header_changes(rule.get("headers")),
        fault=fault_of(rule.get("fault")),
        cors=rule.get("corsPolicy") is not None,
    )


def _outcome(candidate: Candidate, request: Request, port: int, port_of: PortOf) -> Outcome:
    rule, namespace = candidate.rule.spec, candidate.rule.key.namespace
    if rule.get("redirect") is not None:
        return _redirect(mapping(rule["redirect"]), request, port)
    if rule.get("directResponse") is not None:
        response = mapping(rule["directResponse"])
        body = mapping(response.get("body"))
        return Respond(integer(response.get("status")), text(body.get("string")) or text(body.get("bytes")))
    return Forward(
        shares=shares_of(rule, namespace, port_of),
        rewrite=_rewrite(candidate, request),
        timeout_seconds=seconds(rule.get("timeout")) or None,
        retries=retries_of(rule.get("retries")),
        mirrors=mirrors_of(rule, namespace, port_of),
    )


def _rewrite(candidate: Candidate, request: Request) -> Rewrite:
    rule = candidate.rule.spec
    rewrite = mapping(rule.get("rewrite"))
    regex = mapping(rewrite.get("uriRegexRewrite"))
    path, query = request.path, split_target(request.target)[1]
    if text(regex.get("match")):
        path = _replaced(text(regex["match"]), text(regex.get("rewrite")), path)
    elif text(rewrite.get("uri")):
        path = text(rewrite["uri"]) + path[_matched_length(candidate, path) :]
    authority = text(rewrite.get("authority")) or _host_set(rule)
    changed = path != request.path
    whole = path + ("" if query is None else f"?{query}")
    return Rewrite(whole if changed else "", authority)


def _matched_length(candidate: Candidate, path: str) -> int:
    """Return how much of the path a new one stands for: the prefix, or all that was matched."""
    uri = next((c.wanted for c in candidate.conditions if c.place == "uri"), None)
    if uri is None:
        return 1  # a rule without a path matches the prefix "/"
    return len(uri.text) if uri.kind == "prefix" else len(path)


def _replaced(regex: str, replacement: str, path: str) -> str:
    import re2  # loaded only where a regular expression is used

    options = re2.Options()
    options.log_errors = False
    try:
        return str(re2.compile(regex, options).sub(replacement, path))
    except (re2.error, UnicodeEncodeError, ValueError, IndexError):
        return path


def _host_set(rule: Spec) -> str:
    operations = mapping(mapping(rule.get("headers")).get("request"))
    for verb in ("set", "add"):
        for name, value in mapping(operations.get(verb)).items():
            if str(name).lower() in _HOST and text(value):
                return text(value)
    return ""


def _redirect(redirect: Spec, request: Request, port: int) -> Redirect:
    host, given_port = split_authority(request.authority)
    scheme = text(redirect.get("scheme")) or request.scheme
    authority = text(redirect.get("authority"))
    if not authority:
        if scheme != request.scheme and given_port == DEFAULT_PORTS.get(request.scheme):
            given_port = 0  # the default port of the scheme that is left
        authority = f"{host}:{given_port}" if given_port else host
    wanted = integer(redirect.get("port"))
    if text(redirect.get("derivePort")) == "FROM_REQUEST_PORT":
        wanted = port
    if wanted and wanted != DEFAULT_PORTS.get(scheme):
        authority = f"{split_authority(authority)[0]}:{wanted}"
    target, uri = request.target, text(redirect.get("uri"))
    if uri:
        query = split_target(request.target)[1]
        target = uri if query is None or "?" in uri else f"{uri}?{query}"
    else:
        path, query = request.path, split_target(request.target)[1]
        target = path if query is None else f"{path}?{query}"
    return Redirect(integer(redirect.get("redirectCode")) or 301, f"{scheme}://{authority}{target}")
