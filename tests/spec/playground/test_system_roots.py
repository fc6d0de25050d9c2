"""Where the machine keeps the authorities that it trusts."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitmesh.playground import system_roots


def test_the_file_that_is_named_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    named = tmp_path / "roots.pem"
    named.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(named))
    assert system_roots.find_system_roots() == str(named)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing"))
    assert system_roots.find_system_roots() != str(tmp_path / "missing")


def test_a_machine_without_a_file_has_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setattr(system_roots, "_PLACES", ("/nowhere/at/all",))
    monkeypatch.setattr(
        system_roots.ssl, "get_default_verify_paths", lambda: type("Paths", (), {"cafile": None})
    )
    assert system_roots.find_system_roots() == ""
