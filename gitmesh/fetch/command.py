"""One run of a git process: started by GitPython, bounded in time and output, and killable with its children.

Stage: fetch (effect). Everything here blocks and belongs in a worker thread.
"""

from __future__ import annotations

import contextlib
import copy
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from gitmesh.fetch.environment import NOTHING_LENT, Lent, git_environment, inherited_names
from gitmesh.fetch.errors import FetchError, PartialError

if TYPE_CHECKING:
    from git.cmd import Git

_STDERR_MAX = 65_536
_STDOUT_MAX = 1_048_576
_PROCESSES_MAX = 32  # of one run of git; it needs four or five
_LOOK_SECONDS = 0.5
_SWARMED = (
    f"git had started more than {_PROCESSES_MAX} processes to get what the server leaves out, and was ended; "
    "if the repository is shallow, fetch the rest of it there, with `git fetch --unshallow`"
)
_NOT_FOUND = 127  # the status of `env` when there is no such program


class GitExit(Exception):  # noqa: N818 (an exit status, that some callers expect)
    """git ended with an error. Stays inside this package: `failures.explain` turns it into a FetchError."""

    def __init__(self, status: int, stderr: str) -> None:
        super().__init__(f"git ended with status {status}")
        self.status = status
        self.stderr = stderr


class Abort:
    """A switch that another thread may throw: it kills what runs, and nothing more is started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self.thrown = False

    def throw(self) -> None:
        """Kill the running process group."""
        with self._lock:
            self.thrown = True
            if self._process is not None:
                _kill_group(self._process)

    @contextmanager
    def guarding(self, start: Callable[[], subprocess.Popen[bytes]]) -> Iterator[subprocess.Popen[bytes]]:
        """Start a process under this switch."""
        with self._lock:
            if self.thrown:
                raise FetchError("the fetch was cancelled", retryable=True)
            self._process = process = start()
        try:
            yield process
        finally:
            with self._lock:
                self._process = None
            _kill_group(process)
            for stream in (process.stdout, process.stderr, process.stdin):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            process.wait()


class GitRunner:
    """Runs git on one bare repository, until one deadline. `transport` is the only one that git may use.

    `file_bytes_max`, `memory_bytes_max`: what git and its children may write into one file, and hold in
    memory each; 0: any.
    """

    def __init__(
        self,
        git_dir: Path,
        abort: Abort,
        *,
        transport: str = "",
        timeout_seconds: float = 60.0,
        lent: Lent = NOTHING_LENT,
        file_bytes_max: int = 0,
        memory_bytes_max: int = 0,
    ) -> None:
        self.git_dir = git_dir
        self._abort = abort
        self._lent = lent
        self._environment = git_environment(transport, lent)
        self._timeout_seconds = timeout_seconds
        self._file_bytes_max = file_bytes_max
        self._memory_bytes_max = memory_bytes_max
        self._deadline = time.monotonic() + timeout_seconds

    def writing_at_most(self, bytes_max: int) -> GitRunner:
        """Return the same, until the same deadline, with a lower limit on one file."""
        other = copy.copy(self)
        other._file_bytes_max = min(bytes_max, self._file_bytes_max or bytes_max)
        return other

    def text(self, *arguments: str) -> str:
        """Run and return standard output as text. Raises GitExit, FetchError."""
        with self.stream(*arguments) as stdout:
            answer = stdout.read(_STDOUT_MAX + 1)
            if len(answer) > _STDOUT_MAX:
                raise FetchError(
                    f"git {arguments[0]} answers with more than {_STDOUT_MAX} bytes; the repository holds "
                    "something that is larger than any of its kind should be",
                    retryable=False,
                )
        return answer.decode("utf-8", "replace")

    def succeeds(self, *arguments: str) -> bool:
        """Run a command that answers by its exit status: 0 for yes, 1 for no."""
        try:
            self.text(*arguments)
        except GitExit as ended:
            if ended.status == 1:
                return False
            raise
        return True

    @contextmanager
    def stream(self, *arguments: str, stdin: IO[bytes] | None = None) -> Iterator[IO[bytes]]:
        """Run and hand out standard output. Leaving early kills git; leaving at its end checks the status."""
        with self._abort.guarding(lambda: self._start(arguments, stdin)) as process:
            complaints = _Complaints(process)
            alarm = _Alarm(process, self._deadline)
            try:
                assert process.stdout is not None
                yield process.stdout
                process.stdout.close()
                status = process.wait()
            except Exception:
                self._say_if_killed(alarm)  # a killed git looks like a short answer to whoever reads it
                raise
            finally:
                alarm.cancel()
            self._say_if_killed(alarm)
            if status == _NOT_FOUND:
                raise _not_installed()
            if status:
                raise GitExit(status, self._lent.blot(complaints.text()))

    def _say_if_killed(self, alarm: _Alarm) -> None:
        if self._abort.thrown:
            raise FetchError("the fetch was cancelled", retryable=True)
        if alarm.rang:
            raise FetchError(_too_slow(self._timeout_seconds), retryable=True)
        if alarm.swarmed:
            raise PartialError(_SWARMED)  # asked for everything, the server may have an answer

    def _start(self, arguments: tuple[str, ...], stdin: IO[bytes] | None) -> subprocess.Popen[bytes]:
        unset = [f"-u{name}" for name in inherited_names(os.environ, self._environment.keys())]
        command = ["env", *unset, "git", f"--git-dir={self.git_dir}", *arguments]
        running = _git(self.git_dir).execute(
            command,
            istream=stdin,
            as_process=True,
            env=self._environment,
            start_new_session=True,
            # Python ignores the signal of a file that is too large: so git says that, and does not die of it.
            restore_signals=False,
        )
        # GitPython's wrapper kills git alone when it is collected. We kill the group: take the process out.
        process: subprocess.Popen[bytes] = running.proc
        running.proc = None
        _limit(process, self._file_bytes_max, self._memory_bytes_max)
        return process


def _git(git_dir: Path) -> Git:
    try:
        from git.cmd import Git
    except ImportError:
        raise _not_installed() from None
    return Git(str(git_dir.parent))


def _not_installed() -> FetchError:
    message = "git is not installed, or not on PATH; install it (Debian: apt install git)"
    return FetchError(message, retryable=False)


def _too_slow(seconds: float) -> str:
    return (
        f"git was still at work after {seconds:g} s and was ended; "
        "look at the network and the server, or raise the fetch timeout"
    )


class _Complaints:
    """Reads standard error beside the work, so that git never blocks on it. Keeps the first part."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._kept = b""
        self._process = process
        self._thread = threading.Thread(target=self._drain, name="git-stderr", daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._process.stderr.fileno(), 8192):
                self._kept = (self._kept + chunk)[:_STDERR_MAX]

    def text(self) -> str:
        self._thread.join(timeout=1)
        return self._kept.decode("utf-8", "replace")


