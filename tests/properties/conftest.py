"""`--examples N` plays that many random worlds against a real Envoy, instead of what fits into a test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--examples", type=int, default=None, help="play this many random worlds")
    parser.addoption("--first", type=int, default=0, help="begin with the world of this seed")
