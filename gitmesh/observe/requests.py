"""What Istio's request metrics are called, and what their labels mean to us.

Stage: observe (pure). Source: istio.io, "Istio Standard Metrics". Envoy's exposition puts `envoy_` in front.
"""

from __future__ import annotations

ISTIO_NAME = "istio_requests_total"
ENVOY_NAME = "envoy_istio_requests_total"
NAMES = frozenset({ISTIO_NAME, ENVOY_NAME})
ISTIO_BUCKET = "istio_request_duration_milliseconds_bucket"
ENVOY_BUCKET = f"envoy_{ISTIO_BUCKET}"
BUCKET_NAMES = frozenset({ISTIO_BUCKET, ENVOY_BUCKET})
# What Envoy counts for each cluster: whatever it sent there, so copies of requests too.
# Source: envoyproxy.io, "Cluster manager", statistics: dynamic HTTP statistics.
CLUSTER_NAME = "envoy_cluster_upstream_rq"
CLUSTER_BUCKET = "envoy_cluster_upstream_rq_time_bucket"

# The codes by which a server says that it failed; the others blame the caller, or nobody.
# Source: OpenTelemetry semantic conventions for gRPC, status of server spans; grpc.io, status codes.
GRPC_SERVER_FAILURES = frozenset({"2", "4", "12", "13", "14", "15"})


def is_failure(response_code: str, grpc_status: str) -> bool:
    """Say whether requests with these labels failed: 5xx, no answer (0), or a gRPC failure on any status."""
    server_error = len(response_code) == 3 and response_code.startswith("5")
    return server_error or response_code == "0" or grpc_status in GRPC_SERVER_FAILURES
