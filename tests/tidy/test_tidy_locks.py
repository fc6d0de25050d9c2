"""The lock files: versions and hashes, nothing about where a package is fetched from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names_of(requirements: list[str]) -> set[str]:
    return {canonical(re.match(r"[\w.-]+", text)[0]) for text in requirements}  # type: ignore[index]


def pinned(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {canonical(line.partition("==")[0]): line for line in lines}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address_and_no_index(lock: str):
    lines = [line.strip() for line in (ROOT / lock).read_text().splitlines()]
    options = [line for line in lines if line.startswith("-") and not line.startswith("--hash=sha256:")]
    assert options == []
    assert [line for line in lines if "://" in line or " @ " in line] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_has_one_version_and_its_hashes(lock: str):
    for name, line in pinned(lock).items():
        assert re.match(r"[a-zA-Z0-9._-]+==[0-9][^\s;]*(?: ; [^\\]+?)? +--hash=sha256:[0-9a-f]{64}", line), (
            name
        )
    assert pinned(lock)


def test_the_locks_cover_everything_that_pyproject_asks_for():
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    runtime = [*project["dependencies"], *project["optional-dependencies"]["playground"], *groups["build"]]
    assert names_of(runtime) - pinned("requirements.lock").keys() == set()
    everything = pinned("requirements.lock").keys() | pinned("requirements-dev.lock").keys()
    assert names_of(groups["dev"]) - everything == set()


def test_both_locks_agree_on_what_they_share():
    one, other = pinned("requirements.lock"), pinned("requirements-dev.lock")
    version = re.compile(r"==([^\s;]+)")
    differing = {
        name
        for name in one.keys() & other.keys()
        if version.search(one[name])[1] != version.search(other[name])[1]  # type: ignore[index]
    }
    assert differing == set()
