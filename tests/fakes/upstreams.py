"""Sample upstreams in a process of their own: each its own 127.x address, all on one port, as Pods are.

Run as a program: `upstreams.py ADDRESS...`; it prints the port and serves until its input ends. A request
is answered with what was received. `/status/N` answers N, `/slow/MS` waits, `/flaky/N/...` fails N times
with 503, `/__seen` tells which paths came. `connection: close` in a request is honoured; `x-connection` says
on which connection, counted from 1, a request came.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator


@contextlib.contextmanager
def upstreams(*addresses: str) -> Iterator[int]:
    """Serve on every address; yields the port."""
    child = subprocess.Popen(
        [sys.executable, __file__, *addresses], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        yield int(child.stdout.readline())
    finally:
        child.stdin.close()
        child.stdout.close()
        child.wait(timeout=10)


class Upstream:
    def __init__(self, address: str, tls: ssl.SSLContext | None = None) -> None:
        self.address = address
        self.is_tls = tls is not None
        self.seen: Counter[str] = Counter()
        self.connections = 0

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = _joined(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
                await reader.readexactly(int(headers.get("content-length", "0")))
                headers["x-connection"] = str(number)
                method, path, _ = head[0].split(" ")
                if self.is_tls:
                    headers |= {"x-client-certificate": _subject(writer)}
                status, body = await self.answer(method, path, headers)
                body = b"" if method == "HEAD" else body
                extra = (
                    f"x-served-by: {self.address}\r\nx-upstream: yes\r\ncontent-length: {len(body)}\r\n\r\n"
                )
                writer.write(f"HTTP/1.1 {status} Any\r\n{extra}".encode() + body)
                await writer.drain()
                if headers.get("connection") == "close":
                    break
        writer.close()

    async def answer(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        if path == "/__seen":
            return 200, json.dumps(self.seen).encode()
        self.seen[path] += 1
        status, words = 200, path.split("/")
        if words[1] == "status":
            status = int(words[2])
        elif words[1] == "slow":
            await asyncio.sleep(int(words[2]) / 1000)
        elif words[1] == "flaky" and self.seen[path] <= int(words[2]):
            status = 503
        about = {"by": self.address, "method": method, "path": path, "headers": headers}
        return status, json.dumps(about).encode()


def _joined(lines: Iterable[list[str]]) -> dict[str, str]:
    """Return headers by name; the values of repeated lines with a comma between them."""
    headers: dict[str, str] = {}
    for name, value in lines:
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _subject(writer: asyncio.StreamWriter) -> str:
    """Return the common name of the certificate that the client showed; empty without one."""
    certificate = writer.get_extra_info("peercert") or {}
    return next((value for [(name, value)] in certificate.get("subject", ()) if name == "commonName"), "")


async def main(addresses: list[str]) -> None:
    servers, port = [], 0
    for address in addresses:
        server = await asyncio.start_server(Upstream(address).connection, address, port, backlog=512)
        port = server.sockets[0].getsockname()[1]
        servers.append(server)
    print(port, flush=True)  # noqa: T201 (this is how the parent learns it)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # without the noise of connections that are still open


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
