"""What DestinationRules say about one service to one client: its subsets, and the policy of each port.

Stage: playground translation (pure). Source: istio/istio pilot/pkg/networking/core, MergeSubsetTrafficPolicy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gitmesh.playground.translate.fields import Field

ROOT_NAMESPACE = "istio-system"
_PORT_BLOCKS = ("connectionPool", "loadBalancer", "outlierDetection", "tls")
_BLOCKS = (*_PORT_BLOCKS, "tunnel", "proxyProtocol", "retryBudget")

Policy = Mapping[str, Field]  # block name -> the field that holds it


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: its namespace and labels decide which rules it sees. A router is a gateway's proxy."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    router: bool = False


@dataclass(frozen=True, slots=True)
class Subset:
    """A named part of a service's endpoints. No labels: all of them."""

    name: str
    labels: Mapping[str, str]
    policy: Field

    @property
    def version(self) -> str:
        """What telemetry calls destination_version."""
        return self.labels.get("version") or self.name


@dataclass(frozen=True, slots=True)
class Destination:
    """What all DestinationRules together say about one service to one client.

    `variant` is empty for what the service's own namespace sees, and a short stable name for anything else.
    """

    subsets: tuple[Subset, ...] = ()
    policy: Field | None = None
    variant: str = ""
    client: Client | None = None
    selects_clients: bool = False  # the rule has a workloadSelector

    def policy_of(self, port: int, subset: Subset | None) -> Policy:
        """Return the blocks that hold for one port of one subset (None: the whole service).

        A port's own settings replace the whole policy; a subset overrides block by block.
        """
        blocks = _blocks(self.policy, port) if self.policy else {}
        return {**blocks, **_blocks(subset.policy, port)} if subset else blocks

    def subset(self, name: str) -> Subset | None:
        """Return the subset of a name."""
        return next((subset for subset in self.subsets if subset.name == name), None)

    def policies(self) -> Iterator[Policy]:
        """Yield every policy that holds for some port of some subset."""
        written = [self.policy] if self.policy else []
        written += [subset.policy for subset in self.subsets]
        numbers = {0}  # every port that has no settings of its own
        for policy in written:
            numbers.update(entry["port"]["number"].integer() for entry in policy["portLevelSettings"].items())
        for number in sorted(numbers):
            for subset in (None, *self.subsets):
                yield self.policy_of(number, subset)


def _blocks(policy: Field, port: int) -> Policy:
    for settings in policy["portLevelSettings"].items():
        if settings["port"]["number"].integer() == port:
            return {name: settings[name] for name in _PORT_BLOCKS}
    return {name: block for name in _BLOCKS if (block := policy[name]).present}
