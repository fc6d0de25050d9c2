"""Promises about reading a directory as it stands."""

import subprocess

import pytest

from gitmesh.fetch.directory import read_directory
from gitmesh.fetch.errors import FetchError
from gitmesh.model.config import GitLimits


def test_a_directory_is_read_as_a_commit_would_be(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.yaml").write_text("c: 1\n")
    (tmp_path / "a.yaml").write_text("a: 1\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.yaml").write_text("no")
    (tmp_path / "link.yaml").symlink_to("/etc/passwd")
    (tmp_path / "dir").symlink_to("/etc")
    revision = read_directory(tmp_path, GitLimits())
    assert list(revision.files) == ["a.yaml", "b/c.yaml"]
    assert revision.files["a.yaml"].content == b"a: 1\n"
    assert (revision.commit, revision.branch) == ("", "working tree")
    assert [d.code for d in revision.diagnostics] == ["GM001", "GM001"]


def test_the_blob_id_is_the_one_that_git_gives(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\n")
    expected = subprocess.run(["git", "hash-object", str(file)], capture_output=True, text=True, check=True)
    assert read_directory(file, GitLimits()).files["a.yaml"].blob == expected.stdout.strip()


def test_a_missing_path_and_a_file_that_is_no_manifest_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(FetchError, match="no file or directory"):
        read_directory(tmp_path / "absent", GitLimits())
    with pytest.raises(FetchError, match=r"\.yaml"):
        read_directory(tmp_path / "notes.txt", GitLimits())


def test_the_limits_hold_for_a_directory_too(tmp_path):
    (tmp_path / "big.yaml").write_text("x" * 101)
    revision = read_directory(tmp_path, GitLimits(file_bytes_max=100))
    assert [d.code for d in revision.diagnostics] == ["GM003"]
    assert revision.files == {}
