"""Promises about the directory of a playground."""

import json
import os

import pytest

from gitmesh.playground.errors import PlaygroundError
from gitmesh.playground.state import claimed, default_directory


def test_the_default_directory_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_directory() == tmp_path / "gitmesh" / "play"


def claim(directory):
    with claimed(directory):
        pass


def test_a_directory_holds_one_playground_at_a_time(tmp_path):
    with claimed(tmp_path / "play"):
        with pytest.raises(PlaygroundError, match=f"already runs in .*process {os.getpid()}.*--dir"):
            claim(tmp_path / "play")
        claim(tmp_path / "other")
    claim(tmp_path / "play")


def run_badly(directory):
    with claimed(directory) as files:
        files.write_state({"mesh": "http://127.0.0.1:1"})
        assert json.loads(files.state.read_text()) == {"mesh": "http://127.0.0.1:1"}
        raise RuntimeError("boom")


def test_the_state_is_there_while_it_runs_and_gone_also_when_it_ends_badly(tmp_path):
    with pytest.raises(RuntimeError, match="boom"):
        run_badly(tmp_path)
    assert not (tmp_path / "playground.json").exists()


def test_a_reset_forgets_objects_and_keeps_the_token(tmp_path):
    with claimed(tmp_path) as files:
        for name in ("objects.db", "objects.db-wal", "objects.db-shm", "token"):
            (tmp_path / name).touch()
        files.forget_objects()
        assert sorted(path.name for path in tmp_path.glob("o*")) == []
        assert files.token.exists()


def test_a_directory_that_cannot_be_made_is_an_error_with_advice(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PlaygroundError, match=r"cannot use the directory .* choose another one with --dir"):
        claim(tmp_path / "file" / "play")
