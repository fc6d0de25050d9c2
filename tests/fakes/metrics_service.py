"""A metrics service of the kind `web`: it counts requests as live weights share them, and lets some fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from fakes.hanging_proxy import on_a_free_port

from gitmesh.kube.client import KubeClient
from gitmesh.kube.errors import NotFoundError
from gitmesh.model.kinds import VIRTUAL_SERVICE

REQUESTS_PER_SECOND = 500.0


@dataclass
class MetricsService:
    """`failing(host, version)` is the share of requests that fail, in percent."""

    address: str = ""
    client: KubeClient | None = None
    failing: Callable[[str, str], float] = lambda host, version: 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        about = await request.json()
        self.asked.append(about)
        share = await self._share(about["host"].partition(".")[0], about["subset"])
        requests = REQUESTS_PER_SECOND * (about["to"] - about["from"]) * share
        failed = requests * self.failing(about["host"], about["version"]) / 100
        return web.json_response({"requests": round(requests), "failed": round(failed)})

    async def _share(self, name: str, subset: str) -> float:
        """Return which share of its requests a subset of a host gets now."""
        assert self.client is not None, "whose weights?"
        try:
            body = await self.client.get(VIRTUAL_SERVICE, "default", name)
        except NotFoundError:
            return 0.0
        found = body["spec"]["http"][0]["route"]
        return sum(d.get("weight", 100) for d in found if d["destination"].get("subset") == subset) / 100


@asynccontextmanager
async def metrics_service() -> AsyncIterator[MetricsService]:
    """Run one on a free port of this machine."""
    service = MetricsService()
    async with on_a_free_port(service.handle) as service.address:
        yield service
