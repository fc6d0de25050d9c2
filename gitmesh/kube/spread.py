"""Several leases spread evenly over replicas, and never two layouts of them at work at the same time.

Stage: none (effect). Source: kubernetes.io, Coordinated leader election: a holder is asked to give way.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.model.kinds import LEASE

GROUP_LABEL = "gitmesh.dev/lease-group"
LAYOUT_ANNOTATION = "gitmesh.dev/layout"
WANTED_ANNOTATION = "gitmesh.dev/wanted-by"


class Candidate(Protocol):
    """One of the elections of this process."""

    is_leader: bool
    holder: str


@dataclass(slots=True)
class Spread:
    """What the elections of one process know of one another."""

    identity: str
    elections: list[Candidate] = field(default_factory=list)
    _asked: Candidate | None = None

    @property
    def led(self) -> int:
        """How many this process leads."""
        return sum(one.is_leader for one in self.elections)

    def wants(self, one: Candidate) -> bool:
        """Say whether to ask the holder of this one for it: it has at least two more than we have.

        One at a time: what was asked for may be on its way.
        """
        if self._asked is not None and self._asked is not one and self._may_come(self._asked):
            return False
        counts = Counter(other.holder for other in self.elections if other.holder)
        asks = bool(one.holder) and counts[one.holder] >= self.led + 2
        self._asked = one if asks else (None if self._asked is one else self._asked)
        return asks

    def _may_come(self, one: Candidate) -> bool:
        return not one.is_leader and one.holder not in ("", self.identity)

    def gives_way(self, live: Body) -> bool:
        """Say whether somebody asks for what we hold, and we have more than one."""
        wanted = wanted_by(live)
        return wanted not in ("", self.identity) and self.led > 1


def wanted_by(live: Body) -> str:
    """Return who asks for a Lease."""
    return str(((live.get("metadata") or {}).get("annotations") or {}).get(WANTED_ANNOTATION) or "")


async def other_layouts(client: ClusterClient, namespace: str, group: str, layout: str) -> list[Body]:
    """Return the leases of the same sources in another layout that somebody holds. Raises ClusterError."""
    found = []
    for live in (await client.list(LEASE, namespace=namespace)).items:
        metadata = live.get("metadata") or {}
        grouped = (metadata.get("labels") or {}).get(GROUP_LABEL) == group
        known = (metadata.get("annotations") or {}).get(LAYOUT_ANNOTATION)
        if grouped and known != layout and (live.get("spec") or {}).get("holderIdentity"):
            found.append(live)
    return found
