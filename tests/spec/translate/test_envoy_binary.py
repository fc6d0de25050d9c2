"""Without an Envoy for this machine there is one clear answer."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from gitmesh.playground.envoy.binary import find_envoy
from gitmesh.playground.envoy.errors import NoEnvoyError


def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)


def an_executable(path: Path) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_variable_comes_first(tmp_path: Path):
    mine = an_executable(tmp_path / "mine")
    assert find_envoy({"GITMESH_ENVOY": str(mine), "PATH": ""}) == mine


def test_a_wrong_variable_is_named_with_its_value(tmp_path: Path):
    with pytest.raises(NoEnvoyError, match=r"no-such-file.*GITMESH_ENVOY"):
        find_envoy({"GITMESH_ENVOY": str(tmp_path / "no-such-file")})


def test_the_path_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    without_package(monkeypatch)
    found = an_executable(tmp_path / "envoy")
    assert find_envoy({"PATH": str(tmp_path)}) == found


def test_no_envoy_at_all_says_what_to_install_and_where_it_runs(monkeypatch: pytest.MonkeyPatch):
    without_package(monkeypatch)
    with pytest.raises(NoEnvoyError) as caught:
        find_envoy({"PATH": ""})
    for part in ("pip install 'gitmesh-controller[playground]'", "GITMESH_ENVOY", "glibc 2.31"):
        assert part in str(caught.value)
