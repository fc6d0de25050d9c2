"""How fast Envoy serves what a large mesh says, and how fast it says which route takes a request.

1,000 services in 10 namespaces, each with a VirtualService, a DestinationRule with two subsets, and two Pods.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from benchmarks.figures import Figure, milliseconds, percentile
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet, resource_from_body
from gitmesh.playground.envoy.dataplane import DataPlane
from gitmesh.playground.envoy.probe import Probe
from gitmesh.playground.envoy.snapshot import Snapshot
from gitmesh.playground.translate import translate
from gitmesh.playground.translate.memo import Memo

SERVICES, NAMESPACES, CHANGES, PROBES = 1_000, 10, 20, 5_000
_COLD_SECONDS_MAX, _CHANGE_SECONDS_MAX, _PROBES_PER_SECOND_MIN = 5.0, 0.25, 1_000
_MOVES, _MOVE_SECONDS_MAX = 10, 1.0


async def measure(directory: Path) -> list[Figure]:
    """Serve all of it, then change one object after the other, then ask."""
    resources, memo = dict(a_large_mesh()), Memo()
    async with DataPlane(directory / "envoy") as plane:

        async def serve() -> float:
            began = time.monotonic()
            translation = translate(resources, doors=plane.addresses.doors, memo=memo)
            await plane.apply(Snapshot.of(translation))
            return time.monotonic() - began

        cold = await serve()
        changes = []
        for number in range(CHANGES):
            key, resource = _changed(number)
            resources[key] = resource
            changes.append(await serve())
        moves = []
        for number in range(_MOVES):
            key, resource = _moved(number)
            resources[key] = resource
            moves.append(await serve())
        async with Probe(plane) as probe:
            rate = await _probe_rate(probe)
    asked = f"p95 under {_CHANGE_SECONDS_MAX * 1000:.0f} ms"
    return [
        Figure(
            "1,000 VirtualServices and 2,000 subsets, translated and served, cold",
            f"{cold:.2f} s",
            f"under {_COLD_SECONDS_MAX:g} s",
            cold < _COLD_SECONDS_MAX,
        ),
        Figure(
            "one changed VirtualService among them, acknowledged by Envoy",
            milliseconds(changes),
            asked,
            percentile(changes, 95) < _CHANGE_SECONDS_MAX,
        ),
        Figure(
            "one Pod at another address, acknowledged by Envoy",
            milliseconds(moves),
            f"p95 under {_MOVE_SECONDS_MAX:g} s",
            percentile(moves, 95) < _MOVE_SECONDS_MAX,
        ),
        Figure(
            "which route takes this request, asked of Envoy",
            f"{rate:,.0f} a second",
            f"{_PROBES_PER_SECOND_MIN:,} or more",
            rate >= _PROBES_PER_SECOND_MIN,
        ),
    ]


def a_large_mesh() -> ResourceSet:
    """Return the objects, with Pods on addresses that nobody has."""
    found: dict[ResourceKey, Resource] = {}
    for number in range(SERVICES):
        for make in (_service, _rule, _routes, _pod_v1, _pod_v2):
            resource = resource_from_body(make(number))
            found[resource.key] = resource
    return found


def _changed(number: int) -> tuple[ResourceKey, Resource]:
    body = _routes(number * 37 % SERVICES)
    body["spec"]["http"][0]["match"][0]["uri"]["prefix"] = f"/changed/{number}"
    resource = resource_from_body(body)
    return resource.key, resource


def _moved(number: int) -> tuple[ResourceKey, Resource]:
    body = _pod_v1(number * 37 % SERVICES)
    body["status"]["podIP"] = f"10.3.0.{number + 1}"
    resource = resource_from_body(body)
    return resource.key, resource


async def _probe_rate(probe: Probe) -> float:
    async def ask(first: int) -> None:
        for number in range(first, PROBES, 8):
            host = f"app-{number % SERVICES}.team-{number % SERVICES % NAMESPACES}:9080"
            answer = await probe.ask("client", "GET", f"http://{host}/reviews/{number}")
            assert answer.found, host

    began = time.monotonic()
    async with anyio.create_task_group() as tasks:
        for first in range(8):
            tasks.start_soon(ask, first)
    return PROBES / (time.monotonic() - began)


def _body(version: str, kind: str, number: int, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    metadata = {"name": f"app-{number}", "namespace": f"team-{number % NAMESPACES}", **more}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _service(number: int) -> dict[str, Any]:
    ports = [{"name": "http", "port": 9080}]
    return _body("v1", "Service", number, {"selector": {"app": f"app-{number}"}, "ports": ports})


def _pod(version: str) -> Callable[[int], dict[str, Any]]:
    def make(number: int) -> dict[str, Any]:
        labels = {"app": f"app-{number}", "version": version}
        body = _body("v1", "Pod", number, {}, name=f"app-{number}-{version}", labels=labels)
        ready = {"type": "Ready", "status": "True"}
        address = f"10.{1 if version == 'v1' else 2}.{number // 250}.{number % 250 + 1}"
        return {**body, "status": {"podIP": address, "conditions": [ready]}}

    return make


_pod_v1, _pod_v2 = _pod("v1"), _pod("v2")


def _rule(number: int) -> dict[str, Any]:
    subsets = [{"name": version, "labels": {"version": version}} for version in ("v1", "v2")]
    policy = {"outlierDetection": {"consecutive5xxErrors": 7}}
    spec = {"host": f"app-{number}", "subsets": subsets, "trafficPolicy": policy}
    return _body("networking.istio.io/v1", "DestinationRule", number, spec)


def _routes(number: int) -> dict[str, Any]:
    def to(version: str, weight: int) -> dict[str, Any]:
        return {"destination": {"host": f"app-{number}", "subset": version}, "weight": weight}

    match = {"uri": {"prefix": f"/api/v{number}"}, "headers": {"end-user": {"exact": "jason"}}}
    rules = [
        {"name": "testers", "match": [match], "route": [to("v2", 100)], "timeout": "3s"},
        {"name": "everyone", "route": [to("v1", 90), to("v2", 10)]},
    ]
    return _body(
        "networking.istio.io/v1", "VirtualService", number, {"hosts": [f"app-{number}"], "http": rules}
    )
