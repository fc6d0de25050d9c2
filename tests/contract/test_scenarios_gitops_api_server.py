"""An API server that is busy or unwell is asked again as it wishes, and errors name what they are about."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

from gitmesh.kube import transport
from gitmesh.kube.client import KubeClient
from gitmesh.kube.connect import connect
from gitmesh.kube.errors import ClusterError
from gitmesh.model.kinds import VIRTUAL_SERVICE

pytestmark = pytest.mark.anyio
BODY = {"metadata": {"namespace": "default", "name": "reviews"}}
BUSY = {"kind": "Status", "status": "Failure", "message": "too many requests, please try again later"}

Answer = Callable[[int], tuple[int, dict[str, str], Any]]


class Server:
    """Answers the n-th request as it is told, and counts."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.count = answer, 0

    async def handle(self, request: web.Request) -> web.Response:
        if request.path == "/api":
            return web.json_response({})
        self.count += 1
        status, headers, body = self.answer(self.count)
        return web.json_response(body, status=status, headers=headers)


@asynccontextmanager
async def a_client(
    directory: Path, answer: Answer, seconds: float = 5
) -> AsyncIterator[tuple[KubeClient, Server]]:
    server, app = Server(answer), web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    config = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": f"http://{host}:{port}"}}],
    }
    (directory / "kubeconfig").write_text(json.dumps(config))
    client = await connect(directory / "kubeconfig", timeout=timedelta(seconds=seconds), environ={})
    try:
        yield client, server
    finally:
        await client.close()
        await runner.cleanup()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let no time pass; note for how long it would have been waited."""
    noted: list[float] = []

    async def sleep(seconds: float) -> None:
        noted.append(seconds)

    monkeypatch.setattr(transport.anyio, "sleep", sleep)
    monkeypatch.setattr(transport.random, "random", lambda: 0.5)
    return noted


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_g21_a_request_is_repeated_when_the_server_says_so(
    tmp_path: Path, waits: list[float], status: int
):
    def answer(number: int) -> tuple[int, dict[str, str], Any]:
        return (status, {"Retry-After": "1"}, BUSY) if number < 4 else (200, {}, BODY)

    async with a_client(tmp_path, answer) as (client, server):
        await client.apply(VIRTUAL_SERVICE, BODY)
    assert server.count == 4
    assert waits == [1.05] * 3


@pytest.mark.parametrize(
    ("status", "headers", "requests"),
    [
        (429, {}, 1),
        (500, {}, 1),
        (409, {"Retry-After": "1"}, 1),
        (429, {"Retry-After": "soon"}, 1),
        (429, {"Retry-After": "3600"}, 1),
        (503, {"Retry-After": "0"}, transport.ATTEMPTS_MAX),
    ],
    ids=["429 alone", "500 alone", "a conflict", "no number", "longer than the request may take", "for ever"],
)
async def test_g21_what_is_not_repeated_is_an_error_that_names_verb_and_object(
    tmp_path: Path, waits: list[float], status: int, headers: dict[str, str], requests: int
):
    async with a_client(tmp_path, lambda number: (status, headers, BUSY)) as (client, server):
        with pytest.raises(ClusterError, match="apply VirtualService default/reviews at http://") as caught:
            await client.apply(VIRTUAL_SERVICE, BODY)
    assert "too many requests" in str(caught.value)
    assert caught.value.retryable
    assert caught.value.status == status
    assert server.count == requests


async def test_g21_waiting_ends_with_the_time_of_the_request(tmp_path: Path):
    def busy(number: int) -> tuple[int, dict[str, str], Any]:
        return 429, {"Retry-After": "1"}, BUSY

    async with a_client(tmp_path, busy, seconds=0.5) as (client, _):
        with anyio.fail_after(5), pytest.raises(ClusterError, match="too many requests"):
            await client.apply(VIRTUAL_SERVICE, BODY)
