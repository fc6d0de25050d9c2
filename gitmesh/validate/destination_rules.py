"""What Istio demands of a DestinationRule beyond its shape.

Stage: validate (pure). Source: istio/istio pkg/config/validation/validation.go, validateDestinationRule.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.models.destination_rule import DestinationRuleSpec
from gitmesh.istio.models.traffic_policy import (
    ClientTLS,
    ConnectionPool,
    OutlierDetection,
    PortTrafficPolicy,
    TrafficPolicy,
)
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.exports import check_export_to
from gitmesh.validate.names import is_label, is_wildcard_domain
from gitmesh.validate.subject import Path, Subject, dotted


def check_destination_rule(subject: Subject, spec: DestinationRuleSpec) -> Iterator[Diagnostic]:
    """Yield everything that Istio's admission would refuse."""
    if not is_wildcard_domain(spec.host):
        yield subject.finding("GM108", f"{spec.host[:80]!r} is not a host name", ("spec", "host"))
    yield from check_export_to(subject, spec.export_to)
    if spec.traffic_policy is not None:
        yield from _policy(subject, spec.traffic_policy, ("spec", "trafficPolicy"))
    first: dict[str, int] = {}
    for index, subset in enumerate(spec.subsets):
        path: Path = ("spec", "subsets", index)
        if not is_label(subset.name):
            message = f"{subset.name[:80]!r} is not a name for a subset"
            hint = "letters, digits and -, at most 63"
            yield subject.finding("GM108", message, (*path, "name"), hint=hint)
        if first.setdefault(subset.name, index) != index:
            message = f"the subset {subset.name} is already defined in subsets[{first[subset.name]}]"
            yield subject.finding("GM204", message, (*path, "name"), hint="rename or remove one of them")
        if subset.traffic_policy is not None:
            yield from _policy(subject, subset.traffic_policy, (*path, "trafficPolicy"))


def _policy(subject: Subject, policy: TrafficPolicy, path: Path) -> Iterator[Diagnostic]:
    if _is_empty(policy, ()):
        yield _empty(subject, path)
    if policy.tunnel is not None and policy.proxy_protocol is not None:
        message = f"tunnel and proxyProtocol exclude each other in {dotted(path)}"
        where = (*path, "proxyProtocol")
        yield subject.finding("GM105", message, where, hint="keep one of them", wants_key=True)
    yield from _parts(subject, policy, path)
    for index, port in enumerate(policy.port_level_settings):
        where = (*path, "portLevelSettings", index)
        if port.port is None or port.port.number is None:
            yield subject.finding("GM103", f"port.number is missing in {dotted(where)}", (*where, "port"))
        if _is_empty(port, ("port",)):
            yield _empty(subject, where)
        yield from _parts(subject, port, where)


def _parts(subject: Subject, policy: TrafficPolicy | PortTrafficPolicy, path: Path) -> Iterator[Diagnostic]:
    if policy.connection_pool is not None:
        yield from check_pool(subject, policy.connection_pool, (*path, "connectionPool"))
    if policy.outlier_detection is not None:
        yield from _outliers(subject, policy.outlier_detection, (*path, "outlierDetection"))
    if policy.tls is not None:
        yield from _tls(subject, policy.tls, (*path, "tls"))


def check_pool(subject: Subject, pool: ConnectionPool, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with a connection pool, of a DestinationRule or a Sidecar."""
    if pool.tcp is None and pool.http is None:
        yield _empty(subject, path)
    if pool.http is not None and pool.http.h2_upgrade_policy == "UPGRADE" and pool.http.use_client_protocol:
        message = f"h2UpgradePolicy UPGRADE and useClientProtocol exclude each other in {dotted(path)}"
        where = (*path, "http", "useClientProtocol")
        yield subject.finding("GM105", message, where, hint="keep one of them", wants_key=True)


def _outliers(subject: Subject, outliers: OutlierDetection, path: Path) -> Iterator[Diagnostic]:
    if outliers.consecutive_local_origin_failures and not outliers.split_external_local_origin_errors:
        message = "consecutiveLocalOriginFailures needs splitExternalLocalOriginErrors: true"
        where = (*path, "consecutiveLocalOriginFailures")
        yield subject.finding("GM109", message, where, wants_key=True)


def _tls(subject: Subject, tls: ClientTLS, path: Path) -> Iterator[Diagnostic]:
    files = {
        "clientCertificate": tls.client_certificate,
        "privateKey": tls.private_key,
        "caCertificates": tls.ca_certificates,
    }
    if tls.credential_name:
        for name, value in files.items():
            if value:
                message = f"credentialName and {name} exclude each other in {dotted(path)}"
                yield subject.finding(
                    "GM105", message, (*path, name), hint="keep one of them", wants_key=True
                )
    elif tls.mode == "MUTUAL":
        for name in ("clientCertificate", "privateKey"):
            if not files[name]:
                message = f"{name} is missing in {dotted(path)}: mode MUTUAL needs it, or credentialName"
                yield subject.finding("GM128", message, (*path, name))


def _is_empty(policy: TrafficPolicy | PortTrafficPolicy, beside: tuple[str, ...]) -> bool:
    fields = type(policy).model_fields
    return not any(getattr(policy, name) not in (None, ()) for name in fields if name not in beside)


def _empty(subject: Subject, path: Path) -> Diagnostic:
    message = f"{dotted(path)} is empty"
    return subject.finding("GM126", message, path, hint="fill it or remove it", wants_key=True)
