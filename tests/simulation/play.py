"""Plays simulated worlds, each from one seed: `python tests/simulation/play.py --seeds 1000`, or `--seed 7`.

One seed is one world, so a seed that fails can be played again, with everything that happened in it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":  # pytest finds them by itself
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import structlog
from anyio import to_thread
from fakes.daemon_world import without_threads
from fakes.virtual_time import run_virtually
from world import Simulation

STEPS = 50  # things that happen before the accidents end
LINES_MAX = 400
REGRESSIONS = Path(__file__).with_name("regressions.txt")


@dataclass(frozen=True, slots=True)
class Played:
    """What became of one seed; `problem` is empty when all was well."""

    seed: int
    problem: str
    lines: tuple[str, ...]

    @property
    def story(self) -> str:
        """What went wrong, how to see it again, and what happened before."""
        shown = "\n".join(self.lines[-LINES_MAX:])
        return f"seed {self.seed}: {self.problem}\nreplay: {replay_command(self.seed)}\n{shown}\n"


def replay_command(seed: int) -> str:
    return f"make simulate SEED={seed}"


def regressions() -> list[int]:
    """The seeds that once failed."""
    lines = REGRESSIONS.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line.strip() and not line.startswith("#")]


def play(seed: int) -> Played:
    """Play one world from its beginning to its end."""
    worlds: list[Simulation] = []

    async def whole() -> None:
        worlds.append(Simulation(seed, STEPS))
        await worlds[0].play()

    problem = ""
    try:
        run_virtually(whole)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        problem = repr(_first(error))
    return Played(seed, problem, tuple(worlds[0].world.lines if worlds else ()))


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def play_all(seeds: Iterable[int], jobs: int) -> Iterator[Played]:
    """Play many worlds, side by side; yields each as it ends, the log only of those that failed."""
    if jobs == 1:
        prepare()
        yield from map(_briefly, seeds)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=prepare) as pool:
        yield from pool.imap_unordered(_briefly, seeds, chunksize=4)


def _briefly(seed: int) -> Played:
    played = play(seed)
    return played if played.problem else Played(seed, "", ())


def prepare() -> None:
    """Make this process one that plays: virtual time knows nothing of threads, and logs are the world's."""
    without_threads(_Patch())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


class _Patch:
    def setattr(self, target: object, name: str, value: Callable[..., object]) -> None:
        assert target is to_thread
        setattr(target, name, value)


def cores() -> int:
    return os.cpu_count() or 1


def main() -> int:
    """Play, tell how far it is, and show every failure. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="play this many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this one world and show its log")
    parser.add_argument("--jobs", type=int, default=cores())
    given = parser.parse_args()
    say = sys.stdout.write
    if given.seed is not None:
        prepare()
        played = play(given.seed)
        say("\n".join(played.lines) + f"\nseed {played.seed}: {played.problem or 'all is well'}\n")
        return bool(played.problem)
    began, failed, count = time.perf_counter(), [], 0
    for count, played in enumerate(play_all(range(given.first, given.first + given.seeds), given.jobs), 1):
        if played.problem:
            failed.append(played.seed)
            say(played.story)
        if count % 500 == 0:
            say(f"{count} worlds, {len(failed)} failed, {time.perf_counter() - began:.0f} s\n")
            sys.stdout.flush()
    say(
        f"{count} worlds, {len(failed)} failed: {sorted(failed)}\n"
        if failed
        else f"{count} worlds, all well\n"
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
