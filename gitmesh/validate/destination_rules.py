"""What Istio demands of a DestinationRule beyond its shape.

Stage: validate (pure). Source: istio/istio pkg/config/validation/validation.go, validateDestinationRule.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.hosts import is_ip
from gitmesh.istio.models.destination_rule import DestinationRuleSpec, Subset
from gitmesh.istio.models.traffic_policy import PortTrafficPolicy, TrafficPolicy, Tunnel
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.client_tls import check_client_tls
from gitmesh.validate.exports import check_export_to
from gitmesh.validate.labels import check_labels, empty_selector
from gitmesh.validate.load_balancers import check_load_balancer
from gitmesh.validate.names import is_fqdn, is_label, is_wildcard_domain
from gitmesh.validate.pools import check_outliers, check_pool
from gitmesh.validate.subject import Path, Subject, dotted

_TUNNELS = ("CONNECT", "POST")


def check_destination_rule(subject: Subject, spec: DestinationRuleSpec) -> Iterator[Diagnostic]:
    """Yield everything that Istio's admission would refuse or warn of."""
    if not is_wildcard_domain(spec.host):
        hint = "give the address a name with a ServiceEntry" if is_ip(spec.host) else ""
        yield subject.finding("GM108", f"{spec.host[:80]!r} is not a host name", ("spec", "host"), hint=hint)
    yield from check_export_to(subject, spec.export_to)
    yield from _for_some_clients(subject, spec)
    if spec.traffic_policy is not None:
        yield from _policy(subject, spec.traffic_policy, ("spec", "trafficPolicy"))
    first: dict[str, int] = {}
    for index, subset in enumerate(spec.subsets):
        path: Path = ("spec", "subsets", index)
        if first.setdefault(subset.name, index) != index:
            message = f"the subset {subset.name} is already defined in subsets[{first[subset.name]}]"
            yield subject.finding("GM204", message, (*path, "name"), hint="rename or remove one of them")
        yield from _subset(subject, subset, path)


def _subset(subject: Subject, subset: Subset, path: Path) -> Iterator[Diagnostic]:
    if not is_label(subset.name):
        message = f"{subset.name[:80]!r} is not a name for a subset"
        yield subject.finding("GM108", message, (*path, "name"), hint="letters, digits and -, at most 63")
    yield from check_labels(subject, subset.labels, (*path, "labels"))
    if not subset.labels:
        message = f"the subset {subset.name[:63]} has no labels, so it is every endpoint of the host"
        yield subject.finding("GM411", message, path, hint="add the labels of its Pods")
    if subset.traffic_policy is not None:
        yield from _policy(subject, subset.traffic_policy, (*path, "trafficPolicy"))


def _for_some_clients(subject: Subject, spec: DestinationRuleSpec) -> Iterator[Diagnostic]:
    selector = spec.workload_selector
    if selector is None:
        return
    if not selector.match_labels:
        yield empty_selector(subject, ("spec", "workloadSelector"))
    for index, entry in enumerate(spec.export_to):
        if entry not in (".", subject.namespace):
            message = f"a DestinationRule with workloadSelector cannot be exported to {entry[:63]}"
            hint = "it holds in its own namespace only; write . or remove exportTo"
            yield subject.finding("GM109", message, ("spec", "exportTo", index), hint=hint)


def _policy(subject: Subject, policy: TrafficPolicy, path: Path) -> Iterator[Diagnostic]:
    if _is_empty(policy, ()):
        yield _empty(subject, path)
    if policy.tunnel is not None and policy.proxy_protocol is not None:
        message = f"tunnel and proxyProtocol exclude each other in {dotted(path)}"
        where = (*path, "proxyProtocol")
        yield subject.finding("GM105", message, where, hint="keep one of them", wants_key=True)
    yield from _parts(subject, policy, path)
    if policy.tunnel is not None:
        yield from _tunnel(subject, policy.tunnel, (*path, "tunnel"))
    first: dict[int, int] = {}
    for index, port in enumerate(policy.port_level_settings):
        where = (*path, "portLevelSettings", index)
        number = port.port.number if port.port is not None else None
        if number is None:
            yield subject.finding("GM103", f"port.number is missing in {dotted(where)}", (*where, "port"))
        elif first.setdefault(number, index) != index:
            message = f"the port {number} has settings already, in portLevelSettings[{first[number]}]"
            hint = "put them together: only one of them counts"
            yield subject.finding("GM415", message, (*where, "port", "number"), hint=hint)
        if _is_empty(port, ("port",)):
            yield _empty(subject, where)
        yield from _parts(subject, port, where)


def _parts(subject: Subject, policy: TrafficPolicy | PortTrafficPolicy, path: Path) -> Iterator[Diagnostic]:
    if policy.connection_pool is not None:
        yield from check_pool(subject, policy.connection_pool, (*path, "connectionPool"))
    if policy.outlier_detection is not None:
        yield from check_outliers(subject, policy.outlier_detection, (*path, "outlierDetection"))
    if policy.load_balancer is not None:
        where = (*path, "loadBalancer")
        ejects = policy.outlier_detection is not None
        yield from check_load_balancer(subject, policy.load_balancer, where, ejects=ejects)
    if policy.tls is not None:
        yield from check_client_tls(subject, policy.tls, (*path, "tls"))


def _tunnel(subject: Subject, tunnel: Tunnel, path: Path) -> Iterator[Diagnostic]:
    if tunnel.protocol and tunnel.protocol not in _TUNNELS:
        message = f"{tunnel.protocol[:40]!r} is not a protocol of a tunnel"
        yield subject.finding("GM104", message, (*path, "protocol"), hint="write CONNECT or POST")
    if not (is_fqdn(tunnel.target_host) or is_ip(tunnel.target_host)):
        message = f"{tunnel.target_host[:80]!r} is neither a host name nor an address"
        yield subject.finding("GM108", message, (*path, "targetHost"))


def _is_empty(policy: TrafficPolicy | PortTrafficPolicy, beside: tuple[str, ...]) -> bool:
    fields = type(policy).model_fields
    return not any(getattr(policy, name) not in (None, ()) for name in fields if name not in beside)


def _empty(subject: Subject, path: Path) -> Diagnostic:
    message = f"{dotted(path)} is empty"
    return subject.finding("GM126", message, path, hint="fill it or remove it", wants_key=True)
