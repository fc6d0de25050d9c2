"""A storm of random valid changes under load loses no request that a stable configuration would have served.

.venv/bin/pytest tests/acceptance/test_storm.py --seconds 1200 [--storm SEED]
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import anyio
import pytest
from fakes.real_envoy import Bench, first_line, mesh_bench
from fakes.servers import tcp_server
from fakes.storm import MONGO_PORT, SHOP, STAMP, Places, Storm
from fakes.upstreams import upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.timeout(0)]

WEB, MONGO, CALLER = ("127.0.26.1", "127.0.26.2", "127.0.26.3"), "127.0.26.4", "127.0.26.5"
POD = "productpage-v1.default"
_SECONDS = 20


class Load:
    """Sends what every state serves, all the time; what fails is lost."""

    def __init__(self, bench: Bench, storm: Storm) -> None:
        self._bench = bench
        self._storm = storm
        self.served: Counter[str] = Counter()
        self.lost: list[str] = []

    async def run(self) -> None:
        tls = self._storm.authority.context()
        async with anyio.create_task_group() as tasks:
            for who in ("client", POD):
                for path in ("/", "/p1/x", "/p3", "/slow/30"):
                    tasks.start_soon(self._inside, who, path)
            tasks.start_soon(self._outside, "http", None)
            tasks.start_soon(self._outside, "https", tls)
            tasks.start_soon(self._fresh, "fresh, inside", self._one_inside)
            tasks.start_soon(self._fresh, "fresh, https", lambda: self._one_outside(tls))
            tasks.start_soon(self._fresh, "tcp", self._one_connection)

    def _note(self, what: str, status: int | str) -> None:
        if status == 200:
            self.served[what] += 1
        else:
            state = self._storm.state
            self.lost.append(f"{what}: {status} near state {state}")

    async def _inside(self, who: str, path: str) -> None:
        """Send over one connection that is kept, as the proxy of a Pod is asked."""
        proxy = self._bench.outbound(who).url
        async with aiohttp.ClientSession() as session:
            while True:
                what = f"{who} {path}"
                try:
                    async with session.get(f"http://reviews:9080{path}", proxy=proxy) as response:
                        await response.read()
                        self._note(what, response.status)
                except (aiohttp.ClientError, OSError) as error:
                    self._note(what, repr(error))
                await asyncio.sleep(0.002)

    async def _outside(self, scheme: str, tls: ssl.SSLContext | None) -> None:
        address = self._bench.gateway(443 if tls else 80)
        headers = {"Host": SHOP}
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(
                        f"{scheme}://{address}/",
                        headers=headers,
                        ssl=tls or True,
                        server_hostname=SHOP if tls else None,
                    ) as response:
                        await response.read()
                        self._note(scheme, response.status)
                except (aiohttp.ClientError, OSError) as error:
                    self._note(scheme, repr(error))
                await asyncio.sleep(0.002)

    async def _fresh(self, what: str, send: Callable[[], Awaitable[int | str]]) -> None:
        while True:
            try:
                self._note(what, await send())
            except Exception as error:
                self._note(what, repr(error))
            await asyncio.sleep(0.005)

    async def _one_inside(self) -> int:
        return (await self._bench.send("http://reviews.default:9080/", as_=POD)).status

    async def _one_outside(self, tls: ssl.SSLContext) -> int:
        return (await self._bench.enter(f"https://{SHOP}/", tls=tls)).status

    async def _one_connection(self) -> int | str:
        async with self._bench.tunnel(f"mongo:{MONGO_PORT}", as_=POD) as stream:
            if await first_line(stream) != MONGO:
                return "no greeting"
            await stream.send(b"hello\n")
            return 200 if await first_line(stream) == "hello" else "no echo"


async def test_a_storm_of_changes_loses_no_request(tmp_path: Path, request: pytest.FixtureRequest):
    seconds = request.config.getoption("--seconds", default=None) or _SECONDS
    seed = request.config.getoption("--storm", default=None) or int(time.time())
    with upstreams(*WEB) as web_port:
        async with tcp_server(MONGO) as mongo_port, mesh_bench(tmp_path) as bench:
            places = Places(WEB, web_port, MONGO, mongo_port, CALLER)
            storm = Storm(seed, places)
            await bench.apply(*storm.bodies())
            load = Load(bench, storm)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(load.run)
                await change_for(seconds, bench, storm, load)
                tasks.cancel_scope.cancel()
    print(f"{storm.state.number} changes, {load.served.total()} requests, {dict(load.served)}")  # noqa: T201
    told = "\n".join(load.lost[:10])
    assert not load.lost, f"seed {seed} (--storm {seed}): {len(load.lost)} lost of {load.served}\n{told}"
    assert len(load.served) == 13
    assert min(load.served.values()) > seconds
    assert storm.state.number > seconds / 2


async def change_for(seconds: float, bench: Bench, storm: Storm, load: Load) -> None:
    began = time.monotonic()
    while time.monotonic() - began < seconds and not load.lost:
        storm.change()
        await bench.apply(*storm.bodies())
        # What was acknowledged holds for every request that is sent from now on.
        wanted = str(storm.state.number)
        for answer in (
            await bench.send("http://reviews:9080/", as_=POD),
            await bench.send("http://reviews.default:9080/"),
            await bench.enter(f"http://{SHOP}/"),
            await bench.enter(f"https://{SHOP}/", tls=storm.authority.context()),
        ):
            assert (answer.status, answer.headers.get(STAMP)) == (200, wanted), storm.state
