"""A change to a file is heard of, however it comes about: by writing, by renaming, by the swap of a link."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.file_watch import file_watch


def mounted(directory: Path, name: str, text: str) -> Path:
    """Write a file as the kubelet mounts a ConfigMap: a link by way of a link that is swapped."""
    version = directory / f"..{name}"
    version.mkdir()
    (version / "config.yaml").write_text(text)
    (directory / "..data_tmp").symlink_to(version.name)
    os.rename(directory / "..data_tmp", directory / "..data")
    link = directory / "config.yaml"
    if not link.is_symlink():
        link.symlink_to("..data/config.yaml")
    return link


def write(directory: Path) -> None:
    (directory / "config.yaml").write_text("settle: 2s")


def rename(directory: Path) -> None:
    (directory / "new").write_text("settle: 2s")
    os.replace(directory / "new", directory / "config.yaml")


def swap(directory: Path) -> None:
    mounted(directory, "2", "settle: 2s")


@pytest.mark.parametrize(("begin", "change"), [(write, write), (write, rename), (swap, None)])
def test_a_change_is_heard(
    tmp_path: Path, begin: Callable[[Path], None], change: Callable[[Path], None] | None
):
    if begin is swap:
        mounted(tmp_path, "1", "settle: 1s")
    else:
        begin(tmp_path)
    heard = threading.Event()
    with file_watch([tmp_path / "config.yaml"], heard.set):
        (change or begin)(tmp_path)
        assert heard.wait(10)
    assert (tmp_path / "config.yaml").read_text() == "settle: 2s"


def test_a_file_behind_a_link_into_another_folder_is_watched_too(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "real.yaml").write_text("settle: 1s")
    (tmp_path / "config.yaml").symlink_to("elsewhere/real.yaml")
    heard = threading.Event()
    with file_watch([tmp_path / "config.yaml"], heard.set):
        (tmp_path / "elsewhere" / "real.yaml").write_text("settle: 2s")
        assert heard.wait(10)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path):
    with (
        pytest.raises(FetchError, match=r"cannot watch .*missing: .*; check the path"),
        file_watch([tmp_path / "missing" / "config.yaml"], lambda: None),
    ):
        pass
