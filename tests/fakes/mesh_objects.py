"""Objects of a mesh, written as people write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from gitmesh.model.resource import ResourceSet, resource_from_body


def objects(text: str) -> ResourceSet:
    """Read YAML documents; an object without a namespace lives in `default`."""
    return resource_set(body for body in yaml.safe_load_all(text) if body)


def resource_set(bodies: Iterable[dict[str, Any]]) -> ResourceSet:
    found = {}
    for body in bodies:
        body["metadata"].setdefault("namespace", "default")
        resource = resource_from_body(body)
        found[resource.key] = resource
    return found


def service(name: str, port: int = 9080, namespace: str = "default") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": port}]},
    }


def pod(
    app: str, version: str, address: str, *, port: int | None = None, ready: bool = True
) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": port}] if port else []
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{app}-{version}",
            "namespace": "default",
            "labels": {"app": app, "version": version},
        },
        "spec": {"containers": [{"name": "main", "image": "sample", "ports": ports}]},
        "status": {
            "podIP": address,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def istio(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default", **metadata},
        "spec": spec,
    }


def subsets(host: str, *versions: str, **spec: Any) -> dict[str, Any]:
    named = [{"name": version, "labels": {"version": version}} for version in versions]
    return istio("DestinationRule", host, {"host": host, "subsets": named, **spec})


def to(host: str, subset: str = "", port: int = 0, **fields: Any) -> dict[str, Any]:
    """Return one entry of `route`."""
    chosen = {**({"subset": subset} if subset else {}), **({"port": {"number": port}} if port else {})}
    return {"destination": {"host": host, **chosen}, **fields}


def virtual_service(name: str, *rules: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return istio("VirtualService", name, {"hosts": [name], "http": list(rules), **spec})
