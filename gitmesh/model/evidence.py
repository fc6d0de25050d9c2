"""What has been bet on a version's requests so far: the memory of a sequential test.

Stage: none (pure). Part of a rollout's record, so that a restart forgets no evidence.
"""

from __future__ import annotations

from gitmesh.model.values import ApiModel


class Bets(ApiModel):
    """The logarithms of the wealth of each bet, and how many checks with requests there were.

    `above` are the bets that the share of bad requests is above the bound, `below` that it is below; empty
    before the first check.
    """

    checks: int = 0
    above: tuple[float, ...] = ()
    below: tuple[float, ...] = ()
