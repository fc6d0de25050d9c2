"""Names and metadata as pilot gives them, and the metadata by which GitMesh finds its objects again.

Stage: playground translation (pure).
"""

from __future__ import annotations

from typing import Any

from gitmesh.model.resource import ResourceKey

Envoy = dict[str, Any]  # one Envoy configuration message, in its JSON form


def cluster_name(host: str, port: int, subset: str = "", variant: str = "") -> str:
    """Return the name of an outbound cluster. Source: istio.io, `istioctl proxy-config clusters`.

    One Envoy is every proxy here, so `variant` tells apart what DestinationRules say to different clients.
    """
    name = f"outbound|{port}|{subset}|{host}"
    return f"{name}@{variant}" if variant else name


def without_variant(name: str) -> str:
    """Return a cluster's name as people know it from Istio."""
    return name.partition("@")[0]


def route_metadata(key: ResourceKey, rule: str) -> Envoy:
    """Return a route's metadata: the VirtualService it comes from, and which rule of it."""
    config = f"/apis/{key.group}/v1/namespaces/{key.namespace}/virtual-service/{key.name}"
    source = f"{key.namespace}/{key.name}"
    return {
        "filter_metadata": {
            "istio": {"config": config},
            "gitmesh": {"source": source, "rule": rule},
        }
    }


def typed(name: str, message: str, **fields: Any) -> Envoy:
    """Return an extension with its typed configuration."""
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{message}", **fields}}
