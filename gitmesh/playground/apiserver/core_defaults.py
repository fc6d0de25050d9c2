"""What a cluster fills in for built-in kinds, as far as readers rely on it.

Stage: playground (pure). Each function returns a new object. Source: kubernetes.io, API reference.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from gitmesh.playground.apiserver import definitions
from gitmesh.playground.apiserver.kinds import Body, metadata_of


def _namespace(body: Body) -> Body:
    metadata = metadata_of(body)
    labels = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata.get("name", "")}
    status = body.get("status") or {"phase": "Active"}
    return {**body, "metadata": {**metadata, "labels": labels}, "status": status}


def _service(body: Body) -> Body:
    spec = body.get("spec")
    if not isinstance(spec, dict):
        return body
    ports = [
        {"protocol": "TCP", "targetPort": port.get("port"), **port} if isinstance(port, dict) else port
        for port in spec.get("ports") or ()
    ]
    filled = {"type": "ClusterIP", "sessionAffinity": "None", **spec}
    return {**body, "spec": {**filled, "ports": ports} if ports else filled}


def _pod(body: Body) -> Body:
    spec = body.get("spec")
    filled = {"restartPolicy": "Always", **spec} if isinstance(spec, dict) else spec
    status = body.get("status") or {"phase": "Pending"}
    return {**body, "spec": filled, "status": status}


def _secret(body: Body) -> Body:
    plain = body.get("stringData")
    rest = {"type": "Opaque", **{k: v for k, v in body.items() if k != "stringData"}}
    if not isinstance(plain, dict):
        return rest
    encoded = {k: base64.b64encode(str(v).encode()).decode() for k, v in plain.items()}
    return {**rest, "data": {**(rest.get("data") or {}), **encoded}}


DEFAULTS: dict[str, Callable[[Body], Body]] = {
    "Namespace": _namespace,
    "Service": _service,
    "Pod": _pod,
    "Secret": _secret,
    definitions.KIND: definitions.with_defaults,
}
