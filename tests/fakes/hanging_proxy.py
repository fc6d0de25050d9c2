"""An HTTP proxy before one server. It keeps a list of requests, denies some, and holds others back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from math import inf

import aiohttp
from aiohttp import web

DENIED = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "message": 'admission webhook "keep.example.com" denied the request: not before Monday',
    "reason": "Forbidden",
    "code": 403,
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Holds = Callable[[str, str], float]  # (method, path) -> seconds


class HangingProxy:
    """Passes everything on. `holds` says how long a request waits; it is sent on also when nobody waits."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.holds: Holds = lambda method, path: 0
        self.held: list[tuple[str, str]] = []
        self.denies: Callable[[str, str], bool] = lambda method, path: False  # as an admission webhook does
        self.repeats = False  # what it denies
        self.seen: list[str] = []  # `GET /api/v1/services?watch=true`, in order
        self.address = ""
        self._late: set[asyncio.Task[tuple[int, bytes]]] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body, url = await request.read(), f"{self._target}{request.raw_path}"
        self.seen.append(f"{request.method} {request.raw_path}")
        if self.denies(request.method, request.path):
            answer = (
                {**DENIED, "message": f"{DENIED['message']}: {body.decode()}"} if self.repeats else DENIED
            )
            return web.json_response(answer, status=403)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")}
        seconds = self.holds(request.method, request.path) if request.method != "GET" else 0
        if seconds:
            self.held.append((request.method, request.path))
            task = asyncio.ensure_future(self._later(seconds, request.method, url, headers, body))
            self._late.add(task)
            status, answer = await asyncio.shield(task)
            return web.Response(status=status, body=answer, content_type="application/json")
        return await self._pass_on(request, url, headers, body)

    async def _later(
        self, seconds: float, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes]:
        await (asyncio.Event().wait() if seconds == inf else asyncio.sleep(seconds))
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, headers=headers, data=body, ssl=False) as answer,
        ):
            return answer.status, await answer.read()

    async def _pass_on(
        self, request: web.Request, url: str, headers: dict[str, str], body: bytes
    ) -> web.StreamResponse:
        timeout = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(request.method, url, headers=headers, data=body, ssl=False) as answer,
        ):
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
            await response.prepare(request)
            with suppress(ConnectionError):
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
            return response

    async def close(self) -> None:
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)


@asynccontextmanager
async def hanging_proxy(target: str) -> AsyncIterator[HangingProxy]:
    """Run a proxy on a free port of this machine."""
    proxy = HangingProxy(target)
    async with on_a_free_port(proxy.handle) as proxy.address:
        try:
            yield proxy
        finally:
            await proxy.close()


@asynccontextmanager
async def on_a_free_port(handle: Handler) -> AsyncIterator[str]:
    """Serve every request by `handle`; yield the address."""
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
