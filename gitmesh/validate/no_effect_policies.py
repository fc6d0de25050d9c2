"""What Istio accepts in a DestinationRule although it does nothing, or goes out of use.

Stage: validate (pure). Source: the comments of istio/api networking/v1alpha3/destination_rule.proto, and
istio/istio pilot/pkg/networking/core.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.models.destination_rule import DestinationRuleSpec
from gitmesh.istio.models.traffic_policy import ConsistentHash, LoadBalancer, PortTrafficPolicy, TrafficPolicy
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.subject import Path, Subject, dotted

_AnyPolicy = TrafficPolicy | PortTrafficPolicy


def check_policy_effect(subject: Subject, spec: DestinationRuleSpec) -> Iterator[Diagnostic]:
    """Yield what does not do what it says."""
    for path, policy in _policies(spec):
        if policy.load_balancer is not None:
            yield from _balancer(subject, policy.load_balancer, (*path, "loadBalancer"))
        outliers = policy.outlier_detection
        if outliers is not None and outliers.consecutive_errors:
            where = (*path, "outlierDetection", "consecutiveErrors")
            hint = "use consecutive5xxErrors or consecutiveGatewayErrors"
            yield _deprecated(subject, where, "consecutiveErrors", hint)


def _policies(spec: DestinationRuleSpec) -> Iterator[tuple[Path, _AnyPolicy]]:
    if spec.traffic_policy is not None:
        yield from _with_ports(("spec", "trafficPolicy"), spec.traffic_policy)
    for index, subset in enumerate(spec.subsets):
        if subset.traffic_policy is not None:
            yield from _with_ports(("spec", "subsets", index, "trafficPolicy"), subset.traffic_policy)


def _with_ports(path: Path, policy: TrafficPolicy) -> Iterator[tuple[Path, _AnyPolicy]]:
    yield path, policy
    for index, port in enumerate(policy.port_level_settings):
        yield (*path, "portLevelSettings", index), port


def _balancer(subject: Subject, balancer: LoadBalancer, path: Path) -> Iterator[Diagnostic]:
    if balancer.simple == "LEAST_CONN":
        message = "LEAST_CONN is deprecated"
        yield subject.finding("GM141", message, (*path, "simple"), hint="use LEAST_REQUEST")
    if balancer.warmup_duration_secs is not None:
        where = (*path, "warmupDurationSecs")
        yield _deprecated(subject, where, "warmupDurationSecs", "use warmup.duration")
    hashing = balancer.consistent_hash
    if hashing is None:
        return
    where = (*path, "consistentHash")
    if not _hashes(hashing):
        message = f"{dotted(where)} hashes nothing, so each request goes to a random endpoint"
        hint = "add httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName"
        yield subject.finding("GM412", message, where, hint=hint, wants_key=True)
    if hashing.minimum_ring_size:
        hint = "use ringHash.minimumRingSize"
        yield _deprecated(subject, (*where, "minimumRingSize"), "minimumRingSize", hint)


def _hashes(hashing: ConsistentHash) -> bool:
    named = hashing.http_header_name or hashing.http_query_parameter_name
    return bool(named or hashing.http_cookie is not None or hashing.use_source_ip)


def _deprecated(subject: Subject, path: Path, name: str, hint: str) -> Diagnostic:
    return subject.finding("GM141", f"{name} is deprecated", path, hint=hint, wants_key=True)
