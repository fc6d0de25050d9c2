"""The server behind every route of a test: it answers with the request as it arrived.

Stage: playground (effect).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gitmesh.playground.translate.doors import HOST, Address

ARRIVED = "x-gitmesh-arrived"
SEEN = "x-gitmesh-seen"  # the answer to HEAD, which has no body
HEAD_BYTES_MAX = 262_144
_BACKLOG = 512


class _Connection(asyncio.Protocol):
    """One connection of Envoy's; requests come one after the other, with no body that matters."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is answered on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request whose head is there."""
        assert self._transport is not None
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            self._transport.write(_answer(head))
        if len(self._buffer) > HEAD_BYTES_MAX:
            self._transport.close()


def _answer(head: bytes) -> bytes:
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        lower, value = name.strip().lower(), value.strip()
        headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
    seen = json.dumps({"path": path, "authority": headers.pop("host", ""), "headers": headers})
    if method == "HEAD":
        return f"HTTP/1.1 200 OK\r\n{ARRIVED}: 1\r\n{SEEN}: {seen}\r\ncontent-length: 0\r\n\r\n".encode()
    length = f"content-length: {len(seen)}"
    return f"HTTP/1.1 200 OK\r\n{ARRIVED}: 1\r\n{length}\r\n\r\n{seen}".encode()


@asynccontextmanager
async def echo_server() -> AsyncIterator[Address]:
    """Serve while the body runs; yields where."""
    server = await asyncio.get_running_loop().create_server(_Connection, HOST, 0, backlog=_BACKLOG)
    try:
        yield Address(HOST, server.sockets[0].getsockname()[1])
    finally:
        server.close()
