"""The CustomResourceDefinitions of a cluster.

Stage: observe (effect).
"""

from __future__ import annotations

from gitmesh.kube.errors import NotFoundError, RejectedError
from gitmesh.kube.protocol import ClusterClient
from gitmesh.model.kinds import CUSTOM_RESOURCE_DEFINITION
from gitmesh.model.resource import Resource, resource_from_body

# A definition can have hundreds of kilobytes.
_PAGE_SIZE = 20


async def read_definitions(client: ClusterClient) -> tuple[Resource, ...]:
    """Return all CustomResourceDefinitions; `read_schemas` makes schemas of them.

    What is not served, or may not be read, is not known. Any other failure raises ClusterError.
    """
    try:
        listing = await client.list(CUSTOM_RESOURCE_DEFINITION, page_size=_PAGE_SIZE)
    except (NotFoundError, RejectedError):
        return ()
    head = {"apiVersion": CUSTOM_RESOURCE_DEFINITION.api_version, "kind": CUSTOM_RESOURCE_DEFINITION.kind}
    # The elements of a list do not repeat what they are.
    return tuple(resource_from_body({**head, **body}) for body in listing.items)
