"""The Services and Pods of a new playground.

Stage: playground (effect).
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import yaml

from gitmesh.kube.errors import StaleWriteError
from gitmesh.kube.protocol import ClusterClient
from gitmesh.model.kinds import BY_GROUP_KIND, POD, SERVICE


def workloads() -> list[dict[str, Any]]:
    """Return the objects, as `workloads.yaml` has them."""
    text = files("gitmesh.playground").joinpath("workloads.yaml").read_text("utf-8")
    return list(yaml.safe_load_all(text))


async def seed(client: ClusterClient) -> bool:
    """Create the workloads in a cluster that has neither Services nor Pods; say whether it did.

    A playground that was used before keeps what people made of it.
    """
    for kind in (POD, SERVICE):
        if (await client.list(kind)).items:
            return False
    for body in workloads():
        try:
            await client.create(BY_GROUP_KIND["", body["kind"]], body)
        except StaleWriteError:
            continue
    return True
