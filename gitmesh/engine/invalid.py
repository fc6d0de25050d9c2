"""A TrafficSource whose spec makes no sense: it is told so, and the others go on.

Stage: engine (shell).
"""

from __future__ import annotations

from gitmesh.apply.records import write_source_status
from gitmesh.engine.announce import tell
from gitmesh.engine.memory import SourceMemory
from gitmesh.engine.ports import Ports
from gitmesh.engine.status import invalid_status
from gitmesh.kube.errors import ClusterError
from gitmesh.model.resource import Resource


async def report_invalid(resource: Resource, problem: str, memory: SourceMemory, ports: Ports) -> None:
    """Write the problem into the status; what cannot be written now is written by a later pass."""
    status = invalid_status(resource, problem, ports.clock.now())
    await tell(memory, ports)
    try:
        stored = await write_source_status(ports.cluster, resource, status)
        ports.live.absorb(stored.body)
    except ClusterError as error:
        source = f"{resource.key.namespace}/{resource.key.name}"
        ports.log.warning("status not written", stage="engine", source=source, error=str(error))
