"""The playground that several acceptance tests share, and the daemon of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
from fakes.real_loop import Daemon, Play, World, a_world, running_daemon, running_play

_numbers = count(1)


@pytest.fixture(scope="session")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """`gitmesh play`, once for all. A test that kills a part of it waits until the part is back."""
    with running_play(tmp_path_factory.mktemp("loop") / "play") as running:
        yield running


@pytest.fixture(scope="module")
def daemon(play: Play, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """`gitmesh run`, once for a module. Modules that kill or tune a daemon run their own instead."""
    with running_daemon(play, tmp_path_factory.mktemp("daemon")) as running:
        yield running


@pytest.fixture
async def world(play: Play, tmp_path) -> AsyncIterator[World]:
    """A repository of its own, and the shared playground, left as it was found."""
    async with a_world(play, tmp_path, f"source-{next(_numbers)}") as world:
        yield world


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seconds", type=float, default=None, help="how long a storm of changes blows")
    parser.addoption("--storm", type=int, default=None, help="play the storm of this seed")
