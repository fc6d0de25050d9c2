"""The facts of any object.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.kinds import NETWORKING
from gitmesh.model.resource import Resource
from gitmesh.validate.across.facts import Fact
from gitmesh.validate.across.other_facts import OTHER_FACTS
from gitmesh.validate.across.traffic_facts import TRAFFIC_FACTS


def facts_of(resource: Resource) -> tuple[Fact, ...]:
    """Return what an object tells others. Read leniently: what is wrong with it is reported once, there."""
    group, kind = resource.key.group, resource.key.kind
    read = TRAFFIC_FACTS.get(kind) if group == NETWORKING else OTHER_FACTS.get((group, kind))
    return tuple(read(resource)) if read else ()
