"""What happens to a request that a rule takes: destinations, timeouts, retries, rewrites, faults, mirrors.

Stage: playground translation (pure). Source: istio.io, Virtual Service, HTTPRoute;
istio/istio pilot/pkg/networking/core/route, with its defaults.
"""

from __future__ import annotations

from typing import Any

from gitmesh.istio.grpc import GRPC_STATUSES
from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.headers import add_header_operations, host_rewrite
from gitmesh.playground.translate.matches import allow_origins
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.route_context import RouteContext

FAULT = "envoy.filters.http.fault"
CORS = "envoy.filters.http.cors"
_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled"
_REDIRECT_CODES = {
    0: "MOVED_PERMANENTLY",
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
_SCHEME_PORTS = {("http", 80), ("https", 443)}


def default_retry_policy() -> Envoy:
    """Return the retries of every route without its own. Source: istio/istio, retry.DefaultPolicy."""
    return {
        "retry_on": f"{_RETRY_ON},retriable-status-codes",
        "num_retries": 2,
        **_avoiding_previous_hosts(),
    }


def _avoiding_previous_hosts() -> Envoy:
    name = "envoy.retry_host_predicates.previous_hosts"
    message = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    predicate = {"name": name, "typed_config": {"@type": f"type.googleapis.com/{message}"}}
    return {"retry_host_predicate": [predicate], "host_selection_retry_max_attempts": "5"}


def forward_to(cluster: str) -> Envoy:
    """Return the action of a plain Service: its cluster, no timeout, the default retries."""
    return {
        "cluster": cluster,
        **no_longer_than("0s"),
        "retry_policy": default_retry_policy(),
    }


def no_longer_than(timeout: str) -> Envoy:
    """Return the timeout of a route; `0s` is none, where Envoy's own default would be 15 seconds.

    Pilot also sets max_grpc_timeout. Envoy calls that deprecated, and ignores `timeout` beside its successor;
    so here a gRPC client's own deadline is left to client and server.
    """
    return {"timeout": timeout}


def action_of(rule: Field, context: RouteContext) -> Envoy | None:
    """Return the fields of an Envoy route that a rule sets; None for a rule that does nothing."""
    if rule["redirect"].present:
        route = _redirect(rule["redirect"])
    elif rule["directResponse"].present:
        route = {"direct_response": _direct_response(rule["directResponse"])}
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
    route: Envoy = {}
    add_header_operations(route, rule["headers"])
    timeout = rule["timeout"].duration() or "0s"
    action: Envoy = no_longer_than(timeout)
    if len(destinations) == 1:
        action["cluster"] = context.cluster_of(destinations[0]["destination"])
        _set_if(action, "host_rewrite_literal", host_rewrite(destinations[0]["headers"]))
        # After the rule's own: of two that set one header the last wins, and that is the destination's.
        add_header_operations(route, destinations[0]["headers"])
    else:
        weighted = [_weighted(d, context) for d in destinations if d["weight"].integer() > 0]
        if not weighted:
            rule.report("no destination has a weight, so the rule is left out")
            return None
        action["weighted_clusters"] = {"clusters": weighted}
    _set_if(action, "host_rewrite_literal", host_rewrite(rule["headers"]))
    _set_if(action, "retry_policy", _retry_policy(rule["retries"]))
    _rewrite(action, rule["rewrite"])
    mirrors = _mirrors(rule, context)
    if mirrors:
        action["request_mirror_policies"] = mirrors
    return {"route": action, **route}


def _weighted(destination: Field, context: RouteContext) -> Envoy:
    entry: Envoy = {
        "name": context.cluster_of(destination["destination"]),
        "weight": destination["weight"].integer(),
    }
    _set_if(entry, "host_rewrite_literal", host_rewrite(destination["headers"]))
    add_header_operations(entry, destination["headers"])
    return entry


def _retry_policy(retries: Field) -> Envoy | None:
    if not retries.present:
        return default_retry_policy()
    attempts = retries["attempts"].integer()
    if attempts <= 0:
        return None
    policy: Envoy = {"num_retries": attempts, "retry_on": f"{_RETRY_ON},retriable-status-codes"}
    if retries["retryOn"].text():
        words = [word.strip() for word in retries["retryOn"].text().split(",") if word.strip()]
        codes = [int(word) for word in words if word.isdecimal()]
        names = [word for word in words if not word.isdecimal()]
        if codes:
            policy["retriable_status_codes"] = codes
            names += ["retriable-status-codes"] if "retriable-status-codes" not in names else []
        policy["retry_on"] = ",".join(names)
    _set_if(policy, "per_try_timeout", retries["perTryTimeout"].duration())
    backoff = retries["backoff"].duration()
    if backoff:
        policy["retry_back_off"] = {"base_interval": backoff}
    if retries["retryIgnorePreviousHosts"].boolean(default=True):
        policy |= _avoiding_previous_hosts()
    return policy


def _rewrite(action: Envoy, rewrite: Field) -> None:
    regex = rewrite["uriRegexRewrite"]
    if regex.present:
        pattern = {"regex": regex["match"].text()}
        action["regex_rewrite"] = {"pattern": pattern, "substitution": regex["rewrite"].text()}
    elif rewrite["uri"].text():
        action["prefix_rewrite"] = rewrite["uri"].text()
    _set_if(action, "host_rewrite_literal", rewrite["authority"].text() or None)


def _mirrors(rule: Field, context: RouteContext) -> list[Envoy]:
    mirrors = []
    for mirror in rule["mirrors"].items():
        mirrors.append((mirror["destination"], _fraction(mirror["percentage"]["value"])))
    if rule["mirror"].present and not mirrors:
        share = _fraction(rule["mirrorPercentage"]["value"]) or _fraction(rule["mirrorPercent"])
        mirrors.append((rule["mirror"], share))
    whole = {"numerator": 100, "denominator": "HUNDRED"}
    return [
        {
            "cluster": context.cluster_of(destination),
            "runtime_fraction": {"default_value": share or whole},
            "trace_sampled": False,
            "disable_shadow_host_suffix_append": True,
        }
        for destination, share in mirrors
        if share is None or share["numerator"]
    ]


def _redirect(redirect: Field) -> Envoy | None:
    code = redirect["redirectCode"].integer()
    if code not in _REDIRECT_CODES:
        redirect["redirectCode"].report("is not a redirect that Envoy can send, so the rule is left out")
        return None
    action: Envoy = {"response_code": _REDIRECT_CODES[code]}
    _set_if(action, "host_redirect", redirect["authority"].text() or None)
    _set_if(action, "path_redirect", redirect["uri"].text() or None)
    _set_if(action, "scheme_redirect", redirect["scheme"].text() or None)
    port = redirect["port"].integer()
    if port and (action.get("scheme_redirect", "http"), port) not in _SCHEME_PORTS:
        action["port_redirect"] = port
    if redirect["derivePort"].text() == "FROM_REQUEST_PORT":
        redirect["derivePort"].report("is not translated: the port of the Host header is kept")
    return {"redirect": action}


def _direct_response(response: Field) -> Envoy:
    message: Envoy = {"status": response["status"].integer()}
    body = response["body"]
    if body["string"].present:
        message["body"] = {"inline_string": body["string"].text()}
    elif body["bytes"].present:
        message["body"] = {"inline_bytes": body["bytes"].text()}
    return message


def _filters(rule: Field) -> dict[str, Any]:
    filters: dict[str, Any] = {}
    fault: Envoy = {}
    _set_if(fault, "delay", _delay(rule["fault"]["delay"]))
    _set_if(fault, "abort", _abort(rule["fault"]["abort"]))
    if fault:
        filters[FAULT] = {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            **fault,
        }
    if rule["corsPolicy"].present:
        filters[CORS] = _cors(rule["corsPolicy"])
    return filters


def _delay(delay: Field) -> Envoy | None:
    fixed = delay["fixedDelay"].duration()
    if not fixed:
        return None
    share = _fraction(delay["percentage"]["value"]) or _fraction(delay["percent"])
    if share is None:
        delay.report("has no percentage, so it never delays (as in Istio)")
    return {"fixed_delay": fixed, "percentage": share or {"numerator": 0}}


def _abort(abort: Field) -> Envoy | None:
    result: Envoy = {}
    if abort["httpStatus"].present:
        result["http_status"] = abort["httpStatus"].integer()
    elif abort["grpcStatus"].present:
        status = abort["grpcStatus"].text().upper()
        if status not in GRPC_STATUSES:
            abort["grpcStatus"].report("is not a gRPC status such as UNAVAILABLE")
            return None
        result["grpc_status"] = GRPC_STATUSES.index(status)
    else:
        return None
    share = _fraction(abort["percentage"]["value"])
    if share is None:
        abort.report("has no percentage, so it never aborts (as in Istio)")
    return {**result, "percentage": share or {"numerator": 0}}


def _fraction(percent: Field) -> Envoy | None:
    """Return a share of requests, exact to a millionth as pilot writes it; None when it is absent."""
    value = percent.number()
    if value is None:
        return None
    if not 0 <= value <= 100:
        percent.report("is not between 0 and 100")
        return None
    if value == int(value):
        return {"numerator": int(value), "denominator": "HUNDRED"}
    return {"numerator": int(value * 10_000), "denominator": "MILLION"}


def _cors(cors: Field) -> Envoy:
    policy: Envoy = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": allow_origins(cors),
        "filter_enabled": {"default_value": {"numerator": 100, "denominator": "HUNDRED"}},
        "forward_not_matching_preflights": cors["unmatchedPreflights"].text() != "IGNORE",
    }
    for field, name in (
        ("allowMethods", "allow_methods"),
        ("allowHeaders", "allow_headers"),
        ("exposeHeaders", "expose_headers"),
    ):
        _set_if(policy, name, ",".join(cors[field].texts()) or None)
    age = cors["maxAge"].duration()
    if age:
        policy["max_age"] = str(int(float(age.removesuffix("s"))))
    if cors["allowCredentials"].present:
        policy["allow_credentials"] = cors["allowCredentials"].boolean()
    return policy


def _set_if(message: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        message[name] = value
