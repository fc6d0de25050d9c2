"""The three listeners: mesh, gateway and probe. They never change, so no route change drains a connection.

Stage: playground translation (pure). Everything that changes is in the routes and clusters, which they name.
Source: istio/istio pilot/pkg/networking/core, listener.go, for the defaults of the connection manager.
"""

from __future__ import annotations

from dataclasses import dataclass

from gitmesh.playground.translate.actions import CORS, FAULT
from gitmesh.playground.translate.naming import Envoy, typed

SOURCE_HEADER = "x-gitmesh-source"  # who calls, for telemetry
PROBE = "gitmesh.probe"
_FILTERS = "envoy.extensions.filters.http"
_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as the start of a URL."""
        return f"http://{self}"


def mesh_listener(address: Address, routes_file: str) -> Envoy:
    """Return the listener that stands for every sidecar: it serves all hosts of the mesh, by Host header."""
    return _listener("mesh", address, {**_manager("mesh", "mesh", routes_file), "access_log": [_telemetry()]})


def gateway_listener(address: Address, routes_file: str) -> Envoy:
    """Return the listener of the ingress gateway."""
    manager = _manager("gateway", "gateway", routes_file)
    return _listener(
        "gateway", address, {**manager, "use_remote_address": True, "access_log": [_telemetry()]}
    )


def probe_listener(address: Address, routes_file: str) -> Envoy:
    """Return the listener that answers which route of the mesh takes a request, without sending it anywhere.

    Its first filter ends every request after the route is known, and the reply is written from the route.
    """
    manager = _manager("probe", "mesh", routes_file)
    stop = typed(
        PROBE, f"{_FILTERS}.fault.v3.HTTPFault", abort={"http_status": 200, "percentage": {"numerator": 100}}
    )
    answer = {
        "route": "%ROUTE_NAME%",
        "cluster": "%UPSTREAM_CLUSTER_RAW%",
        "source": "%METADATA(ROUTE:gitmesh:source)%",
        "rule": "%METADATA(ROUTE:gitmesh:rule)%",
    }
    manager["http_filters"] = [stop, *manager["http_filters"]]
    manager["local_reply_config"] = {"body_format": {"json_format": answer}}
    return _listener("probe", address, manager)


def _listener(name: str, address: Address, manager: Envoy) -> Envoy:
    connections = {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {"@type": f"type.googleapis.com/{_MANAGER}", **manager},
    }
    return {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": name,
        "address": {"socket_address": {"address": address.host, "port_value": address.port}},
        "filter_chains": [{"filters": [connections]}],
        # Otherwise a second Envoy on the same port starts without a word, and takes half of the connections.
        "enable_reuse_port": False,
    }


def _manager(name: str, routes: str, routes_file: str) -> Envoy:
    return {
        "stat_prefix": name,
        "rds": {
            "route_config_name": routes,
            "config_source": {"path_config_source": {"path": routes_file}, "resource_api_version": "V3"},
        },
        "http_filters": [
            typed(CORS, f"{_FILTERS}.cors.v3.Cors"),
            typed(FAULT, f"{_FILTERS}.fault.v3.HTTPFault"),
            typed("envoy.filters.http.router", f"{_FILTERS}.router.v3.Router"),
        ],
        "normalize_path": True,
        "merge_slashes": False,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "stream_idle_timeout": "0s",
        "server_header_transformation": "PASS_THROUGH",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "early_header_mutation_extensions": [_default_source()],
    }


def _default_source() -> Envoy:
    header = {"key": SOURCE_HEADER, "value": "unknown"}
    return typed(
        "envoy.http.early_header_mutation.header_mutation",
        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=[{"append": {"header": header, "append_action": "ADD_IF_ABSENT"}}],
    )


def _telemetry() -> Envoy:
    """Return the access logger that counts requests under Istio's names and labels.

    What tells versions apart comes from the cluster, not from the endpoint: a version that cannot be reached
    has no endpoint, and must be counted all the same. Source: istio.io, Istio Standard Metrics.
    """
    labels = {
        "reporter": "source",
        "source_workload": f"%REQ({SOURCE_HEADER})%",
        "destination_service": "%METADATA(CLUSTER:istio:host)%",
        "destination_service_name": "%METADATA(CLUSTER:istio:service)%",
        "destination_service_namespace": "%METADATA(CLUSTER:istio:namespace)%",
        "destination_version": "%METADATA(CLUSTER:istio:version)%",
        "destination_workload": "%METADATA(UPSTREAM_HOST:istio:workload)%",
        "request_protocol": "http",
        "response_code": "%RESPONSE_CODE%",
        "response_flags": "%RESPONSE_FLAGS%",
        "grpc_response_status": "%GRPC_STATUS_NUMBER%",
    }
    tags = [{"name": name, "value_format": value} for name, value in labels.items()]
    duration = {"name": "request_duration_milliseconds", "tags": tags}
    return typed(
        "envoy.access_loggers.stats",
        "envoy.extensions.access_loggers.stats.v3.Config",
        stats_scope={"prefix": "istio"},
        counters=[{"stat": {"name": "requests_total", "tags": tags}, "value_fixed": 1}],
        histograms=[{"stat": duration, "unit": "Milliseconds", "value_format": "%DURATION%"}],
    )
