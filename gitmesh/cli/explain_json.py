"""An explained request, for programs.

Stage: none (face). What the fields mean stands in docs/explain.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gitmesh.cli.places import Places
from gitmesh.istio.matching.answer import Where
from gitmesh.istio.matching.conditions import Check
from gitmesh.istio.matching.outcome import Action, Forward, NoRoute, Outcome, Outside, Redirect, Respond
from gitmesh.istio.routes import Destination
from gitmesh.model.resource import ResourceKey
from gitmesh.playground.explanation import Explanation, without_variant
from gitmesh.playground.translate.fields import render_path

_BLOCKED = 502


def explanation_json(found: Explanation, places: Places) -> dict[str, Any]:
    """Return all of it as one JSON object."""
    answer, envoy = found.answer, found.envoy
    request, caller = answer.request, answer.caller
    return {
        "request": {
            "method": request.method,
            "url": request.url,
            "path": request.path,
            "headers": dict(request.headers),
        },
        "caller": {
            "name": caller.name,
            "namespace": caller.namespace,
            "labels": dict(caller.labels),
            "gateway": caller.is_gateway,
        },
        "envoy": None
        if envoy is None
        else {
            "route": envoy.route,
            "cluster": without_variant(envoy.cluster) or None,
            "source": envoy.source or None,
            "rule": envoy.rule or None,
            "status": envoy.status,
            "virtualHost": envoy.host or None,
        },
        "differences": list(found.differences),
        "host": answer.host or None,
        "port": answer.port,
        "taken": _where(answer.taken, places) | {"conditions": _checks(answer.held)}
        if answer.taken
        else None,
        "outcome": _outcome(answer.action.outcome),
        **_effects(answer.action),
        "passed": [
            _where(passed.where, places)
            | {"reasons": list(passed.reasons), "conditions": _checks(passed.failed)}
            for passed in answer.passed
        ],
        "unheard": [{"resource": str(u.key), "why": u.why} for u in answer.unheard],
        "notes": list(answer.notes),
        "assumed": list(found.assumed),
    }


def _where(where: Where, places: Places) -> dict[str, Any]:
    return {
        "resource": str(where.key),
        "rule": render_path(where.path),
        "name": where.name or None,
        "match": render_path(where.match_path) if where.match is not None else None,
        "at": _at(where.match_key, where.match_path, places),
        "delegatedBy": str(where.root) if where.root != where.key else None,
    }


def _at(key: ResourceKey, path: tuple[str | int, ...], places: Places) -> dict[str, Any] | None:
    at = places.of(key, path)
    return {"file": at.file, "line": at.line, "column": at.column} if at else None


def _checks(checks: Iterable[Check]) -> list[dict[str, Any]]:
    return [{"field": c.field, "actual": c.actual, "wants": c.wants, "holds": c.holds} for c in checks]


def _outcome(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Forward():
            return {"kind": "forward", **_forward(outcome)}
        case Redirect(status, location):
            return {"kind": "redirect", "status": status, "location": location}
        case Respond(status, body):
            return {"kind": "respond", "status": status, "body": body}
        case NoRoute(why, status):
            return {"kind": "none", "status": status or None, "why": why}
        case Outside(blocked):
            return {"kind": "blocked", "status": _BLOCKED} if blocked else {"kind": "outside"}


def _forward(forward: Forward) -> dict[str, Any]:
    retries = forward.retries
    return {
        "destinations": [
            {
                **_destination(share.destination),
                "weight": share.weight,
                "percent": share.percent,
                "headers": list(share.headers),
            }
            for share in forward.shares
        ],
        "rewrite": {"path": forward.rewrite.path or None, "authority": forward.rewrite.authority or None},
        "timeoutSeconds": forward.timeout_seconds,
        "retries": {
            "attempts": retries.attempts,
            "on": retries.on,
            "perTrySeconds": retries.per_try_seconds,
            "default": retries.is_default,
        },
        "mirrors": [{**_destination(m.destination), "percent": m.percent} for m in forward.mirrors],
    }


def _destination(where: Destination) -> dict[str, Any]:
    return {"host": where.host, "subset": where.subset or None, "port": where.port}


def _effects(action: Action) -> dict[str, Any]:
    fault = action.fault
    return {
        "headers": list(action.headers),
        "fault": None
        if fault is None
        else {
            "delaySeconds": fault.delay_seconds,
            "delayPercent": fault.delay_percent,
            "abort": fault.abort or None,
            "abortPercent": fault.abort_percent,
        },
        "cors": action.cors,
    }
