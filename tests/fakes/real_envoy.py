"""A real Envoy that serves objects, and clients that ask it: as a Pod, or from outside through a gateway."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import anyio.abc
import yarl
from fakes.mesh_objects import resource_set

from gitmesh.model.resource import ResourceSet
from gitmesh.playground.envoy.dataplane import Addresses, DataPlane
from gitmesh.playground.envoy.probe import Probe
from gitmesh.playground.envoy.snapshot import Snapshot
from gitmesh.playground.translate import Translation, translate
from gitmesh.playground.translate.doors import Address, Doors
from gitmesh.playground.translate.memo import Memo

PATIENCE_SECONDS = 15
ANY = Address("127.0.0.1", 0)


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
        """What the upstream received: `by`, `method`, `path`, `headers`."""
        return json.loads(self.text)


async def read(response: aiohttp.ClientResponse) -> Answer:
    text = await response.text()
    return Answer(response.status, text, {k.lower(): v for k, v in response.headers.items()})


class Client:
    def __init__(self, session: aiohttp.ClientSession, address: Address) -> None:
        self._session = session
        self._url = address.url

    async def ask(self, host: str, path: str = "/", method: str = "GET", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()} | {"Host": host}
        async with self._session.request(
            method, self._url + path, headers=named, allow_redirects=False
        ) as response:
            return await read(response)


@contextlib.asynccontextmanager
async def client_of(address: Address, *, connections: int = 8) -> AsyncIterator[Client]:
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Client(session, address)


@contextlib.asynccontextmanager
async def envoy(directory: Path, *bodies: dict[str, Any], **options: Any) -> AsyncIterator[DataPlane]:
    """Serve objects. `snapshot_of` makes what to apply next: give it `plane.addresses.doors`."""
    options.setdefault("addresses", Addresses(outbound=ANY))
    async with DataPlane(directory / "envoy", **options) as plane:
        await plane.apply(snapshot_of(*bodies, doors=plane.addresses.doors))
        yield plane


def snapshot_of(*bodies: dict[str, Any], doors: Doors = Doors()) -> Snapshot:  # noqa: B008 (a constant)
    return Snapshot.of(translate(resource_set(bodies), doors=doors))


class TunnelRefusedError(Exception):
    """Envoy answered CONNECT with another status than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"CONNECT is answered with {status}")
        self.status = status


class Bench:
    """A mesh on a test bench: `apply` objects, then `send` requests as a Pod, or `enter` by a gateway.

    Pods are called `name.namespace`; `client` is the built-in client (namespace `default`, no labels). Every
    request has a connection of its own, so that it meets what was applied last.
    """

    def __init__(self, plane: DataPlane, base: tuple[dict[str, Any], ...]) -> None:
        self.plane = plane
        self.probe = Probe(plane)
        self.base = base
        self.translation: Translation = translate({})
        self._memo = Memo()
        self._resources: ResourceSet = {}
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0))

    async def apply(self, *bodies: dict[str, Any]) -> Translation:
        """Serve the base objects and these. What was applied before goes; Raises Rejected."""
        fresh = resource_set((*self.base, *bodies))
        # As in the playground: what did not change is the very same object.
        self._resources = {
            key: old if (old := self._resources.get(key)) and old.body == item.body else item
            for key, item in fresh.items()
        }
        self.translation = translate(self._resources, doors=self.plane.addresses.doors, memo=self._memo)
        await self.plane.apply(Snapshot.of(self.translation))
        return self.translation

    def reports(self) -> list[str]:
        """Return what of the objects was not translated."""
        return [str(item) for item in self.translation.untranslated]

    def outbound(self, as_: str) -> Address:
        """Return the listener of a Pod."""
        for proxy in self.translation.proxies:
            if proxy.name == as_:
                assert proxy.outbound is not None, f"{as_} is a gateway"
                return proxy.outbound
        raise LookupError(f"no proxy {as_}: {[proxy.name for proxy in self.translation.proxies]}")

    async def send(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | list[tuple[str, str]] = (),  # type: ignore[assignment]
        as_: str = "client",
        data: str | bytes = b"",
        tls: ssl.SSLContext | None = None,
    ) -> Answer:
        """Send a request as a Pod. An https URL goes through CONNECT, with TLS from end to end."""
        async with self._session.request(
            method,
            yarl.URL(url, encoded=True),
            headers=headers,
            data=data or None,
            proxy=self.outbound(as_).url,
            ssl=tls or True,
            allow_redirects=False,
        ) as response:
            return await read(response)

    async def spread(self, url: str, count: int, **options: Any) -> Counter[str]:
        """Send many requests, some at a time; count by upstream, or by status where Envoy answered."""
        found: Counter[str] = Counter()
        slots = anyio.CapacityLimiter(8)

        async def one() -> None:
            async with slots:
                answer = await self.send(url, **options)
                found[answer.by or str(answer.status)] += 1

        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(one)
        return found

    @contextlib.asynccontextmanager
    async def tunnel(self, to: str, *, as_: str = "client") -> AsyncIterator[anyio.abc.SocketStream]:
        """Connect to `host:port` as a Pod, for what is not HTTP. Raises TunnelRefusedError."""
        address = self.outbound(as_)
        async with await anyio.connect_tcp(address.host, address.port) as stream:
            await stream.send(f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n".encode())
            head = b""
            while not head.endswith(b"\r\n\r\n"):  # byte by byte: what follows is for the test
                head += await stream.receive(1)
            status = int(head.split()[1])
            if status != 200:
                raise TunnelRefusedError(status)
            yield stream

    def gateway(self, port: int = 80, name: str = "") -> Address:
        """Return where the port of a gateway's Service is; the first gateway that has it when not named."""
        for proxy in self.translation.proxies:
            if port in proxy.servers and name in ("", proxy.name):
                address = proxy.servers[port].address
                assert address is not None, f"port {port} is not open: {self.reports()}"
                return address
        doors = self.plane.addresses.doors
        return {80: doors.gateway, 443: doors.gateway_tls}[port]

    async def enter(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] = {},
        at: Address | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> Answer:
        """Send a request to a gateway, as from outside. Its port is the URL's; the host need not exist.

        https: with the host as SNI, and checked by `tls`.
        """
        there = yarl.URL(url, encoded=True)
        address = at or self.gateway(there.port or 80)
        path = there.raw_path_qs
        async with self._session.request(
            method,
            yarl.URL(f"{there.scheme}://{address}{path}", encoded=True),
            headers={"Host": there.raw_authority, **headers},
            ssl=tls or True,
            server_hostname=there.raw_host if there.scheme == "https" else None,
            allow_redirects=False,
        ) as response:
            return await read(response)

    async def close(self) -> None:
        await self._session.close()


@contextlib.asynccontextmanager
async def mesh_bench(directory: Path, *base: dict[str, Any], **options: Any) -> AsyncIterator[Bench]:
    """Serve `base`: Services, Pods and what else every test of a module needs. Options are DataPlane's."""
    async with envoy(directory, **options) as plane:
        bench = Bench(plane, base)
        try:
            await bench.apply()
            yield bench
        finally:
            await bench.close()


async def first_line(stream: anyio.abc.ByteReceiveStream) -> str:
    """Return what came up to the end of the line; empty when the other side hung up."""
    found = b""
    with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError), anyio.fail_after(5):
        while not found.endswith(b"\n"):
            found += await stream.receive(1)
    return found.decode().strip()


async def eventually(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait until the condition holds; fails when it does not in time."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 (another process has no event to wait for)
            await anyio.sleep(0.01)
