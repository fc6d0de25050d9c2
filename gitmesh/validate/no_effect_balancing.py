"""What a DestinationRule does beside, or does not do at all, as its settings stand together.

Stage: validate (pure). Source: istio/istio pilot/pkg/networking/core, cluster_traffic_policy.go and
loadbalancer; the comments of istio/api networking/v1alpha3/destination_rule.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.models.destination_rule import DestinationRuleSpec
from gitmesh.istio.models.traffic_policy import (
    LoadBalancer,
    OutlierDetection,
    PortTrafficPolicy,
    TrafficPolicy,
)
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.subject import Path, Subject, dotted

_CONSECUTIVE_DEFAULT = 5
_RING_MAX = 8 * 1024 * 1024
_NO_SLOW_START = ("RANDOM", "PASSTHROUGH")
# What a port may set; it replaces all four, also those that it does not set.
_OF_A_PORT = {
    "loadBalancer": "load_balancer",
    "connectionPool": "connection_pool",
    "outlierDetection": "outlier_detection",
    "tls": "tls",
}


def check_balancing(subject: Subject, spec: DestinationRuleSpec) -> Iterator[Diagnostic]:
    """Yield what does not do what it says, or more."""
    policies: list[tuple[Path, TrafficPolicy]] = []
    if spec.traffic_policy is not None:
        policies.append((("spec", "trafficPolicy"), spec.traffic_policy))
    for index, subset in enumerate(spec.subsets):
        if subset.traffic_policy is not None:
            policies.append((("spec", "subsets", index, "trafficPolicy"), subset.traffic_policy))
    for path, policy in policies:
        yield from _parts(subject, policy, path)
        for number, port in enumerate(policy.port_level_settings):
            where: Path = (*path, "portLevelSettings", number)
            yield from _parts(subject, port, where)
            yield from _replaced(subject, policy, port, where)
    yield from _fails_over(subject, spec, policies)


def _parts(subject: Subject, policy: TrafficPolicy | PortTrafficPolicy, path: Path) -> Iterator[Diagnostic]:
    if policy.load_balancer is not None:
        yield from _balancer(subject, policy.load_balancer, (*path, "loadBalancer"))
    if policy.outlier_detection is not None:
        yield from _outliers(subject, policy.outlier_detection, (*path, "outlierDetection"))


def _balancer(subject: Subject, balancer: LoadBalancer, path: Path) -> Iterator[Diagnostic]:
    hashing = balancer.consistent_hash
    other = balancer.simple if balancer.simple in _NO_SLOW_START else "consistentHash" if hashing else ""
    warmups = {"warmup": balancer.warmup, "warmupDurationSecs": balancer.warmup_duration_secs}
    for name, value in warmups.items():
        if value is not None and other:
            message = f"{name} does nothing beside {other}"
            hint = "it goes with ROUND_ROBIN and LEAST_REQUEST"
            yield subject.finding("GM437", message, (*path, name), hint=hint, wants_key=True)
    locality = balancer.locality_lb_setting
    if locality is not None and locality.enabled is False:
        fields = {
            "distribute": locality.distribute,
            "failover": locality.failover,
            "failoverPriority": locality.failover_priority,
        }
        for name in (name for name, value in fields.items() if value):
            message = f"{name} does nothing: enabled is false"
            where = (*path, "localityLbSetting", name)
            yield subject.finding("GM438", message, where, hint="remove one of them", wants_key=True)
    if hashing is None:
        return
    where = (*path, "consistentHash")
    ring = hashing.ring_hash.minimum_ring_size if hashing.ring_hash is not None else None
    if max(ring or 0, hashing.minimum_ring_size or 0) > _RING_MAX:
        place = (*where, "ringHash", "minimumRingSize") if ring else (*where, "minimumRingSize")
        message = f"Envoy refuses a ring of more than {_RING_MAX}"
        yield subject.finding("GM428", message, place, hint="1024 is what Istio takes by itself")
    if hashing.http_cookie is not None and hashing.http_cookie.ttl is None:
        message = "without ttl no proxy sets the cookie: only one that the application sets is hashed"
        hint = "add ttl: 0s for a cookie of the session, or a lifetime"
        yield subject.finding("GM440", message, (*where, "httpCookie"), hint=hint, wants_key=True)


def _outliers(subject: Subject, outliers: OutlierDetection, path: Path) -> Iterator[Diagnostic]:
    any_error, of_gateways = outliers.consecutive_5xx_errors, outliers.consecutive_gateway_errors or 0
    if any_error == 0 and not (of_gateways or outliers.split_external_local_origin_errors):
        message = "no endpoint is ever taken out: consecutive5xxErrors is 0, and nothing else counts"
        where = (*path, "consecutive5xxErrors")
        yield subject.finding("GM439", message, where, hint="set it, or consecutiveGatewayErrors")
    limit = _CONSECUTIVE_DEFAULT + 1 if any_error is None else any_error
    if limit and of_gateways >= limit:
        known = "is 5 by itself" if any_error is None else f"is {any_error}"
        message = f"consecutiveGatewayErrors does nothing: consecutive5xxErrors {known} and counts them, too"
        hint = "set consecutive5xxErrors: 0 to count errors of gateways only"
        where = (*path, "consecutiveGatewayErrors")
        yield subject.finding("GM439", message, where, hint=hint)


def _replaced(
    subject: Subject, policy: TrafficPolicy, port: PortTrafficPolicy, path: Path
) -> Iterator[Diagnostic]:
    lost = [
        alias
        for alias, name in _OF_A_PORT.items()
        if getattr(policy, name) is not None and getattr(port, name) is None
    ]
    if lost and port.port is not None:
        message = f"port {port.port.number} takes no {' and no '.join(lost)} from {dotted(path[:-2])}"
        hint = "what a port sets replaces everything: repeat here what is to hold"
        yield subject.finding("GM435", message, path, hint=hint)


def _fails_over(
    subject: Subject, spec: DestinationRuleSpec, policies: list[tuple[Path, TrafficPolicy]]
) -> Iterator[Diagnostic]:
    """Where a way to spread is chosen, it says too little. Tell it once: it holds for the others alike."""
    common = spec.traffic_policy.load_balancer if spec.traffic_policy is not None else None
    for path, policy in policies:
        balancer = policy.load_balancer or common
        if policy.outlier_detection is None or balancer is None or balancer.locality_lb_setting is not None:
            continue
        way = "consistentHash" if balancer.consistent_hash is not None else balancer.simple
        if way in (None, "PASSTHROUGH"):
            continue
        message = (
            f"with outlierDetection {way} keeps to the zone of the caller, while endpoints there are well"
        )
        hint = "say so with localityLbSetting: {enabled: true}, or switch it off with false"
        yield subject.finding("GM436", message, (*path, "outlierDetection"), hint=hint, wants_key=True)
        return
