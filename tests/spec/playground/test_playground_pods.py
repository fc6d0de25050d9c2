"""Promises about what a Pod object asks of the playground, and about its status."""

import pytest

from gitmesh.model.kinds import POD
from gitmesh.playground.addresses import pod_address
from gitmesh.playground.pods import (
    Identity,
    PodState,
    container_ports,
    identity_of,
    is_gateway,
    knobs_of,
    status_of,
)
from gitmesh.playground.workloads import workloads

NOW = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T00:00:05Z"


def a_pod(name="reviews-v2", labels=None, annotations=None, **fields):
    labels = {"app": "reviews", "version": "v2"} if labels is None else labels
    ports = [{"name": "http", "containerPort": 9080}]
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": labels,
            "annotations": annotations or {},
        },
        "spec": {"containers": [{"name": "sample", "image": "x", "ports": ports}]},
        **fields,
    }


def test_a_pod_is_known_by_its_labels_and_its_port():
    assert identity_of(a_pod()) == Identity("reviews", "v2", "reviews-v2", 9080)
    assert identity_of(a_pod(labels={"app": "web"})) == Identity("web", "", "reviews-v2", 9080)
    assert identity_of(a_pod(spec={})) == Identity("reviews", "v2", "reviews-v2", 8080)


def test_a_pod_without_the_label_app_or_on_its_way_out_is_left_alone():
    assert identity_of(a_pod(labels={})) is None
    gone = a_pod()
    gone["metadata"]["deletionTimestamp"] = NOW
    assert identity_of(gone) is None


@pytest.mark.parametrize(
    ("text", "value"), [("30", 30.0), ("30%", 30.0), (" 0.5 ", 0.5), ("100", 100.0), ("0", 0.0)]
)
def test_an_annotation_sets_the_share_of_failures(text, value):
    knobs = knobs_of(a_pod(annotations={"playground.gitmesh.dev/error-percent": text}))
    assert (knobs.error_percent, knobs.problem) == (value, "")


def test_an_annotation_sets_the_latency():
    assert knobs_of(a_pod(annotations={"playground.gitmesh.dev/latency-ms": "250ms"})).latency_ms == 250.0


@pytest.mark.parametrize("text", ["many", "-1", "101", "nan", "inf", ""])
def test_an_annotation_that_is_no_number_is_told_and_counts_as_zero(text):
    knobs = knobs_of(a_pod(annotations={"playground.gitmesh.dev/error-percent": text}))
    assert knobs.error_percent == 0.0
    assert "write a number from 0 to 100" in knobs.problem


def test_a_ready_pod_has_its_address_and_says_ready():
    status = status_of(a_pod(), PodState("Running", ready=True, address="127.64.0.1", started_at=NOW), NOW)
    assert (status["phase"], status["podIP"], status["podIPs"]) == (
        "Running",
        "127.64.0.1",
        [{"ip": "127.64.0.1"}],
    )
    assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "True"
    assert status["containerStatuses"][0]["ready"]


def test_a_condition_keeps_its_time_until_it_changes():
    up = PodState("Running", ready=True, address="127.64.0.1", started_at=NOW)
    first = a_pod(status=status_of(a_pod(), up, NOW))
    assert status_of(first, up, LATER) == first["status"]
    down = status_of(first, PodState("Running", address="127.64.0.1", restarts=1, reason="Error"), LATER)
    times = {c["type"]: c["lastTransitionTime"] for c in down["conditions"]}
    assert (times["Ready"], times["PodScheduled"]) == (LATER, NOW)
    assert down["containerStatuses"][0]["restartCount"] == 1
    assert not down["containerStatuses"][0]["ready"]


def test_a_pod_has_the_same_address_each_time_and_never_one_that_is_taken():
    key = POD.key("default", "reviews-v1")
    first = pod_address("seed", key, ())
    assert pod_address("seed", key, ()) == first
    assert pod_address("seed", key, {first}) != first
    assert pod_address("another playground", key, ()) != first
    assert first.startswith("127.")
    assert 64 <= int(first.split(".")[1]) < 128


def test_many_pods_have_many_addresses():
    taken = set()
    for number in range(500):
        taken.add(pod_address("seed", POD.key("default", f"pod-{number}"), taken))
    assert len(taken) == 500
    assert not any(address.endswith((".0", ".255")) for address in taken)


def test_the_workloads_are_services_with_pods_that_they_select_and_two_gateways():
    objects = workloads()
    pods = {o["metadata"]["name"]: o for o in objects if o["kind"] == "Pod"}
    services = [o for o in objects if o["kind"] == "Service"]
    gateways = {name for name, pod in pods.items() if is_gateway(pod)}
    assert gateways == {"istio-ingressgateway", "istio-egressgateway"}
    assert pods.keys() - gateways == {"reviews-v1", "reviews-v2", "ratings-v1", "productpage-v1"}
    for service in services:
        selector = service["spec"]["selector"].items()
        chosen = [pod for pod in pods.values() if selector <= pod["metadata"]["labels"].items()]
        assert chosen
        for port in service["spec"]["ports"]:
            for pod in chosen:
                assert port["targetPort"] in container_ports(pod)
    assert all(identity_of(pods[name]).port == 9080 for name in pods.keys() - gateways)


def test_a_pod_with_only_the_proxy_is_a_gateway_and_needs_no_process():
    gateway = a_pod(labels={"app": "istio-ingressgateway"}, spec={"containers": [{"name": "istio-proxy"}]})
    assert is_gateway(gateway)
    assert identity_of(gateway) is None
    beside = [{"name": "sample"}, {"name": "istio-proxy"}]
    assert not is_gateway(a_pod(spec={"containers": beside}))
    assert identity_of(a_pod(spec={"containers": beside})) is not None
