"""How many good versions are rolled back, and how many requests bad ones spoil until they are.

`make bench-verdicts` plays the same traffic to everybody of `judges`, prints a table and draws the curves.
The canary has a share of 5 %, for half an hour, or for two hours where there is little traffic; the limit is
1 %, and alpha 0.1 %. What no test at all can reach is told by `bounds`.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bounds import fewest_failures
from benchmarks.curves import Curve, draw
from benchmarks.judges import LIMIT, TICK_SECONDS, Run, settings

RUNS = 2_000
HORIZON_SECONDS = {10: 7_200, 100: 1_800, 1_000: 1_800, 10_000: 1_800}  # by rate
CANARY_SHARE = 0.05
ALPHA = 0.001
RATES = tuple(HORIZON_SECONDS)  # requests a second to all versions
GOOD = (0.001, 0.005, 0.009)
CLEARLY_GOOD = (0.001, 0.005)
LIMIT_ITSELF = 0.01  # allowed too; but those who compare a share with it cannot but be wrong half of the time
SHOWN = (*GOOD, LIMIT_ITSELF)
BAD = (0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0)
PART_MAX = 1 / 3
NEAR_MAX = 1.25  # of the bound, where a third is less than any test can reach
BEST = "best peer setting that spares 0.1 % to 0.9 %, as GitMesh does"
BEST_CLEARLY = "best peer setting that spares 0.1 % and 0.5 %"


@dataclass(frozen=True, slots=True)
class World:
    """One kind of traffic: how much of it, and which share of the canary's requests fails."""

    rate: int
    share: float


@dataclass(frozen=True, slots=True)
class Score:
    """What one judge did in all runs of one world: rollbacks, and failures served until then on average."""

    rolled_back: int
    bad_requests: float


Scores = dict[tuple[World, str], Score]


def poisson(mean: float) -> tuple[Sequence[int], Sequence[float]]:
    """Return the numbers that a Poisson distribution draws, and their chances added up."""
    width = 12 * math.sqrt(mean) + 12
    low, high = max(int(mean - width), 0), int(mean + width)
    numbers = range(low, high + 1)
    logs = [n * math.log(mean) - mean - math.lgamma(n + 1) for n in numbers] if mean else [0.0] * len(numbers)
    total, sums = 0.0, []
    for number, log in zip(numbers, logs, strict=True):
        total += math.exp(log) if mean else float(number == 0)
        sums.append(total)
    return numbers, sums


def play(job: tuple[World, int]) -> tuple[World, dict[str, Score]]:
    """Play all runs of one world to everybody."""
    world, runs = job
    chance = random.Random(f"{world.rate} {world.share}")
    mean = world.rate * CANARY_SHARE * TICK_SECONDS
    good, bad = poisson(mean * (1 - world.share)), poisson(mean * world.share)
    count = HORIZON_SECONDS[world.rate] // TICK_SECONDS
    everybody = settings()
    found: dict[str, list[tuple[bool, int]]] = {setting.name: [] for setting in everybody}
    for _ in range(runs):
        fine = chance.choices(good[0], cum_weights=good[1], k=count)
        failed = chance.choices(bad[0], cum_weights=bad[1], k=count)
        ticks = [(f + b, b) for f, b in zip(fine, failed, strict=True)]
        run = Run(ticks, chance.random())
        for setting in everybody:
            end = setting.judge(run)
            found[setting.name].append((end is not None, run.failed_until(end)))
    return world, {
        name: Score(sum(back for back, _ in runs_of), statistics.fmean(spoilt for _, spoilt in runs_of))
        for name, runs_of in found.items()
    }


