"""Create or change a TrafficSource, as a person would with kubectl.

Stage: apply (effect).
"""

from __future__ import annotations

from gitmesh.kube.protocol import ClusterClient
from gitmesh.model.kinds import GITMESH_V1ALPHA1, TRAFFIC_SOURCE
from gitmesh.model.source import TrafficSourceSpec


async def ensure_source(client: ClusterClient, namespace: str, name: str, spec: TrafficSourceSpec) -> None:
    """Make the TrafficSource be there with this spec."""
    body = {
        "apiVersion": GITMESH_V1ALPHA1,
        "kind": TRAFFIC_SOURCE.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec.model_dump(mode="json", by_alias=True, exclude_defaults=True),
    }
    await client.apply(TRAFFIC_SOURCE, body, force=True)
