"""Asking for a fetch: a mark on the TrafficSource, seen by whichever replica leads.

Stage: apply (effect). See docs/decisions/0014-a-webhook-only-wakes.md.
"""

from __future__ import annotations

import secrets

from gitmesh.kube.protocol import ClusterClient
from gitmesh.model.kinds import TRAFFIC_SOURCE
from gitmesh.model.resource import ResourceKey
from gitmesh.model.source import SYNC_ANNOTATION


async def request_sync(client: ClusterClient, key: ResourceKey) -> str:
    """Ask the daemon to fetch now; the returned token comes back in status.lastHandledSync."""
    token = secrets.token_hex(8)
    patch = {"metadata": {"annotations": {SYNC_ANNOTATION: token}}}
    await client.merge_patch(TRAFFIC_SOURCE, key.namespace, key.name, patch)
    return token
