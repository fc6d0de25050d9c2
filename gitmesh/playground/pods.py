"""What a Pod object asks of the playground, and the status that it gets.

Stage: playground (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitmesh.kube.protocol import Body

ERROR_PERCENT = "playground.gitmesh.dev/error-percent"
LATENCY_MS = "playground.gitmesh.dev/latency-ms"
DEFAULT_PORT = 8080
_PROXY = "istio-proxy"  # what Istio calls the container of its proxy
_LATENCY_MS_MAX = 60_000.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the sample service of a Pod is. Another identity needs another process."""

    name: str
    version: str
    pod: str
    port: int


@dataclass(frozen=True, slots=True)
class Knobs:
    """How it misbehaves. `problem` says which annotation could not be read; that knob is then 0."""

    error_percent: float = 0.0
    latency_ms: float = 0.0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PodState:
    """Where the process of a Pod is, as its status tells it."""

    phase: str = "Pending"
    ready: bool = False
    address: str = ""
    started_at: str = ""
    restarts: int = 0
    reason: str = ""
    message: str = ""


def identity_of(pod: Body) -> Identity | None:
    """Return who the Pod wants to be; None for one that is not the playground's (it has no label `app`).

    A gateway is nobody: Envoy is in its place.
    """
    metadata = pod.get("metadata") or {}
    labels = metadata.get("labels") or {}
    name = labels.get("app")
    if not name or metadata.get("deletionTimestamp") or is_gateway(pod):
        return None
    return Identity(str(name), str(labels.get("version", "")), str(metadata.get("name", "")), _port(pod))


def is_gateway(pod: Body) -> bool:
    """Say whether the proxy is all that runs in a Pod."""
    return [container.get("name") for container in _containers(pod)] == [_PROXY]


def knobs_of(pod: Body) -> Knobs:
    """Read the annotations that make a Pod fail or slow."""
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    error_percent, wrong_percent = _number(annotations, ERROR_PERCENT, 100.0)
    latency_ms, wrong_latency = _number(annotations, LATENCY_MS, _LATENCY_MS_MAX)
    return Knobs(error_percent, latency_ms, wrong_percent or wrong_latency)


def status_of(pod: Body, state: PodState, now: str) -> dict[str, Any]:
    """Return the whole status. `now` is stamped on conditions that have changed."""
    before = pod.get("status") or {}
    status: dict[str, Any] = {
        "phase": state.phase,
        "hostIP": "127.0.0.1",
        "startTime": before.get("startTime") or now,
        "conditions": _conditions(before, state, now),
        "containerStatuses": [_container_status(c, state) for c in _containers(pod)],
    }
    if state.address:
        status |= {"podIP": state.address, "podIPs": [{"ip": state.address}]}
    if state.reason:
        status["reason"] = state.reason
    if state.message:
        status["message"] = state.message
    return status


def _conditions(before: Mapping[str, Any], state: PodState, now: str) -> list[dict[str, Any]]:
    old = {c.get("type"): c for c in before.get("conditions") or () if isinstance(c, Mapping)}
    wanted = {"PodScheduled": True, "Initialized": True, "ContainersReady": state.ready, "Ready": state.ready}
    conditions = []
    for type_, is_true in wanted.items():
        status = "True" if is_true else "False"
        known = old.get(type_) or {}
        since = known.get("lastTransitionTime") if known.get("status") == status else None
        conditions.append({"type": type_, "status": status, "lastTransitionTime": since or now})
    return conditions


def _container_status(container: Mapping[str, Any], state: PodState) -> dict[str, Any]:
    running = {"running": {"startedAt": state.started_at}}
    waiting = {"waiting": {"reason": state.reason or "ContainerCreating"}}
    return {
        "name": str(container.get("name", "sample")),
        "image": str(container.get("image", "")),
        "imageID": "",
        "ready": state.ready,
        "started": state.ready,
        "restartCount": state.restarts,
        "state": running if state.ready else waiting,
    }


def _containers(pod: Body) -> list[Mapping[str, Any]]:
    containers = (pod.get("spec") or {}).get("containers") or ()
    return [container for container in containers if isinstance(container, Mapping)]


def container_ports(pod: Body) -> list[int]:
    """Return the ports that the containers of a Pod name."""
    ports = [
        p for container in _containers(pod) for p in container.get("ports") or () if isinstance(p, Mapping)
    ]
    numbers = [port.get("containerPort") for port in ports]
    return [number for number in numbers if isinstance(number, int) and 0 < number < 65536]


def _port(pod: Body) -> int:
    return next(iter(container_ports(pod)), DEFAULT_PORT)


def _number(annotations: Mapping[str, Any], name: str, highest: float) -> tuple[float, str]:
    text = str(annotations.get(name, "0")).strip().removesuffix("%").removesuffix("ms").strip()
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0 <= value <= highest:
        return value, ""
    return 0.0, f"annotation {name} is {annotations[name]!r}: write a number from 0 to {highest:g}"
