"""The playground's API server as a real process on a port of its own: start, kill, start again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_SECONDS = 20.0
STOP_SECONDS = 5.0


@dataclass
class ApiServer:
    """One server and its files in `directory`. `database` is an SQLite file there, or `:memory:`."""

    directory: Path
    database: str = ":memory:"
    arguments: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def address(self) -> str:
        return str(self._config()["clusters"][0]["cluster"]["server"])

    @property
    def token(self) -> str:
        return str(self._config()["users"][0]["user"]["token"])

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def _config(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubeconfig.read_text())
        return found

    def command(self) -> list[str]:
        return [
            sys.executable,
            *("-m", "gitmesh.playground.apiserver"),
            *("--port", str(self.port)),
            *("--token-file", str(self.directory / "token")),
            *("--db", self.database),
            *("--kubeconfig-out", str(self.kubeconfig)),
            *("--ready-file", str(self.directory / "ready")),
            *self.arguments,
        ]

    def start(self) -> None:
        """Start and wait until requests are answered; a second start takes the port of the first."""
        ready = self.directory / "ready"
        ready.unlink(missing_ok=True)
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"}
            )
        for _ in range(int(START_SECONDS / 0.02)):
            if ready.exists():
                self.port = int(ready.read_text().strip().rpartition(":")[2])
                return
            try:
                self.process.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"the API server ended with {self.process.returncode}: {self.log}")
        self.stop()
        raise AssertionError(f"the API server was not ready after {START_SECONDS} s: {self.log}")

    def kill(self) -> None:
        """End it as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=STOP_SECONDS)

    def stop(self) -> None:
        """End it as a person would; kill it when it does not go."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def an_api_server(
    directory: Path, *, database: str = ":memory:", arguments: tuple[str, ...] = ()
) -> Iterator[ApiServer]:
    """Run a server; its files go to `directory`. `arguments` are further ones of its command line."""
    directory.mkdir(parents=True, exist_ok=True)
    server = ApiServer(directory, database, arguments)
    server.start()
    try:
        yield server
    finally:
        server.stop()
