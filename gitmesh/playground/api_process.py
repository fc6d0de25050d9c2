"""The API server as a child process that always comes back, on the same port and with the same objects.

Stage: playground (effect).
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import anyio
import structlog

from gitmesh.engine.clock import Clock
from gitmesh.playground.child import Child
from gitmesh.playground.errors import PlaygroundError
from gitmesh.playground.state import Files

START_SECONDS_MAX = 20.0
BACKOFF_SECONDS = (0.1, 5.0)
HEALTHY_SECONDS = 10.0
_POLL_SECONDS = 0.01

_log = structlog.get_logger("gitmesh.playground")


class ApiProcess:
    """Runs `python -m gitmesh.playground.apiserver`. `lives` counts how often it was started."""

    def __init__(self, files: Files, port: int, *, memory: bool, clock: Clock) -> None:
        self._files = files
        self._port = port
        self._database = ":memory:" if memory else str(files.database)
        self._clock = clock
        self._child: Child | None = None
        self._ready_file = files.directory / "api-address"
        self._log_file = files.logs / "apiserver.log"
        self._stopping = False
        self.lives = 0
        self.url = ""

    @property
    def pid(self) -> int | None:
        """The process id; None while there is no process."""
        return self._child.pid if self._child is not None and self._child.is_running else None

    async def start(self) -> None:
        """Start the server and wait until it answers. Raises PlaygroundError."""
        self._ready_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "gitmesh.playground.apiserver", "--port", str(self._port)]
        command += ["--db", self._database, "--token-file", str(self._files.token)]
        command += ["--kubeconfig-out", str(self._files.kubeconfig), "--ready-file", str(self._ready_file)]
        self._child = await Child.start("the API server", command, self._log_file)
        self.lives += 1
        deadline = self._clock.monotonic() + START_SECONDS_MAX
        while not self._ready_file.exists():
            if not self._child.is_running or self._clock.monotonic() > deadline:
                await self._child.stop()
                raise PlaygroundError(f"the API server did not start: {self._last_words()}")
            await self._clock.sleep(_POLL_SECONDS)
        self.url = self._ready_file.read_text("utf-8").strip()
        self._port = urlsplit(self.url).port or self._port

    async def supervise(self, on_return: Callable[[], Awaitable[None]]) -> None:
        """Bring the server back each time it ends; then call `on_return`."""
        backoff, longest = BACKOFF_SECONDS
        while self._child is not None:
            began = self._clock.monotonic()
            status = await self._child.wait()
            if self._stopping:
                return
            _log.warning("API server ended", status=status, log=str(self._log_file))
            if self._clock.monotonic() - began > HEALTHY_SECONDS:
                backoff = BACKOFF_SECONDS[0]
            await self._clock.sleep(backoff)
            backoff = min(backoff * 2, longest)
            try:
                await self.start()
                await on_return()
            except PlaygroundError as error:
                _log.error("API server does not come back", error=str(error))

    async def stop(self) -> None:
        """End the server for good."""
        self._stopping = True
        if self._child is not None:
            with anyio.CancelScope(shield=True):
                await self._child.stop()
        self._ready_file.unlink(missing_ok=True)

    def _last_words(self) -> str:
        try:
            lines = self._log_file.read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            lines = []
        said = lines[-1].removeprefix("error: ") if lines else "it said nothing"
        return f"{said} (log: {self._log_file})"