class _Alarm:
    """Kills a process group at the deadline, and when there are too many of them.

    A server that says that its history is cut off where ours is not makes git look for the rest, in a process
    that hears the same and looks for the rest, without end.
    """

    def __init__(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        self.rang = False
        self.swarmed = False
        self._process = process
        self._deadline = deadline
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="git-alarm", daemon=True).start()

    def _watch(self) -> None:
        while not self._over.wait(min(_LOOK_SECONDS, max(0.0, self._deadline - time.monotonic()))):
            self.rang = time.monotonic() >= self._deadline
            self.swarmed = not self.rang and _processes_of(self._process.pid) > _PROCESSES_MAX
            if self.rang or self.swarmed:
                _kill_group(self._process)
                return

    def cancel(self) -> None:
        self._over.set()


def _processes_of(session: int) -> int:
    """Return how many processes there are of a session. On Linux only."""
    found = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # Source: man7.org, proc_pid_stat(5): behind the name are state, parent, group and session.
            found += int(stat.read_bytes().rpartition(b")")[2].split()[3]) == session
    return found


def _limit(process: subprocess.Popen[bytes], file_bytes_max: int, memory_bytes_max: int) -> None:
    """Limit what a process, and those that it starts from now on, may write into one file and hold in memory.

    A few bytes of a pack may stand for gigabytes of a commit or a tree, which git holds in memory whole.
    """
    # Source: man7.org, setrlimit(2), RLIMIT_FSIZE: a write beyond it fails with EFBIG, "File too large".
    # RLIMIT_DATA: what a process may allocate; files that it maps to read, as packs, do not count.
    limits = ((resource.RLIMIT_FSIZE, file_bytes_max), (resource.RLIMIT_DATA, memory_bytes_max))
    if hasattr(resource, "prlimit"):
        with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
            for name, bytes_max in limits:
                if bytes_max:
                    resource.prlimit(process.pid, name, (bytes_max, bytes_max))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # A finished leader may have left children behind, and its id is not given away before wait() took it.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