def play_all(runs: int) -> Scores:
    """Play every world, on all processors."""
    worlds = [World(rate, share) for rate in RATES for share in (*SHOWN, *BAD)]
    scores: Scores = {}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for number, (world, found) in enumerate(pool.map(play, [(w, runs) for w in worlds]), start=1):
            scores |= {(world, name): score for name, score in found.items()}
            print(f"\r{number} of {len(worlds)} worlds", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return scores


def table(scores: Scores, runs: int) -> Iterable[str]:
    """Yield the table as Markdown: one part for each rate."""
    for rate in RATES:
        canary = rate * CANARY_SHARE
        yield f"### {rate:,} requests/s, {canary:g} of them to the canary"
        yield ""
        goods = " | ".join(f"{share:.1%}" for share in SHOWN)
        yield f"| | rolled back at {goods} | {' | '.join(f'failures served at {b:.0%}' for b in BAD)} |"
        yield "|---|" + "---:|" * (len(SHOWN) + len(BAD))
        rows = [(s.name, [s.name] * len(BAD)) for s in settings() if s.shown]
        rows.append((BEST, best_peers(scores, rate, runs, GOOD)))
        rows.append((BEST_CLEARLY, best_peers(scores, rate, runs, CLEARLY_GOOD)))
        for title, names in rows:
            yield "| " + " | ".join([title, *_cells(scores, rate, title, names, runs)]) + " |"
        yield ""


def _cells(scores: Scores, rate: int, title: str, names: Sequence[str], runs: int) -> Iterable[str]:
    for share in SHOWN:
        score = scores.get((World(rate, share), title))
        yield f"{score.rolled_back / runs:.2%}" if score else ""
    for share, name in zip(BAD, names, strict=True):
        if not name:
            yield "none is"
            continue
        score = scores[World(rate, share), name]
        missed = "" if score.rolled_back == runs else f" ({score.rolled_back / runs:.0%} found)"
        yield f"{score.bad_requests:,.1f}{missed}"


def best_peers(scores: Scores, rate: int, runs: int, good: Sequence[float]) -> list[str]:
    """Return, for each bad share, the peer setting that spoils least, of those that spare the good ones.

    A setting that lets a canary live of which every request fails is none.
    """
    allowed = _allowed(runs)
    careful = [
        setting.name
        for setting in settings()
        if setting.who != "GitMesh"
        and scores[World(rate, 1.0), setting.name].rolled_back == runs
        and all(scores[World(rate, share), setting.name].rolled_back <= allowed for share in good)
    ]
    if not careful:
        return [""] * len(BAD)
    found = []
    for bad in BAD:
        spoilt = {name: scores[World(rate, bad), name].bad_requests for name in careful}
        found.append(min(spoilt, key=spoilt.__getitem__))
    return found


def _allowed(runs: int) -> float:
    """Return how many of all runs may be wrong, with what chance may add to what is measured."""
    return ALPHA * runs + 3 * math.sqrt(ALPHA * runs)


def verdict(scores: Scores, runs: int) -> Iterable[tuple[str, str]]:
    """Yield what was asked for, and ok or MISS, or bound: no test can do that, and this one nearly does."""
    ours = settings()[0].name
    for rate in RATES:
        wrong = max(scores[World(rate, share), ours].rolled_back for share in SHOWN)
        yield (
            "ok" if wrong <= _allowed(runs) else "MISS",
            f"{rate:,}/s: {wrong} of {runs} rolled back wrongly (asked: {ALPHA:.1%})",
        )
        for bad, part, text in parts(scores, rate, runs, GOOD):
            mine, least = scores[World(rate, bad), ours].bad_requests, least_failures(rate, bad)
            beyond = part > 0 and mine / part * PART_MAX < least and mine <= NEAR_MAX * least
            mark = "ok" if part <= PART_MAX else "bound" if beyond else "MISS"
            yield mark, f"{rate:,}/s, {bad:.0%} fail: {text}; no test can serve fewer than {least:,.1f}"


def least_failures(rate: int, bad: float) -> float:
    """Return how many failures any test serves at least that is wrong as rarely, at as many requests."""
    return fewest_failures(round(rate * CANARY_SHARE * HORIZON_SECONDS[rate]), bad, LIMIT, ALPHA)


def parts(scores: Scores, rate: int, runs: int, good: Sequence[float]) -> Iterable[tuple[float, float, str]]:
    """Yield for each bad share which part of the best peer's failures is served, and how that is told."""
    ours = settings()[0].name
    for bad, peer in zip(BAD, best_peers(scores, rate, runs, good), strict=True):
        mine = scores[World(rate, bad), ours].bad_requests
        if not peer:
            yield bad, 0.0, "no peer setting is wrong as rarely"
            continue
        theirs = scores[World(rate, bad), peer].bad_requests
        yield (
            bad,
            mine / theirs,
            f"{mine:,.1f} failures served, {mine / theirs:.2f} of {theirs:,.1f} ({peer})",
        )


def curves(scores: Scores, rate: int, runs: int) -> list[Curve]:
    """Return the curves of one rate: failures served by the share that fails."""
    found = [
        Curve(setting.name, [(bad, scores[World(rate, bad), setting.name].bad_requests) for bad in BAD])
        for setting in settings()
        if setting.shown
    ]
    best = best_peers(scores, rate, runs, GOOD)
    points = [
        (b, scores[World(rate, b), name].bad_requests) for b, name in zip(BAD, best, strict=True) if name
    ]
    return [*found, Curve(BEST, points)] if points else found


def main() -> None:
    """Play, print, draw. Exit status 1 when something is not as asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--png", type=Path, default=Path("docs/verdicts.png"))
    asked = parser.parse_args()
    scores = play_all(asked.runs)
    print("\n".join(table(scores, asked.runs)))
    held = True
    for mark, text in verdict(scores, asked.runs):
        held = held and mark != "MISS"
        print(f"{mark:5} {text}")
    print("\nFor comparison, peer settings that spare only the clearly good (0.1 % and 0.5 %):")
    for rate in RATES:
        for bad, _, text in parts(scores, rate, asked.runs, CLEARLY_GOOD):
            print(f"      {rate:,}/s, {bad:.0%} fail: {text}")
    draw(asked.png, {f"{rate:,} requests/s": curves(scores, rate, asked.runs) for rate in RATES})
    print(f"curves: {asked.png}")
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
