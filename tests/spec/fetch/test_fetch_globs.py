"""Promises about patterns of paths."""

from __future__ import annotations

import pytest

from gitmesh.fetch.globs import matches, reaches


@pytest.mark.parametrize(
    ("pattern", "path", "meant"),
    [
        ("prod/**", "prod/a/b", True),
        ("prod", "prod/a/b", True),
        ("prod/**", "prod-old/a", False),
        ("*/prod", "eu/prod/a", True),
        ("*/prod", "eu/west/prod/a", False),
        ("**/prod", "eu/west/prod/a", True),
        ("prod/*.yaml", "prod/a.yaml", True),
        ("prod/*.yaml", "prod/x/a.yaml", False),
    ],
)
def test_a_pattern_means_files_and_a_folder_everything_in_it(pattern: str, path: str, meant: bool):
    assert matches(pattern, path) is meant
    if meant:
        folders = ["", *("/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 1))]
        assert all(reaches(pattern, folder) for folder in folders), "what is above may hide it"


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("prod/**", "dev"),
        ("eu/prod", "us"),
        ("eu/prod", "eu/dev"),
        ("eu*/prod", "us"),
        ("*/prod/**", "eu/dev"),
    ],
)
def test_a_pattern_does_not_reach_below_other_folders(pattern: str, folder: str):
    assert not reaches(pattern, folder)
