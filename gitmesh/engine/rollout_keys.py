"""Which TrafficRollout belongs to which object.

Stage: engine (pure).
"""

from __future__ import annotations

from gitmesh.model.kinds import DESTINATION_RULE, TRAFFIC_ROLLOUT, VIRTUAL_SERVICE
from gitmesh.model.resource import ResourceKey

_OF_RULE = ".destinationrule"


def rollout_key(key: ResourceKey) -> ResourceKey:
    """Return the key of the TrafficRollout of an object: that of a VirtualService has its name."""
    suffix = _OF_RULE if key.kind == DESTINATION_RULE.kind else ""
    return TRAFFIC_ROLLOUT.key(key.namespace, key.name + suffix)


def object_key(key: ResourceKey) -> ResourceKey:
    """Return the key of the object that a TrafficRollout belongs to."""
    if key.name.endswith(_OF_RULE):
        return DESTINATION_RULE.key(key.namespace, key.name.removesuffix(_OF_RULE))
    return VIRTUAL_SERVICE.key(key.namespace, key.name)
