"""Whole worlds, each from one seed: accidents of every kind, safety at every write, and then peace.

`make simulate SEEDS=100000` plays more of them, `make simulate SEED=7` one of them with its log.
"""

from __future__ import annotations

import pytest
from play import cores, play, play_all, regressions


@pytest.mark.timeout(1200)
def test_whatever_happens_what_is_live_stays_safe_and_becomes_right(request: pytest.FixtureRequest):
    seeds = dict.fromkeys([*regressions(), *range(request.config.getoption("--seeds"))])
    failed = [played for played in play_all(seeds, cores()) if played.problem]
    shown = sorted(failed, key=lambda played: len(played.lines))[:3]  # the shortest say most
    assert not failed, f"{len(failed)} of {len(seeds)} worlds failed\n" + "\n".join(p.story for p in shown)


def test_one_seed_is_one_world():
    assert play(3).lines == play(3).lines
