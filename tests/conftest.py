"""Settings that every test shares."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")  # so that an Envoy may serve a whole module
def anyio_backend() -> str:
    return "asyncio"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kubeconfig", default="", help="hold this cluster too to tests/contract")
    parser.addoption("--context", default="", help="the context of --kubeconfig")
    parser.addoption("--seeds", type=int, default=40, help="play this many simulated worlds")
