"""Connection pools and the ejection of failing endpoints: the two halves of a circuit breaker.

Stage: validate (pure). Source: istio/istio pkg/config/validation, validateConnectionPool and
validateOutlierDetection. Bounds on numbers are part of the shape.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.models.traffic_policy import ConnectionPool, OutlierDetection
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.subject import Path, Subject, dotted


def check_pool(subject: Subject, pool: ConnectionPool, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with a connection pool, of a DestinationRule or a Sidecar."""
    if pool.tcp is None and pool.http is None:
        message = f"{dotted(path)} is empty"
        yield subject.finding("GM126", message, path, hint="fill it or remove it", wants_key=True)
    if pool.http is not None and pool.http.h2_upgrade_policy == "UPGRADE" and pool.http.use_client_protocol:
        message = f"h2UpgradePolicy UPGRADE and useClientProtocol exclude each other in {dotted(path)}"
        where = (*path, "http", "useClientProtocol")
        yield subject.finding("GM105", message, where, hint="keep one of them", wants_key=True)
    yield from _limits_of_zero(subject, pool, path)


def _limits_of_zero(subject: Subject, pool: ConnectionPool, path: Path) -> Iterator[Diagnostic]:
    """Only limits above 0 are sent. Source: istio/istio pilot, cluster_traffic_policy.go."""
    limits: dict[tuple[str, str], int | None] = {}
    if pool.tcp is not None:
        limits["tcp", "maxConnections"] = pool.tcp.max_connections
    if pool.http is not None:
        limits["http", "http1MaxPendingRequests"] = pool.http.http1_max_pending_requests
        limits["http", "http2MaxRequests"] = pool.http.http2_max_requests
        limits["http", "maxRetries"] = pool.http.max_retries
    for (part, name), value in limits.items():
        if value == 0:
            message = f"{name}: 0 is no limit at all"
            hint = "write the smallest limit that you want, 1 or more, or remove it"
            yield subject.finding("GM419", message, (*path, part, name), hint=hint, wants_key=True)


def check_outliers(subject: Subject, outliers: OutlierDetection, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with the conditions under which an endpoint is taken out."""
    if outliers.consecutive_local_origin_failures and not outliers.split_external_local_origin_errors:
        message = "consecutiveLocalOriginFailures needs splitExternalLocalOriginErrors: true"
        where = (*path, "consecutiveLocalOriginFailures")
        yield subject.finding("GM109", message, where, wants_key=True)
