"""What a client does with the connections to a destination: load balancing, pools, ejection, TLS.

Stage: validate (pure). Source: CRD destinationrules.networking.istio.io of Istio 1.30.3.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gitmesh.istio.models.base import ExclusiveModel, IstioModel
from gitmesh.istio.models.common import PortSelector
from gitmesh.istio.models.scalars import (
    Double,
    Duration,
    DurationOfAnyLength,
    DurationOrZero,
    Int32,
    Items,
    Map,
    NotNegative,
    PercentDouble,
    PercentInt,
    Port,
    UInt32,
    UInt64,
)


class CookieAttribute(IstioModel):
    """One attribute of the cookie that a hash sets."""

    name: str
    value: str | None = None


class HTTPCookie(IstioModel):
    """The cookie by which requests are spread."""

    name: str
    path: str | None = None
    ttl: DurationOfAnyLength | None = None
    attributes: Items[CookieAttribute] = ()


class RingHash(IstioModel):
    """Hashing on a ring."""

    minimum_ring_size: UInt64 | None = None


class Maglev(IstioModel):
    """Hashing by Maglev's table."""

    table_size: UInt64 | None = None


class ConsistentHash(ExclusiveModel):
    """Requests with an equal property go to the same endpoint."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
        ("ringHash", "maglev"),
    )

    http_header_name: str | None = None
    http_cookie: HTTPCookie | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: Maglev | None = None
    minimum_ring_size: UInt64 | None = None


class LocalityDistribute(IstioModel):
    """Shares of the traffic from one locality."""

    from_: Annotated[str | None, Field(alias="from")] = None
    to: Map[UInt32] = Field(default_factory=dict)


class LocalityFailover(IstioModel):
    """Where the traffic of one region goes when it fails."""

    from_: Annotated[str | None, Field(alias="from")] = None
    to: str | None = None


class LocalityLbSetting(IstioModel):
    """Load balancing by place."""

    distribute: Items[LocalityDistribute] = ()
    failover: Items[LocalityFailover] = ()
    failover_priority: Items[str] = ()
    enabled: bool | None = None


class Warmup(IstioModel):
    """A new endpoint gets its share little by little."""

    duration: Duration
    minimum_percent: PercentDouble | None = None
    aggression: Annotated[Double, Field(ge=0)] | None = None


class LoadBalancer(ExclusiveModel):
    """How an endpoint is chosen."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("simple", "consistentHash"),)

    simple: (
        Literal["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"] | None
    ) = None
    consistent_hash: ConsistentHash | None = None
    locality_lb_setting: LocalityLbSetting | None = None
    warmup_duration_secs: Duration | None = None
    warmup: Warmup | None = None


class TCPKeepalive(IstioModel):
    """Keep-alive probes of a connection."""

    probes: UInt32 | None = None
    time: Duration | None = None
    interval: Duration | None = None


class TCPPool(IstioModel):
    """Bounds on connections."""

    max_connections: NotNegative | None = None
    connect_timeout: Duration | None = None
    tcp_keepalive: TCPKeepalive | None = None
    max_connection_duration: Duration | None = None
    idle_timeout: DurationOrZero | None = None


class HTTPPool(IstioModel):
    """Bounds on requests."""

    http1_max_pending_requests: NotNegative | None = None
    http2_max_requests: NotNegative | None = None
    max_requests_per_connection: NotNegative | None = None
    max_retries: NotNegative | None = None
    idle_timeout: Duration | None = None
    h2_upgrade_policy: Literal["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"] | None = None
    use_client_protocol: bool | None = None
    max_concurrent_streams: NotNegative | None = None


class ConnectionPool(IstioModel):
    """Bounds beyond which requests fail at once: one half of a circuit breaker."""

    tcp: TCPPool | None = None
    http: HTTPPool | None = None


class OutlierDetection(IstioModel):
    """When a failing endpoint is taken out for a while: the other half."""

    consecutive_errors: Int32 | None = None
    split_external_local_origin_errors: bool | None = None
    consecutive_local_origin_failures: UInt32 | None = None
    consecutive_gateway_errors: UInt32 | None = None
    consecutive_5xx_errors: Annotated[UInt32 | None, Field(alias="consecutive5xxErrors")] = None
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: PercentInt | None = None
    min_health_percent: PercentInt | None = None


class ClientTLS(IstioModel):
    """TLS towards the destination."""

    mode: Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"] | None = None
    client_certificate: str | None = None
    private_key: str | None = None
    ca_certificates: str | None = None
    credential_name: str | None = None
    subject_alt_names: Items[str] = ()
    sni: str | None = None
    insecure_skip_verify: bool | None = None
    ca_crl: str | None = None


class PortTrafficPolicy(IstioModel):
    """A traffic policy for one port."""

    port: PortSelector | None = None
    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLS | None = None


class Tunnel(IstioModel):
    """TCP is carried through an HTTP proxy."""

    protocol: str | None = None
    target_host: str
    target_port: Port


class ProxyProtocol(IstioModel):
    """The PROXY protocol is spoken to the destination."""

    version: Literal["V1", "V2"] | None = None


class RetryBudget(IstioModel):
    """How many requests in flight may be retries."""

    percent: PercentDouble | None = None
    min_retry_concurrency: UInt32 | None = None


class TrafficPolicy(IstioModel):
    """A traffic policy of a host or of a subset."""

    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLS | None = None
    port_level_settings: Annotated[Items[PortTrafficPolicy], Field(max_length=4096)] = ()
    tunnel: Tunnel | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None
