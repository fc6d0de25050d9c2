"""Whole worlds, each from one seed: accidents of every kind, safety at every write, and then peace.

`pytest tests/simulation --seeds=1000` plays more of them, `--seed=N -s` one of them with its log.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.daemon_world import without_threads
from fakes.virtual_time import run_virtually
from world import Simulation

STEPS = 120


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def regressions() -> list[int]:
    lines = Path(__file__).with_name("regressions.txt").read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line.strip() and not line.startswith("#")]


def play(seed: int) -> Simulation:
    worlds: list[Simulation] = []

    async def whole() -> None:
        worlds.append(Simulation(seed, STEPS))
        await worlds[0].play()

    try:
        run_virtually(whole)
    except BaseException as error:
        lines = worlds[0].world.lines if worlds else []
        pytest.fail(f"seed {seed}: {_first(error)!r}\n" + "\n".join(lines[-150:]), pytrace=False)
    return worlds[0]


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        one, count = metafunc.config.getoption("--seed"), metafunc.config.getoption("--seeds")
        seeds = [one] if one is not None else [*regressions(), *range(count)]
        metafunc.parametrize("seed", list(dict.fromkeys(seeds)))


def test_whatever_happens_what_is_live_stays_safe_and_becomes_right(
    seed: int, request: pytest.FixtureRequest
):
    simulation = play(seed)
    if request.config.getoption("--seed") is not None:
        print("\n".join(simulation.world.lines))  # noqa: T201 (the log was asked for)


def test_one_seed_is_one_world():
    assert play(3).world.lines == play(3).world.lines
