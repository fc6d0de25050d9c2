"""Liveness, readiness and metrics over HTTP.

Stage: none (face). Read-only, so it asks for no token; it binds to loopback unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


def app(
    ready: Callable[[], bool], shards: Callable[[], Sequence[str]], registry: CollectorRegistry
) -> Starlette:
    """Return the application; `ready` says whether the cluster is known and reachable.

    `shards` are lines about who works on what. A replica that waits is ready too: it takes over at any time.
    """

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        well = ready()
        lines = ("ok" if well else "the API server cannot be reached", *shards())
        return PlainTextResponse("".join(f"{line}\n" for line in lines), status_code=200 if well else 503)

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
    )
