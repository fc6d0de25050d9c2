"""When a failing endpoint is left out for a while.

Stage: playground translation (pure). Source: istio.io, Destination Rule, OutlierDetection;
istio/istio pilot/pkg/networking/core, applyOutlierDetection.
"""

from __future__ import annotations

from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.policies import Policy


def detect_outliers(cluster: Envoy, policy: Policy) -> None:
    """Set outlier detection, and with it how many endpoints must be left."""
    if "outlierDetection" not in policy or not policy["outlierDetection"].present:
        return
    block = policy["outlierDetection"]
    detection: Envoy = {"enforcing_success_rate": 0}
    _enforced(detection, "consecutive_5xx", block["consecutive5xxErrors"])
    _enforced(detection, "consecutive_gateway_failure", block["consecutiveGatewayErrors"])
    for name, field in (("interval", "interval"), ("base_ejection_time", "baseEjectionTime")):
        duration = block[field].duration()
        if duration is not None:
            detection[name] = duration
    if block["maxEjectionPercent"].integer():
        detection["max_ejection_percent"] = block["maxEjectionPercent"].integer()
    if block["splitExternalLocalOriginErrors"].boolean():
        detection["split_external_local_origin_errors"] = True
        _enforced(detection, "consecutive_local_origin_failure", block["consecutiveLocalOriginFailures"])
    cluster["outlier_detection"] = detection
    panic = block["minHealthPercent"].integer()
    # Zero is written too: Envoy's own default of 50 % would send requests to ejected endpoints.
    cluster.setdefault("common_lb_config", {})["healthy_panic_threshold"] = {"value": panic}


def _enforced(detection: Envoy, name: str, field: Field) -> None:
    """Set a counter and enforce it wholly; zero switches it off."""
    if field.present:
        count = field.integer()
        if count > 0:
            detection[name] = count
        detection[f"enforcing_{name}"] = 100 if count > 0 else 0
