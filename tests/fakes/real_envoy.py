"""A real Envoy that serves objects, and a client that asks it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import anyio
from fakes.mesh_objects import resource_set

from gitmesh.playground.envoy.dataplane import DataPlane
from gitmesh.playground.envoy.snapshot import Snapshot
from gitmesh.playground.translate import translate
from gitmesh.playground.translate.listeners import Address

PATIENCE_SECONDS = 15


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: dict[str, str]

    @property
    def by(self) -> str:
        """The address of the upstream that answered; empty when Envoy did."""
        return self.headers.get("x-served-by", "")

    @property
    def seen(self) -> dict[str, Any]:
        """What the upstream received."""
        return json.loads(self.text)


class Client:
    def __init__(self, session: aiohttp.ClientSession, address: Address) -> None:
        self._session = session
        self._url = address.url

    async def ask(self, host: str, path: str = "/", method: str = "GET", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()} | {"Host": host}
        async with self._session.request(
            method, self._url + path, headers=named, allow_redirects=False
        ) as response:
            text = await response.text()
            return Answer(response.status, text, {k.lower(): v for k, v in response.headers.items()})


@contextlib.asynccontextmanager
async def client_of(address: Address, *, connections: int = 8) -> AsyncIterator[Client]:
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Client(session, address)


@contextlib.asynccontextmanager
async def envoy(directory: Path, *bodies: dict[str, Any], **options: Any) -> AsyncIterator[DataPlane]:
    async with DataPlane(directory / "envoy", **options) as plane:
        await plane.apply(snapshot_of(*bodies))
        yield plane


def snapshot_of(*bodies: dict[str, Any]) -> Snapshot:
    translation = translate(resource_set(bodies))
    return Snapshot(translation.clusters, translation.routes)


async def eventually(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait until the condition holds; fails when it does not in time."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 (another process has no event to wait for)
            await anyio.sleep(0.01)
