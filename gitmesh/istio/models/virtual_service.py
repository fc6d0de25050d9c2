"""VirtualService: which requests go where.

Stage: validate (pure). Source: CRD virtualservices.networking.istio.io of Istio 1.30.3.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gitmesh.istio.models.base import ExclusiveModel, IstioModel
from gitmesh.istio.models.common import Destination, Percentage, StringMatch
from gitmesh.istio.models.scalars import Duration, Int32, Items, Map, PercentInt, PortOrZero


class HeaderOperations(IstioModel):
    """What is done to headers on the way."""

    set: Map[str] = Field(default_factory=dict)
    add: Map[str] = Field(default_factory=dict)
    remove: Items[str] = ()


class Headers(IstioModel):
    """What is done to the headers of requests and of responses."""

    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HTTPMatch(IstioModel):
    """Conditions on a request; all of them must hold."""

    name: str | None = None
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: Map[StringMatch] = Field(default_factory=dict)
    port: PortOrZero | None = None
    source_labels: Map[str] = Field(default_factory=dict)
    gateways: Items[str] = ()
    query_params: Map[StringMatch] = Field(default_factory=dict)
    ignore_uri_case: bool | None = None
    without_headers: Map[StringMatch] = Field(default_factory=dict)
    source_namespace: str | None = None
    stat_prefix: str | None = None


class HTTPRouteDestination(IstioModel):
    """One destination of an HTTP rule, with its share."""

    destination: Destination
    weight: Int32 | None = None
    headers: Headers | None = None


class HTTPRedirect(ExclusiveModel):
    """The answer is a redirect."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("port", "derivePort"),)

    uri: str | None = None
    authority: str | None = None
    port: PortOrZero | None = None
    derive_port: Literal["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] | None = None
    scheme: str | None = None
    redirect_code: Annotated[int, Field(ge=0, le=2**32 - 1)] | None = None


class ResponseBody(ExclusiveModel):
    """The body of a direct response."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("string", "bytes"),)

    string: str | None = None
    bytes: Annotated[str | None, Field(json_schema_extra={"format": "byte"})] = None


class DirectResponse(IstioModel):
    """The answer is a fixed one."""

    status: Annotated[int, Field(ge=200, le=600)]
    body: ResponseBody | None = None


class Delegate(IstioModel):
    """Another VirtualService that holds the rules."""

    name: str | None = None
    namespace: str | None = None


class RegexRewrite(IstioModel):
    """A rewrite of the path by a regular expression."""

    match: str | None = None
    rewrite: str | None = None


class HTTPRewrite(IstioModel):
    """What is changed in path and authority before the request is sent on."""

    uri: str | None = None
    authority: str | None = None
    uri_regex_rewrite: RegexRewrite | None = None


class HTTPRetry(IstioModel):
    """When and how often a failed request is sent again."""

    attempts: Annotated[Int32, Field(ge=0)] | None = None
    per_try_timeout: Duration | None = None
    retry_on: str | None = None
    retry_remote_localities: bool | None = None
    retry_ignore_previous_hosts: bool | None = None
    backoff: Duration | None = None


class FaultDelay(ExclusiveModel):
    """Requests are held back."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("fixedDelay", "exponentialDelay"),)

    percent: PercentInt | None = None
    fixed_delay: Duration | None = None
    exponential_delay: Duration | None = None
    percentage: Percentage | None = None


class FaultAbort(ExclusiveModel):
    """Requests are answered with an error."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("httpStatus", "grpcStatus", "http2Error"),)

    http_status: Annotated[Int32, Field(ge=200, le=600)] | None = None
    grpc_status: str | None = None
    http2_error: str | None = None
    percentage: Percentage | None = None


class HTTPFault(IstioModel):
    """Faults that are made on purpose."""

    delay: FaultDelay | None = None
    abort: FaultAbort | None = None


class HTTPMirror(IstioModel):
    """A destination that gets copies of requests."""

    destination: Destination
    percentage: Percentage | None = None


class CorsPolicy(IstioModel):
    """Which other origins may call."""

    allow_origin: Items[str] = ()
    allow_origins: Items[StringMatch] = ()
    allow_methods: Items[str] = ()
    allow_headers: Items[str] = ()
    expose_headers: Items[str] = ()
    max_age: Duration | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] | None = None


class HTTPRoute(IstioModel):
    """One HTTP rule: conditions and what happens to a request that meets them."""

    name: str | None = None
    match: Items[HTTPMatch] = ()
    route: Items[HTTPRouteDestination] = ()
    redirect: HTTPRedirect | None = None
    direct_response: DirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout: Duration | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFault | None = None
    mirror: Destination | None = None
    mirrors: Items[HTTPMirror] = ()
    mirror_percent: PercentInt | None = None
    # The CRD lists this spelling as well.
    mirror_percent_snake: Annotated[PercentInt | None, Field(alias="mirror_percent")] = None
    mirror_percentage: Percentage | None = None
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None


class L4Match(IstioModel):
    """Conditions on a connection."""

    destination_subnets: Items[str] = ()
    port: PortOrZero | None = None
    source_labels: Map[str] = Field(default_factory=dict)
    gateways: Items[str] = ()
    source_namespace: str | None = None


class TCPMatch(L4Match):
    """Conditions on a plain connection."""

    source_subnet: str | None = None


class TLSMatch(L4Match):
    """Conditions on a TLS connection that is not ended here."""

    sni_hosts: Items[str]


class RouteDestination(IstioModel):
    """One destination of a TCP or TLS rule, with its share."""

    destination: Destination
    weight: Int32 | None = None


class TCPRoute(IstioModel):
    """One rule for plain connections."""

    match: Items[TCPMatch] = ()
    route: Items[RouteDestination] = ()


class TLSRoute(IstioModel):
    """One rule for TLS connections that are not ended here."""

    match: Items[TLSMatch]
    route: Items[RouteDestination] = ()


class VirtualServiceSpec(IstioModel):
    """The spec of a VirtualService."""

    hosts: Items[str] = ()
    gateways: Items[str] = ()
    http: Items[HTTPRoute] = ()
    tls: Items[TLSRoute] = ()
    tcp: Items[TCPRoute] = ()
    export_to: Items[str] = ()
