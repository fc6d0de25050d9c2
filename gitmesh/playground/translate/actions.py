"""What happens to a request that a rule takes: destinations, rewrites, redirects, mirrors, answers, filters.

Stage: playground translation (pure). Source: istio.io, Virtual Service, HTTPRoute;
istio/istio pilot/pkg/networking/core/route, with its defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gitmesh.playground.translate.cors_filter import CORS, cors_of
from gitmesh.playground.translate.fault_filter import FAULT, fault_of
from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.hash_policies import hash_for_destination, hash_policy
from gitmesh.playground.translate.headers import add_header_operations, host_rewrite
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.retries import default_retry_policy, retry_policy
from gitmesh.playground.translate.route_context import RouteContext
from gitmesh.playground.translate.shares import everything, fraction, whole_percent

__all__ = ["CORS", "FAULT", "action_of", "default_retry_policy", "forward_to", "no_longer_than"]

_REDIRECT_CODES = {
    0: "MOVED_PERMANENTLY",
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
_SCHEME_PORTS = {("http", 80), ("https", 443)}
_LOCAL_STATUSES = range(200, 600)  # what Envoy can answer by itself


def forward_to(cluster: str, default: Field | None = None, hashes: Sequence[Envoy] = ()) -> Envoy:
    """Return the action of a plain service: its cluster, no timeout, the retries of the mesh."""
    action: Envoy = {"cluster": cluster, **no_longer_than("0s")}
    _set_if(action, "retry_policy", retry_policy(None, default, hashed=False))
    if hashes:
        action["hash_policy"] = list(hashes)
    return action


def no_longer_than(timeout: str) -> Envoy:
    """Return the timeout of a route; `0s` is none, where Envoy's own default would be 15 seconds.

    Pilot also sets max_grpc_timeout. Envoy calls that deprecated, and ignores `timeout` beside its successor;
    so here a gRPC client's own deadline is left to client and server.
    """
    return {"timeout": timeout}


def action_of(rule: Field, context: RouteContext) -> Envoy | None:
    """Return the fields of an Envoy route that a rule sets; None for a rule that does nothing."""
    if rule["redirect"].present:
        route = _redirect(rule["redirect"], context)
    elif rule["directResponse"].present:
        route = _direct_response(rule["directResponse"])
    else:
        route = _forward(rule, context)
    if route is None:
        return None
    if "route" not in route:
        add_header_operations(route, rule["headers"])
    filters = _filters(rule)
    if filters:
        route["typed_per_filter_config"] = filters
    return route


def _forward(rule: Field, context: RouteContext) -> Envoy | None:
    destinations = list(rule["route"].items())
    if not destinations:
        rule.report("has nowhere to send a request, so the rule is left out")
        return None
    route: Envoy = {}
    add_header_operations(route, rule["headers"])
    action: Envoy = no_longer_than(rule["timeout"].duration() or "0s")
    if len(destinations) == 1:
        hashed = _send_to_one(destinations[0], route, action, context)
    else:
        hashed = False
        if not _send_by_weight(rule, destinations, action, context):
            return None
    _set_if(action, "host_rewrite_literal", host_rewrite(rule["headers"]))
    _set_if(action, "retry_policy", retry_policy(rule["retries"], context.default_retries, hashed=hashed))
    _rewrite(action, rule["rewrite"])
    mirrors = _mirrors(rule, context)
    if mirrors:
        action["request_mirror_policies"] = mirrors
    return {"route": action, **route}


def _send_to_one(destination: Field, route: Envoy, action: Envoy, context: RouteContext) -> bool:
    """Send all requests to one destination, whatever its weight; say whether a hash chooses the endpoint."""
    action["cluster"] = context.cluster_of(destination["destination"])
    _set_if(action, "host_rewrite_literal", host_rewrite(destination["headers"]))
    # After the rule's own: of two that set one header the last wins, and that is the destination's.
    add_header_operations(route, destination["headers"])
    chosen = _hash(destination["destination"], context)
    if policy := hash_policy(chosen):
        action["hash_policy"] = policy
    return chosen is not None


def _send_by_weight(rule: Field, destinations: list[Field], action: Envoy, context: RouteContext) -> bool:
    """Send requests to several destinations by weight; the sum is what it is. False where there is none."""
    weighted = [destination for destination in destinations if destination["weight"].integer() > 0]
    if not weighted:
        rule.report("no destination has a weight, so the rule is left out")
        return False
    action["weighted_clusters"] = {"clusters": [_weighted(destination, context) for destination in weighted]}
    hashes = [policy for d in weighted for policy in hash_policy(_hash(d["destination"], context))]
    if hashes:
        action["hash_policy"] = hashes
    return True


def _weighted(destination: Field, context: RouteContext) -> Envoy:
    entry: Envoy = {
        "name": context.cluster_of(destination["destination"]),
        "weight": destination["weight"].integer(),
    }
    _set_if(entry, "host_rewrite_literal", host_rewrite(destination["headers"]))
    # On the cluster itself: of two that set one header the rule's wins here, as in Istio.
    add_header_operations(entry, destination["headers"])
    return entry


def _hash(destination: Field, context: RouteContext) -> Field | None:
    rule = context.rule_of(destination)
    if rule is None:
        return None
    return hash_for_destination(rule, destination["subset"].text(), destination["port"]["number"].integer())


def _rewrite(action: Envoy, rewrite: Field) -> None:
    regex = rewrite["uriRegexRewrite"]
    if regex["match"].text():
        pattern = {"regex": regex["match"].text()}
        action["regex_rewrite"] = {"pattern": pattern, "substitution": regex["rewrite"].text()}
    elif rewrite["uri"].text():
        action["prefix_rewrite"] = rewrite["uri"].text()
    _set_if(action, "host_rewrite_literal", rewrite["authority"].text() or None)


def _mirrors(rule: Field, context: RouteContext) -> list[Envoy]:
    mirrors = []
    if rule["mirror"].present:
        mirrors.append((rule["mirror"], _mirror_share(rule)))
    for mirror in rule["mirrors"].items():
        share = fraction(mirror["percentage"]) if mirror["percentage"].present else everything()
        mirrors.append((mirror["destination"], share))
    return [
        {
            "cluster": context.cluster_of(destination),
            "runtime_fraction": {"default_value": share},
            "trace_sampled": False,
            "disable_shadow_host_suffix_append": True,
        }
        for destination, share in mirrors
        if share["numerator"]
    ]


def _mirror_share(rule: Field) -> Envoy:
    if rule["mirrorPercentage"].present:
        return fraction(rule["mirrorPercentage"])
    for name in ("mirrorPercent", "mirror_percent"):
        if rule[name].present:
            return whole_percent(rule[name])
    return everything()


def _redirect(redirect: Field, context: RouteContext) -> Envoy | None:
    code = redirect["redirectCode"].integer()
    if code not in _REDIRECT_CODES:
        redirect["redirectCode"].report("is not a redirect that Envoy can send, so the rule is left out")
        return None
    action: Envoy = {"response_code": _REDIRECT_CODES[code]}
    _set_if(action, "host_redirect", redirect["authority"].text() or None)
    _set_if(action, "path_redirect", redirect["uri"].text() or None)
    _set_if(action, "scheme_redirect", redirect["scheme"].text() or None)
    port = redirect["port"].integer()
    if redirect["derivePort"].text() == "FROM_REQUEST_PORT":
        port = context.port
    scheme = redirect["scheme"].text() or ("https" if context.tls else "http")
    if port and (scheme, port) not in _SCHEME_PORTS:
        action["port_redirect"] = port
    return {"redirect": action}


def _direct_response(response: Field) -> Envoy | None:
    status = response["status"].integer()
    if status not in _LOCAL_STATUSES:
        response["status"].report("is not a status that Envoy can answer, so the rule is left out")
        return None
    message: Envoy = {"status": status}
    body = response["body"]
    if body["string"].present:
        message["body"] = {"inline_string": body["string"].text()}
    elif body["bytes"].present:
        message["body"] = {"inline_bytes": body["bytes"].text()}
    return {"direct_response": message}


def _filters(rule: Field) -> dict[str, Any]:
    filters: dict[str, Any] = {}
    _set_if(filters, FAULT, fault_of(rule["fault"]))
    if rule["corsPolicy"].present:
        filters[CORS] = cors_of(rule["corsPolicy"])
    return filters


def _set_if(message: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        message[name] = value
