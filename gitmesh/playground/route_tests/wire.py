"""Requests to the listeners of a test, on connections that are kept.

Stage: playground (effect). Headers and methods are sent as they are written, which libraries do not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import anyio

from gitmesh.istio.matching.request import Request
from gitmesh.playground.envoy.errors import EnvoyError
from gitmesh.playground.route_tests.echo import HEAD_BYTES_MAX
from gitmesh.playground.translate.doors import Address

_TIMEOUT_SECONDS = 15.0
_BODIES_MAX = 1 << 20
_OWN = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Received:
    """What came back. Header names are in lower case; values of repeated ones are joined."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """Sends requests. Close it."""

    def __init__(self) -> None:
        self._idle: dict[Address, deque[_Connection]] = {}

    async def send(self, to: Address, request: Request, extra: Mapping[str, str]) -> Received:
        """Send a request and return what comes back. Raises EnvoyError."""
        text = request_text(request, extra)
        idle = self._idle.setdefault(to, deque())
        try:
            with anyio.fail_after(_TIMEOUT_SECONDS):
                while idle:
                    connection = idle.pop()
                    try:
                        return await self._once(connection, request, text, idle)
                    except (OSError, asyncio.IncompleteReadError):
                        connection[1].close()  # it was closed while nobody used it
                fresh = await asyncio.open_connection(to.host, to.port, limit=HEAD_BYTES_MAX)
                return await self._once(fresh, request, text, idle)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise EnvoyError(f"no answer to {request.method} {request.url}: {error!r}") from error

    async def _once(
        self, connection: _Connection, request: Request, text: bytes, idle: deque[_Connection]
    ) -> Received:
        reader, writer = connection
        writer.write(text)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in head[1:]:
            name, _, value = line.partition(": ")
            if name:
                headers[name] = f"{headers[name]},{value}" if name in headers else value
        length = 0 if request.method == "HEAD" else int(headers.get("content-length", "0"))
        if length > _BODIES_MAX or "transfer-encoding" in headers:
            writer.close()
            return Received(int(head[0].split()[1]), headers, b"")
        body = await reader.readexactly(length)
        if headers.get("connection") == "close":
            writer.close()
        else:
            idle.append(connection)
        return Received(int(head[0].split()[1]), headers, body)

    def close(self) -> None:
        """Release connections."""
        for connections in self._idle.values():
            for _, writer in connections:
                writer.close()
        self._idle.clear()


def request_text(request: Request, extra: Mapping[str, str]) -> bytes:
    """Return a request in the absolute form, as a proxy is asked: so it has a scheme."""
    lines = [f"{request.method} {request.url} HTTP/1.1", f"Host: {request.authority}"]
    sent = {**request.headers, **extra}
    lines += [f"{name}: {value}" for name, value in sent.items() if name not in _OWN]
    if request.method in ("POST", "PUT", "PATCH"):
        lines.append("content-length: 0")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()
