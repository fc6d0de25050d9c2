"""Upstreams that speak something other than plain HTTP/1.1: TLS, HTTP/2, bare TCP; and a name server.

They live in the test's own event loop. Each yields the port on which it listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from fakes.upstreams import Upstream

from gitmesh.engine.clock import SystemClock
from gitmesh.playground.envoy.admin import Admin
from gitmesh.playground.envoy.binary import find_envoy
from gitmesh.playground.envoy.files import Files
from gitmesh.playground.envoy.ports import claim
from gitmesh.playground.envoy.process import EnvoyProcess
from gitmesh.playground.translate.listeners import Address

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def http_server(
    *addresses: str, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[int]:
    """Serve HTTP/1.1 as `fakes.upstreams` does, inside TLS when there is a context."""
    async with contextlib.AsyncExitStack() as stack:
        for address in addresses:
            server = _serving(Upstream(address, tls).connection, address, port, tls)
            port = await stack.enter_async_context(server)
        yield port


@contextlib.asynccontextmanager
async def tcp_server(*addresses: str, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[int]:
    """Say `<address>\\n` to everyone who connects, then say back what they say."""
    async with contextlib.AsyncExitStack() as stack:
        for address in addresses:
            port = await stack.enter_async_context(_serving(_echo(address), address, port, tls))
        yield port


def _echo(address: str) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{address}\n".encode())
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    return serve


@contextlib.asynccontextmanager
async def _serving(serve: Serve, host: str, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    writers: set[asyncio.StreamWriter] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await serve(reader, writer)
        finally:
            writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(connection, host, port, ssl=tls, backlog=512)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def h2c_server(directory: Path, address: str, behind: int) -> AsyncIterator[int]:
    """Serve HTTP/2 without TLS, and nothing else, in front of the HTTP/1.1 upstream `address:behind`.

    It is an Envoy of its own. The upstream sees, and the client gets, `x-protocol: HTTP/2`.
    """
    claimed = claim({"h2c": Address(address, 0), "admin": Address("127.0.0.1", 0)})
    path = Files(directory).write("h2c", _h2c_bootstrap(claimed["h2c"], claimed["admin"], behind))
    admin = Admin(claimed["admin"])
    process = EnvoyProcess(find_envoy(), path, admin, SystemClock())
    await process.start()
    try:
        yield claimed["h2c"].port
    finally:
        await process.kill()
        await admin.close()


def _h2c_bootstrap(address: Address, admin: Address, behind: int) -> dict[str, Any]:
    def at(place: Address) -> dict[str, Any]:
        return {"address": {"socket_address": {"address": place.host, "port_value": place.port}}}

    protocol = [{"header": {"key": "x-protocol", "value": "%PROTOCOL%"}}]
    extensions = "type.googleapis.com/envoy.extensions.filters"
    router = {"@type": f"{extensions}.http.router.v3.Router"}
    host = {
        "name": "all",
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
    }
    manager = {
        "@type": f"{extensions}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "h2c",
        "codec_type": "HTTP2",
        "route_config": {
            "virtual_hosts": [host],
            "request_headers_to_add": protocol,
            "response_headers_to_add": protocol,
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    upstream = {
        "name": "upstream",
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": at(Address(address.host, behind))}]}],
        },
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    listener = {**at(address), "name": "h2c", "filter_chains": [{"filters": filters}]}
    return {"admin": at(admin), "static_resources": {"listeners": [listener], "clusters": [upstream]}}


class NameServer:
    """Answers questions for addresses (A) from `records`; `asked` counts them by name."""

    def __init__(self, records: dict[str, list[str]]) -> None:
        self.records = records
        self.asked: Counter[str] = Counter()
        self.address = Address("127.0.0.1", 0)

    def answer(self, query: bytes) -> bytes:
        number, question = query[:2], _question(query)
        name, kind = question[1], struct.unpack("!H", question[0][-4:-2])[0]
        self.asked[name] += 1
        known = self.records.get(name)
        found = [IPv4Address(text).packed for text in known or ()] if kind == 1 else []
        code = 0x8180 if known is not None else 0x8183  # no error, or no such name
        head = number + struct.pack("!HHHHH", code, 1, len(found), 0, 0)
        return head + question[0] + b"".join(b"\xc0\x0c\x00\x01\x00\x01\0\0\0\x01\0\x04" + a for a in found)


def _question(query: bytes) -> tuple[bytes, str]:
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
        at += query[at] + 1
    return query[12 : at + 5], ".".join(labels)


@contextlib.asynccontextmanager
async def name_server(**records: list[str]) -> AsyncIterator[NameServer]:
    """Serve DNS over UDP. Give names with dots as `**{"api.test": ["127.0.31.1"]}`."""
    server = NameServer(dict(records))

    class Protocol(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.transport.sendto(server.answer(data), addr)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Protocol, local_addr=("127.0.0.1", 0))
    server.address = Address(*transport.get_extra_info("sockname"))
    try:
        yield server
    finally:
        transport.close()
