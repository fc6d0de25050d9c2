"""What became of the commit that makes Git say again what is live after a rollback.

Stage: none (pure). Part of a rollout's record.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from gitmesh.model.values import ApiModel


class RevertState(StrEnum):
    """How far a revert has got."""

    PENDING = "Pending"  # tried again later
    DONE = "Done"
    REFUSED = "Refused"  # the TrafficSource does not allow it
    FAILED = "Failed"  # a person has to do it


class Revert(ApiModel):
    """One revert: of which content (its hash), and how far it has got. Each content is reverted once."""

    content: str
    state: RevertState
    at: datetime
    branch: str = ""  # where the commit was pushed to
    commit: str = ""
    message: str = ""
