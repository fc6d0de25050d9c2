"""Virtual time for everything in this folder."""

from __future__ import annotations

import pytest
from fakes.daemon_world import without_threads


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)
