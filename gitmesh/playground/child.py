"""One child process: started so that it cannot outlive us, and ended gently, then firmly.

Stage: playground (effect).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import anyio

from gitmesh.playground.errors import PlaygroundError

STOP_SECONDS_MAX = 3.0
_PR_SET_PDEATHSIG = 1
# Loaded here, because between fork and exec nothing may be loaded.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Child:
    """A running process. Its standard input is a pipe that ends with us; standard error is a log file."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self.name = name

    @classmethod
    async def start(cls, name: str, command: Sequence[str], log: Path) -> Child:
        """Start a process. Raises PlaygroundError when there is no such program."""
        try:
            with log.open("ab") as stderr:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=stderr,
                    start_new_session=True,  # Ctrl-C is for us; we end the children in order
                    preexec_fn=_end_with_parent if _LIBC is not None else None,
                )
        except OSError as error:
            raise PlaygroundError(f"cannot start {name} ({command[0]}): {error}") from error
        return cls(process, name)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """True until the end of the process was seen."""
        return self._process.returncode is None

    async def line(self) -> str:
        """Return the next line of standard output; empty when the process has ended."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode("utf-8", "replace").strip()

    async def wait(self) -> int:
        """Wait for the end; return the exit status, or the negative number of the signal."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask the process to end; after a while, make it. Finishes also when cancelled."""
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                self._process.terminate()
            with anyio.move_on_after(STOP_SECONDS_MAX):
                await self._process.wait()
            if self.is_running:
                with suppress(ProcessLookupError):
                    self._process.kill()
            await self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()


def _end_with_parent() -> None:
    """Have the kernel kill this child when its parent dies, also by SIGKILL. Runs between fork and exec."""
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(1)
