"""How an endpoint is chosen: Envoy's load balancer for a cluster. What a route hashes is in hash_policies.

Stage: playground translation (pure). Source: istio.io, Destination Rule, LoadBalancerSettings;
istio/istio pilot/pkg/networking/core, cluster_traffic_policy.go.
"""

from __future__ import annotations

from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.localities import is_weighted
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.policies import Policy

PASSTHROUGH = "PASSTHROUGH"
_DEFAULT = "LEAST_REQUEST"
_SIMPLE = {
    "": _DEFAULT,
    "UNSPECIFIED": _DEFAULT,
    "LEAST_CONN": _DEFAULT,
    "LEAST_REQUEST": "LEAST_REQUEST",
    "ROUND_ROBIN": "ROUND_ROBIN",
    "RANDOM": "RANDOM",
    # The address that the client asked for is that of the Service, and Kubernetes takes a random endpoint.
    PASSTHROUGH: "RANDOM",
}
_RING_SIZE_MIN = 1024  # pilot's default where Envoy's is the same; written so that nobody has to know both
_WARMUP_PERCENT_MIN = 10.0


def passes_through(policy: Policy) -> bool:
    """Say whether the client's own choice of an address holds, whatever the subset."""
    return "loadBalancer" in policy and policy["loadBalancer"]["simple"].text() == PASSTHROUGH


def balance(cluster: Envoy, policy: Policy) -> None:
    """Set the load balancer of a cluster."""
    cluster["lb_policy"] = _DEFAULT
    if "loadBalancer" in policy and policy["loadBalancer"].present:
        block = policy["loadBalancer"]
        if block["consistentHash"].present:
            _hash(cluster, block["consistentHash"])
        else:
            _simple(cluster, block)
    if is_weighted(policy):
        cluster.setdefault("common_lb_config", {})["locality_weighted_lb_config"] = {}


def _simple(cluster: Envoy, block: Field) -> None:
    name = block["simple"].text()
    if name not in _SIMPLE:
        block["simple"].report(f"{name} is not known: the playground balances by {_DEFAULT}")
    cluster["lb_policy"] = chosen = _SIMPLE.get(name, _DEFAULT)
    start = _slow_start(block)
    if start is None:
        return
    if chosen == "RANDOM":
        block.report("warmup has no effect with this way of balancing")
    else:
        cluster[f"{chosen.lower()}_lb_config"] = {"slow_start_config": start}


def _slow_start(block: Field) -> Envoy | None:
    warmup = block["warmup"]
    field = warmup["duration"] if warmup.present else block["warmupDurationSecs"]
    window = field.duration()
    if window is None:
        return None
    place = warmup if warmup.present else field
    place.note("the playground replaces all endpoints together, so that all of them warm up alike")
    if not warmup.present:
        return {"slow_start_window": window}
    aggression, percent = warmup["aggression"].number(), warmup["minimumPercent"].number()
    return {
        "slow_start_window": window,
        "aggression": {
            "default_value": 1.0 if aggression is None else aggression,
            "runtime_key": "gitmesh.aggression",
        },
        "min_weight_percent": {"value": _WARMUP_PERCENT_MIN if percent is None else percent},
    }


def _hash(cluster: Envoy, block: Field) -> None:
    if block["maglev"].present:
        cluster["lb_policy"] = "MAGLEV"
        size = block["maglev"]["tableSize"].integer()
        if size:
            cluster["maglev_lb_config"] = {"table_size": str(size)}
        return
    cluster["lb_policy"] = "RING_HASH"
    ring = block["ringHash"]
    size = ring["minimumRingSize"].integer() if ring.present else block["minimumRingSize"].integer()
    cluster["ring_hash_lb_config"] = {"minimum_ring_size": str(size or _RING_SIZE_MIN)}
