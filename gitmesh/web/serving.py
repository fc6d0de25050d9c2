"""A server on one address until cancelled; and one that strangers may speak to, which waits for nobody.

Stage: none (face). Nothing here knows what is served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from gitmesh.model.errors import EdgeError
from gitmesh.model.receivers import ReceiverLimits

_ANSWER_SECONDS = 15.0  # beside the time that a request has to arrive


class _Server(uvicorn.Server):
    """A server that leaves signals to the daemon."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(application: Starlette, host: str, port: int, option: str = "--listen") -> None:
    """Serve until cancelled. Raises EdgeError when the port is taken."""
    config = uvicorn.Config(
        application, host=host, port=port, log_level="warning", log_config=None, lifespan="off"
    )
    await _run(config, option)


async def serve_strangers(
    application: Starlette, host: str, port: int, limits: ReceiverLimits, option: str = "--receiver"
) -> None:
    """Serve until cancelled, with bounds on headers, connections and how long each may last."""
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        log_level="error",
        log_config=None,  # as all of the log
        lifespan="off",
        access_log=False,
        server_header=False,
        ws="none",
        proxy_headers=False,
        http=_bounded(limits.request_timeout.total_seconds() + _ANSWER_SECONDS),
        h11_max_incomplete_event_size=limits.header_bytes_max,
        limit_concurrency=limits.connections_max,
    )
    await _run(config, option)


async def _run(config: uvicorn.Config, option: str) -> None:
    try:
        await _Server(config).serve()
    except SystemExit as error:  # uvicorn exits when it cannot bind
        raise EdgeError(
            f"cannot listen on {config.host}:{config.port}: it is in use or not allowed; "
            f"choose another with {option}"
        ) from error


def _bounded(seconds: float) -> type[H11Protocol]:
    """Return a protocol whose connections end after so many seconds, whatever they do: uvicorn itself waits
    for ever for headers that do not come."""

    class Bounded(H11Protocol):
        _end: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._end = self.loop.call_later(seconds, transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._end is not None:
                self._end.cancel()
            super().connection_lost(exc)

    return Bounded
