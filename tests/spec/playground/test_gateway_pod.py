"""A gateway Pod has an address, and says so, although nothing runs for it."""

from __future__ import annotations

import socket

import anyio
import pytest
from fakes.cluster import a_cluster

from gitmesh.engine.clock import SystemClock
from gitmesh.model.kinds import POD
from gitmesh.playground.gateway_pod import GatewayPod

KEY = POD.key("istio-system", "istio-ingressgateway")
BODY = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": KEY.name, "namespace": KEY.namespace},
    "spec": {"containers": [{"name": "istio-proxy", "ports": [{"containerPort": 8080}]}]},
}


@pytest.mark.anyio
async def test_it_is_ready_at_an_address_that_nothing_else_uses():
    addresses = ["127.0.29.1", "127.0.29.2"]
    cluster = a_cluster(BODY)
    with socket.create_server((addresses[0], 8080)):
        pod = GatewayPod(
            cluster, KEY, BODY, address=lambda refused: addresses[int(refused)], clock=SystemClock()
        )
        async with anyio.create_task_group() as group:
            group.start_soon(pod.run)
            with anyio.fail_after(5):
                while not pod.is_reported_ready:  # noqa: ASYNC110 (it has no event)
                    await anyio.sleep(0.001)
            pod.leave()
    status = cluster.find(POD, KEY.namespace, KEY.name)["status"]
    assert status["podIP"] == addresses[1]
    assert status["phase"] == "Running"
    assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "True"
