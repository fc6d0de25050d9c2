"""An HTTP proxy before an API server that writes down who asked for what, and does harm as it is told."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
from aiohttp import web
from fakes.hanging_proxy import on_a_free_port

Harm = Literal["", "hold", "drop before", "drop after", "truncate", "409", "429", "500", "503"]
SAID = {"409": "the object has been modified", "429": "too many requests"}
LEASES = "/leases"


@dataclass(slots=True)
class Seen:
    """One request, and what the API server made of it; status 0: it never got there."""

    agent: str
    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    began: float
    harm: Harm = ""
    status: int = 0
    answered: float = 0.0
    version: str = ""  # of the object as stored

    @property
    def wrote(self) -> bool:
        """True when it changed something, other than a lease, an event, or in a dry run."""
        dry = "dryRun" in self.query or bool(self.body.get("dryRun"))
        aside = LEASES in self.path or "/events" in self.path
        return self.method != "GET" and 200 <= self.status < 300 and not dry and not aside


@dataclass
class WitnessProxy:
    """Passes everything on, but for what `harms` says of a request. `cut` are agents without network."""

    target: str
    address: str = ""
    harms: Callable[[Seen], Harm] = lambda seen: ""
    delay: Callable[[Seen], float] = lambda seen: 0.0
    cut: set[str] = field(default_factory=set)
    allows: Callable[[Seen], bool] = lambda seen: True  # what the authorizer says
    seen: list[Seen] = field(default_factory=list)
    _freed: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.Task[Any]] = field(default_factory=set)
    _session: aiohttp.ClientSession | None = None

    def writes(self, agents: Iterable[str] = ()) -> list[Seen]:
        """Return what changed something, in the order in which the API server answered."""
        chosen = set(agents)
        found = [seen for seen in self.seen if seen.wrote and (not chosen or seen.agent in chosen)]
        return sorted(found, key=lambda seen: seen.answered)

    def held(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.harm == "hold" and not seen.status]

    def free(self) -> None:
        """Let go what was held."""
        self._freed.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        agent = request.headers.get("User-Agent", "").partition("(")[2].rstrip(")")
        body = _json(raw)
        seen = Seen(agent, request.method, request.path, dict(request.query), body, time.monotonic())
        self.seen.append(seen)
        if agent in self.cut:
            return _dropped(request)
        if not self.allows(seen):
            seen.status = 403
            return _refused(403, f"{request.method} {request.path} is forbidden")
        seen.harm = self.harms(seen)
        await asyncio.sleep(self.delay(seen))
        if seen.harm in ("409", "429", "500", "503"):
            return _refused(int(seen.harm), SAID.get(seen.harm, "the server is unwell"))
        if seen.harm == "drop before":
            return _dropped(request)
        if request.query.get("watch"):
            return await self._stream(request, seen, agent)
        work = asyncio.ensure_future(self._ask(request, raw, seen))
        self._open.add(work)
        status, answer = await asyncio.shield(work)  # it is carried out also when nobody waits for it
        if agent in self.cut:
            seen.harm = "drop after"
        if seen.harm == "drop after":
            return _dropped(request)
        if seen.harm == "truncate":
            response = web.StreamResponse(headers={"Content-Type": "application/json"}, status=status)
            response.content_length = len(answer)
            await response.prepare(request)
            await response.write(answer[: len(answer) // 2])
            return _dropped(request)
        return web.Response(status=status, body=answer, content_type="application/json")

    async def _ask(self, request: web.Request, raw: bytes, seen: Seen) -> tuple[int, bytes]:
        if seen.harm == "hold":
            await self._freed.wait()
        async with self._request(request, raw) as answer:
            content = await answer.read()
            seen.status, seen.answered = answer.status, time.monotonic()
            seen.version = str((_json(content).get("metadata") or {}).get("resourceVersion", ""))
            return answer.status, content

    async def _stream(self, request: web.Request, seen: Seen, agent: str) -> web.StreamResponse:
        async with self._request(request, b"") as answer:
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
            await response.prepare(request)
            with suppress(ConnectionError):
                async for chunk in answer.content.iter_any():
                    if agent in self.cut:
                        return _dropped(request)
                    half = len(chunk) // 2 if seen.harm == "truncate" else len(chunk)
                    await response.write(chunk[:half])
                    if seen.harm:
                        return _dropped(request)
                await response.write_eof()
            return response

    def _request(self, request: web.Request, raw: bytes) -> Any:
        if self._session is None:
            timeout, connector = aiohttp.ClientTimeout(total=None), aiohttp.TCPConnector(ssl=False, limit=0)
            self._session = aiohttp.ClientSession(timeout=timeout, connector=connector)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")}
        url = f"{self.target}{request.raw_path}"
        return self._session.request(request.method, url, headers=headers, data=raw)

    async def close(self) -> None:
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        if self._session is not None:
            await self._session.close()


def _json(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw) if raw else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _dropped(request: web.Request) -> web.Response:
    """Close the connection without another word."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _refused(status: int, said: str) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": said, "code": status}
    return web.json_response(body, status=status, headers={"Retry-After": "1"} if status == 429 else {})


@asynccontextmanager
async def witness_proxy(target: str) -> AsyncIterator[WitnessProxy]:
    """Run a proxy on a free port of this machine."""
    proxy = WitnessProxy(target)
    async with on_a_free_port(proxy.handle) as proxy.address:
        try:
            yield proxy
        finally:
            await proxy.close()
