"""One Envoy as a child process: started, listened to, brought back when it dies, ended gently.

Stage: playground (effect).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio

from gitmesh.engine.clock import Clock
from gitmesh.playground.envoy.admin import Admin
from gitmesh.playground.envoy.errors import EnvoyError, EnvoyStartError

LINES_MAX = 500
DRAIN_SECONDS = 45  # how long a listener that goes lets its connections end. Source: istio.io, pilot-agent
_LINE_BYTES_MAX = 262_144
_START_SECONDS_MAX = 15.0
_DRAIN_SECONDS_MAX = 3.0
_STOP_SECONDS_MAX = 3.0
_BACKOFF_SECONDS = (0.05, 5.0)
_HEALTHY_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1
_ADMIN_REQUESTS = "http.admin.downstream_rq_active"  # the one that asks is active itself
# Loaded here, because between fork and exec nothing may be loaded.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Line:
    """One line that Envoy wrote. `number` counts all lines of all its lives."""

    number: int
    level: str
    logger: str
    text: str


class EnvoyProcess:
    """Keeps one Envoy running. `lives` counts how often it was started."""

    def __init__(
        self,
        binary: Path,
        bootstrap: str,
        admin: Admin,
        clock: Clock,
        on_line: Callable[[Line], None] | None = None,
    ) -> None:
        self._command = (
            *(str(binary), "-c", bootstrap, "--concurrency", "1", "--disable-hot-restart"),
            *("--reject-unknown-dynamic-fields", "-l", "warning"),
            # As Istio does: a connection of a listener that goes ends after its next answer.
            *("--drain-time-s", str(DRAIN_SECONDS), "--drain-strategy", "immediate"),
            *("--log-format", "%l|%n|%v"),
        )
        self._admin = admin
        self._clock = clock
        self._on_line = on_line
        self._child: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._stopping = False
        self._numbers = 0
        self.lines: deque[Line] = deque(maxlen=LINES_MAX)
        self.lives = 0

    @property
    def pid(self) -> int | None:
        """The process id; None when there is no process."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    @property
    def last_line(self) -> int:
        """The number of the newest line."""
        return self._numbers

    async def start(self) -> None:
        """Start Envoy and wait until it serves. Raises EnvoyStartError."""
        await self._spawn()
        deadline = self._clock.monotonic() + _START_SECONDS_MAX
        while not await self._admin.is_ready():
            if self.pid is None or self._clock.monotonic() > deadline:
                code = self._child.returncode if self._child else None
                await self.kill()
                said = "; ".join(line.text for line in list(self.lines)[-3:]) or "it said nothing"
                state = "was not ready in time" if code is None else f"ended with status {code}"
                raise EnvoyStartError(f"Envoy ({self._command[0]}) {state}: {said}")
            await self._clock.sleep(0.005)

    async def supervise(self) -> None:
        """Bring Envoy back each time it ends, from the same files, until it is stopped."""
        backoff, longest = _BACKOFF_SECONDS
        while True:
            assert self._child is not None
            began = self._clock.monotonic()
            await self._child.wait()
            if self._is_stopping():
                return
            if self._clock.monotonic() - began > _HEALTHY_SECONDS:
                backoff = _BACKOFF_SECONDS[0]
            self._note(
                "error", "gitmesh", f"Envoy ended with status {self._child.returncode}; it is started again"
            )
            await self._clock.sleep(backoff)
            backoff = min(backoff * 2, longest)
            try:
                await self._spawn()
            except EnvoyStartError as error:  # the binary is gone for now
                self._note("error", "gitmesh", str(error))

    async def stop(self) -> None:
        """Let running requests end, then Envoy."""
        self._stopping = True
        if self.pid is not None:
            with suppress(EnvoyError):
                await self._admin.drain()
                await self._until_idle()
                await self._admin.quit()
            assert self._child is not None
            with anyio.move_on_after(_STOP_SECONDS_MAX):
                await self._child.wait()
        await self.kill()

    async def kill(self) -> None:
        """End the process at once; no error when it is gone."""
        self._stopping = True
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()
        if self._reader is not None:
            with anyio.move_on_after(1):
                await asyncio.wait({self._reader})
            self._reader.cancel()

    async def line_after(self, number: int, wanted: Callable[[Line], bool], *, seconds: float) -> Line | None:
        """Return the newest wanted line after `number`; waits for one up to `seconds`."""
        deadline = self._clock.monotonic() + seconds
        while True:
            found = [line for line in self.lines if line.number > number and wanted(line)]
            if found or self._clock.monotonic() > deadline:
                return found[-1] if found else None
            await self._clock.sleep(0.005)

    def _is_stopping(self) -> bool:
        return self._stopping

    async def _until_idle(self) -> None:
        deadline = self._clock.monotonic() + _DRAIN_SECONDS_MAX
        while self._clock.monotonic() < deadline:
            active = await self._admin.stats(r"^http\..*\.downstream_rq_active$")
            if not any(int(count) for name, count in active.items() if name != _ADMIN_REQUESTS):
                return
            await self._clock.sleep(0.02)

    async def _spawn(self) -> None:
        try:
            self._child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                limit=_LINE_BYTES_MAX,
                start_new_session=True,  # Ctrl-C is for us; we end Envoy after its requests
                preexec_fn=_end_with_parent if _LIBC is not None else None,
                env={},
            )
        except OSError as error:
            raise EnvoyStartError(f"cannot run {self._command[0]}: {error}") from error
        self.lives += 1
        assert self._child.stderr is not None
        self._reader = asyncio.create_task(self._read(self._child.stderr))

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                raw = await stream.readline()
            except ValueError:  # a line above the limit: asyncio has dropped it
                continue
            if not raw:
                return
            level, _, rest = raw.decode(errors="replace").rstrip("\n").partition("|")
            logger, bar, text = rest.partition("|")
            self._note(level, logger, text) if bar else self._note("info", "", level)

    def _note(self, level: str, logger: str, text: str) -> None:
        self._numbers += 1
        line = Line(self._numbers, level, logger, text)
        self.lines.append(line)
        if self._on_line is not None:
            self._on_line(line)


def _end_with_parent() -> None:
    """Have the kernel kill this child when its parent dies, also by SIGKILL. Runs between fork and exec."""
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(1)
