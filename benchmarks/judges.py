"""Those who judge a canary, as the benchmark of verdicts compares them: GitMesh's two modes and two peers.

A judge looks at a run and says after which tick it has traffic taken away; None when it lets the canary live.
The peers are written from what their documentation and code say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from gitmesh.decide.sequential import Batch, bet, evidence_above, needed
from gitmesh.model.evidence import Bets

TICK_SECONDS = 5
LIMIT = 0.01  # the share of requests that may fail


class Run:
    """What happened to the canary in each tick, and what windows over it show."""

    def __init__(self, ticks: Sequence[tuple[int, int]], chance: float) -> None:
        self.count = len(ticks)
        self._chance = chance  # from 0 to 1: when in the first interval the first check is
        self._requests = [0, *accumulate(requests for requests, _ in ticks)]
        self._failed = [0, *accumulate(failed for _, failed in ticks)]
        self._looks: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        self._failing: dict[tuple[int, int], list[int]] = {}
        self._empty: dict[tuple[int, int], list[int]] = {}

    def failed_until(self, tick: int | None) -> int:
        """Return how many requests failed up to the end of a tick; None: in all of the run."""
        return self._failed[self.count if tick is None else tick]

    def looks(self, interval: int, window: int) -> list[tuple[int, int, int]]:
        """Return for each check: after which tick, and requests and failures of the window before it."""
        key = interval, window
        if key not in self._looks:
            every, back = interval // TICK_SECONDS, window // TICK_SECONDS
            self._looks[key] = [
                (end, self._requests[end] - self._requests[begin], self._failed[end] - self._failed[begin])
                for end in range(1 + int(self._chance * every), self.count + 1, every)
                for begin in (max(end - back, 0),)
            ]
        return self._looks[key]

    def failing(self, interval: int, window: int) -> list[int]:
        """Return which checks, by number, show more failures than the limit."""
        key = interval, window
        if key not in self._failing:
            looks = enumerate(self.looks(interval, window))
            self._failing[key] = [i for i, (_, requests, failed) in looks if failed > LIMIT * requests]
        return self._failing[key]

    def empty(self, interval: int, window: int) -> list[int]:
        """Return which checks, by number, show no requests."""
        key = interval, window
        if key not in self._empty:
            looks = enumerate(self.looks(interval, window))
            self._empty[key] = [i for i, (_, requests, _) in looks if not requests]
        return self._empty[key]


Judge = Callable[[Run], int | None]


@dataclass(frozen=True, slots=True)
class Setting:
    """One judge with its settings."""

    who: str
    what: str
    judge: Judge
    shown: bool = True  # has a line of its own in the table

    @property
    def name(self) -> str:
        return f"{self.who} {self.what}"


def sequential(interval: int, alpha: float = 0.001) -> Judge:
    """GitMesh, mode sequential: the code that the daemon runs."""
    enough = needed(alpha)

    def judge(run: Run) -> int | None:
        bets = Bets()
        for end, requests, failed in run.looks(interval, interval):
            bets = bet(bets, Batch(requests, failed), LIMIT)
            if evidence_above(bets) >= enough:
                return end
        return None

    return judge


def threshold(interval: int, window: int, failures: int, requests_min: int) -> Judge:
    """GitMesh, mode threshold: over the limit in so many checks in a row; too few requests are no check."""

    def judge(run: Run) -> int | None:
        row = 0
        for end, requests, failed in run.looks(interval, window):
            if requests >= requests_min:
                row = row + 1 if failed > LIMIT * requests else 0
            if row >= failures:
                return end
        return None

    return judge


def flagger(interval: int, window: int, threshold: int) -> Judge:
    """Flagger: failed checks add up and are never taken back; no requests fail a check as well.

    The count is looked at before what is new, so that a rollback takes one more interval.
    Source: flagger, pkg/controller/scheduler.go, `advanceCanary`; docs, "Metrics analysis".
    """

    def judge(run: Run) -> int | None:
        looks, failing = run.looks(interval, window), run.failing(interval, window)
        if empty := run.empty(interval, window):
            failing = sorted([*failing, *empty])
        after = failing[threshold - 1] + 1 if len(failing) >= threshold else len(looks)
        return looks[after][0] if after < len(looks) else None

    return judge


def argo(interval: int, window: int, failure_limit: int, errors_max: int = 4) -> Judge:
    """Argo Rollouts: fails with more failed measurements than the limit, or five errors in a row.

    A measurement without requests is an error.
    Source: argo-rollouts, analysis/analysis.go, `assessMetricStatus`; docs, "Analysis".
    """

    def judge(run: Run) -> int | None:
        looks, failing = run.looks(interval, window), run.failing(interval, window)
        ends = [failing[failure_limit]] if len(failing) > failure_limit else []
        empty = run.empty(interval, window)
        rows = (
            last for first, last in zip(empty, empty[errors_max:], strict=False) if last - first == errors_max
        )
        ends += [last for last in (next(rows, None),) if last is not None]
        return looks[min(ends)][0] if ends else None

    return judge


def settings() -> tuple[Setting, ...]:
    """Return everybody: GitMesh, and each peer at its default, its tightest, and much between."""
    ours = (
        Setting("GitMesh", "sequential, every 5 s (default)", sequential(5)),
        Setting("GitMesh", "threshold, 2 checks, every 5 s", threshold(5, 60, 2, 50)),
    )
    said = {(60, 1): " (default)", (10, 1): " (tightest)", (60, 10): " (tutorial)"}
    flaggers = [
        Setting(
            "Flagger",
            f"threshold {count}, every {interval} s{said.get((interval, count), '')}",
            flagger(interval, 60, count),
            (interval, count) in said,
        )
        for interval in (10, 30, 60)
        for count in (1, 2, 3, 5, 7, 10, 15, 20, 30, 60)
    ]
    spoken = {(60, 60, 0): " (default)", (5, 60, 0): " (tightest)", (300, 300, 3): " (documented)"}
    argos = [
        Setting(
            "Argo",
            f"failureLimit {count}, every {interval} s over {window} s"
            + spoken.get((interval, window, count), ""),
            argo(interval, window, count),
            (interval, window, count) in spoken,
        )
        for interval, window in ((5, 60), (10, 60), (10, 300), (60, 60), (60, 300), (300, 300))
        for count in (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 60, 120)
    ]
    return (*ours, *flaggers, *argos)
