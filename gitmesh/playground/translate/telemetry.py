"""Request statistics under Istio's names and labels.

Stage: playground translation (pure). Source: istio.io, Istio Standard Metrics.
"""

from __future__ import annotations

from gitmesh.playground.translate.naming import Envoy, typed

SOURCE_HEADER = "x-gitmesh-source"  # who calls


def request_counter() -> Envoy:
    """Return the access logger that counts requests and how long they take.

    What tells versions apart comes from the cluster, not from the endpoint: a version that cannot be reached
    has no endpoint, and must be counted all the same.
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
