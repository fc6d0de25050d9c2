"""Files of a playground: where they are, who may use the directory, and what other commands read.

Stage: playground (effect).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gitmesh.playground.errors import PlaygroundError

STATE_FILE = "playground.json"


def default_directory() -> Path:
    """Return where a playground keeps its files unless told otherwise."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "gitmesh" / "play"


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one playground."""

    directory: Path

    @property
    def kubeconfig(self) -> Path:
        """What kubectl and the daemon connect with."""
        return self.directory / "kubeconfig"

    @property
    def database(self) -> Path:
        """The objects of the API server."""
        return self.directory / "objects.db"

    @property
    def token(self) -> Path:
        """The token that the API server asks for."""
        return self.directory / "token"

    @property
    def envoy(self) -> Path:
        """What Envoy reads."""
        return self.directory / "envoy"

    @property
    def logs(self) -> Path:
        """What the processes write on standard error."""
        return self.directory / "logs"

    @property
    def state(self) -> Path:
        """Where this playground can be reached; exists while it runs."""
        return self.directory / STATE_FILE

    def forget_objects(self) -> None:
        """Remove the database: the next start begins empty."""
        for path in self.directory.glob(f"{self.database.name}*"):
            path.unlink(missing_ok=True)

    def write_state(self, state: Mapping[str, object]) -> None:
        """Tell other commands where everything is, in one step."""
        temporary = self.state.with_name(f".{STATE_FILE}.{os.getpid()}")
        temporary.write_text(json.dumps(state, indent=2) + "\n", "utf-8")
        temporary.replace(self.state)


@contextmanager
def claimed(directory: Path) -> Iterator[Files]:
    """Make the directory and hold it: one playground at a time. Raises PlaygroundError.

    The lock goes with the process, so a crash leaves nothing to clean up by hand.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PlaygroundError(
            f"cannot use the directory {directory}: {error.strerror}; choose another one with --dir"
        ) from error
    files = Files(directory)
    try:
        _lock(descriptor, directory)
        files.state.unlink(missing_ok=True)
        shutil.rmtree(files.logs, ignore_errors=True)
        files.logs.mkdir()
        try:
            yield files
        finally:
            files.state.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        raise PlaygroundError(
            f"a playground already runs in {directory} (process {pid or 'unknown'}); "
            "stop it with Ctrl-C, or start another one with --dir"
        ) from None
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
