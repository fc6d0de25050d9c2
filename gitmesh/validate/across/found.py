"""What a rule about several objects yields: findings, and what it could not look at.

Stage: validate (pure).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gitmesh.model.diagnostic import Diagnostic, Severity

SERVICES, PODS, SECRETS = "Services", "Pods", "Secrets"
AUTHENTICATIONS = "RequestAuthentications"


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A rule that had something to look at, and lacks the objects of a kind."""

    needs: str
    code: str


@dataclass(frozen=True, slots=True)
class Selected:
    """A VirtualService has this RolloutPolicy."""

    policy: str


Found = Diagnostic | Unchecked | Selected

# What rests on Services, Pods and Secrets: in a cluster they come and go without a commit.
RESTS_ON_CONTEXT = frozenset(
    (
        "GM202",
        "GM203",
        "GM206",
        "GM207",
        "GM208",
        "GM209",
        "GM210",
        "GM211",
        "GM216",
        "GM226",
        "GM227",
        "GM228",
        "GM230",
    )
)

# What files alone cannot know for sure: it may be in the cluster, where another repository has put it.
RESTS_ON_CLUSTER = frozenset(("GM209", "GM210", "GM211"))


def softened(finding: Diagnostic) -> Diagnostic:
    """Return the finding as a warning at most."""
    return replace(finding, severity=Severity.WARNING) if finding.severity is Severity.ERROR else finding
