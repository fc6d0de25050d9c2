"""What GitMesh writes about itself: where a rollout stands, and how far a source has got.

Stage: apply (effect).
"""

from __future__ import annotations

from typing import Any

from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.model.kinds import TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, Kind
from gitmesh.model.resource import Resource, ResourceKey, resource_from_body
from gitmesh.model.rollout import RolloutRecord
from gitmesh.model.source import FIELD_MANAGER, OWNER_ANNOTATION, TrafficSourceStatus

MANAGED_BY = "app.kubernetes.io/managed-by"


async def write_record(
    client: ClusterClient, key: ResourceKey, record: RolloutRecord, live: Resource | None
) -> Resource:
    """Store where a rollout stands, as the status of the TrafficRollout with the namespace and name of `key`.

    `live` is the TrafficRollout as it was read; None: there is none yet. Writes nothing when it says so
    already. Raises StaleWriteError when somebody wrote meanwhile: what was decided may not hold any more.
    """
    if live is None:
        live = resource_from_body(await client.create(TRAFFIC_ROLLOUT, _empty_rollout(key, record.source)))
    return await _write_status(client, TRAFFIC_ROLLOUT, live, record.as_json())


async def write_source_status(client: ClusterClient, live: Resource, status: TrafficSourceStatus) -> Resource:
    """Store how far a source has got. Writes nothing when it says so already. Raises StaleWriteError."""
    return await _write_status(client, TRAFFIC_SOURCE, live, status.as_json())


async def _write_status(
    client: ClusterClient, kind: Kind, live: Resource, status: dict[str, Any]
) -> Resource:
    if live.body.get("status") == status:
        return live
    return resource_from_body(await client.replace_status(kind, {**live.body, "status": status}))


def _empty_rollout(key: ResourceKey, source: str) -> Body:
    return {
        "apiVersion": TRAFFIC_ROLLOUT.api_version,
        "kind": TRAFFIC_ROLLOUT.kind,
        "metadata": {
            "namespace": key.namespace,
            "name": key.name,
            "labels": {MANAGED_BY: FIELD_MANAGER},
            "annotations": {OWNER_ANNOTATION: source},
        },
        "spec": {},
    }
