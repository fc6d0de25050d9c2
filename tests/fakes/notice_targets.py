"""Targets of notifications as real HTTP servers: what came to them, and a Slack that keeps messages."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
from aiohttp import web

TOKEN = "tok-5f4dcc3b5aa765d61d8327deb882cf99"
WAIT_SECONDS = 20.0
Answer = Callable[[web.Request, Any], Any]


@dataclass
class Served:
    """One HTTP server, and what came to it."""

    url: str = ""
    came: list[tuple[web.Request, bytes]] = field(default_factory=list)

    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.came]

    def paths(self) -> list[str]:
        return [request.raw_path for request, _ in self.came]

    async def until(self, count: int) -> None:
        with anyio.fail_after(WAIT_SECONDS):
            while len(self.came) < count:  # noqa: ASYNC110 (the other side is not ours)
                await anyio.sleep(0.01)


@contextlib.asynccontextmanager
async def serving(
    answer: Answer = lambda request, body: {}, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Served]:
    """Answer everybody: a dict as JSON, a response as it is."""
    served = Served()

    async def handle(request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        served.came.append((request, raw))
        said = answer(request, _read(raw))
        if asyncio.iscoroutine(said):
            said = await said
        return said if isinstance(said, web.StreamResponse) else web.json_response(said)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    served.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield served
    finally:
        await runner.cleanup()


def _read(raw: bytes) -> Any:
    try:
        return json.loads(raw or b"null")
    except ValueError:
        return None


def signed_by(key: bytes, request: web.Request, body: bytes) -> bool:
    """Verify as the specification of Standard Webhooks says, written for this test alone."""
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(f"v1,{expected}", request.headers["webhook-signature"])


class FakeSlack:
    """Slack's API, as far as it is used: channels with messages that can be changed."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self.replies: list[dict[str, Any]] = []
        self.scopes = {"channels:history"}
        self.errors: list[str] = []

    def rollouts(self) -> list[str]:
        """The texts of the messages that follow a rollout."""
        return [str(body["text"]) for body in self.messages.values() if "metadata" in body]

    def __call__(self, request: web.Request, body: Any) -> Any:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        if self.errors:
            return {"ok": False, "error": self.errors.pop(0)}
        match request.path.removeprefix("/api/"):
            case "chat.postMessage" if body.get("thread_ts"):
                self.replies.append(body)
                return {"ok": True, "channel": "C1", "ts": f"r{len(self.replies)}"}
            case "chat.postMessage":
                ts = f"17724528{len(self.messages):02}.000100"
                self.messages[ts] = body
                return {"ok": True, "channel": "C1", "ts": ts}
            case "chat.update":
                if body["ts"] not in self.messages:
                    return {"ok": False, "error": "message_not_found"}
                self.messages[body["ts"]] = body
                return {"ok": True, "channel": "C1", "ts": body["ts"]}
            case "conversations.history":
                if "channels:history" not in self.scopes:
                    return {"ok": False, "error": "missing_scope"}
                found = [{"ts": ts, "metadata": m.get("metadata")} for ts, m in self.messages.items()]
                return {"ok": True, "messages": [{"ts": "0", "text": "hello"}, *reversed(found)]}
        raise AssertionError(request.path)
