"""OpenSSH's own server on loopback, as a plain process: it serves git to a user `git` of its own.

sshd asks the system who a user is, and refuses to run as root without users and folders of the system. So it
never runs as root here, and a library tells it who `git` is: whoever it runs as.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools import find, find_library

TOOLS = Path(__file__).parents[2] / ".tools"
NOBODY = 65534
READY_SECONDS = 20


@dataclass
class SshServer:
    """A server that lets in whoever has one of `keys`. Repositories are copied into `directory`."""

    directory: Path
    port: int
    owner: tuple[int, int]

    def url(self, name: str) -> str:
        return f"ssh://git@127.0.0.1:{self.port}{self.directory}/{name}"

    @property
    def known_hosts(self) -> str:
        """The line that vouches for this server."""
        return known_host(self.port, self.directory / "host.pub")

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def serve(self, repository: Path, name: str = "mesh.git") -> str:
        """Copy a bare repository to where it is served; return its URL."""
        target = self.directory / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(repository, target)
        self._hand_over(target)
        return self.url(name)

    def let_in(self, *public_keys: str) -> None:
        (self.directory / "authorized").write_text("\n".join(public_keys) + "\n")

    def _hand_over(self, path: Path) -> None:
        if os.geteuid() == 0:
            for one in (path, *path.rglob("*")):
                os.chown(one, *self.owner)


@dataclass(frozen=True)
class Key:
    """A pair of keys: both as text."""

    private: str
    public: str


def a_key(directory: Path, name: str = "key", password: str = "") -> Key:
    """Make a key, as people do."""
    path = directory / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", password, "-C", name, "-f", str(path)]
    subprocess.run(command, check=True, timeout=READY_SECONDS, stdin=subprocess.DEVNULL)
    return Key(path.read_text(), path.with_name(f"{name}.pub").read_text().strip())


def known_host(port: int, public_key: Path) -> str:
    kind, key, *_ = public_key.read_text().split()
    return f"[127.0.0.1]:{port} {kind} {key}\n"


@contextlib.contextmanager
def ssh_server() -> Iterator[SshServer]:
    """Run the server for the time of a test."""
    program = find(TOOLS, "sshd")
    users = find_library(TOOLS, "libnss_wrapper.so")
    assert program is not None, "there is no sshd; run `make tools`"
    assert users is not None, "there is no libnss_wrapper.so; run `make tools`"
    as_root = os.geteuid() == 0
    owner = (NOBODY, NOBODY) if as_root else (os.getuid(), os.getgid())
    # Not below pytest's own folder: nobody else may enter that.
    directory = Path(tempfile.mkdtemp(prefix="gitmesh-ssh-"))
    directory.chmod(0o755)
    try:
        port = _free_port()
        a_key(directory, "host")
        server = SshServer(directory, port, owner)
        server.let_in()
        _configure(server, program)
        (directory / "log").touch()
        server._hand_over(directory)
        with (directory / "log").open("w") as log:
            process = subprocess.Popen(
                [str(directory / "sshd"), "-D", "-e", "-f", str(directory / "config")],
                env=_environment(directory, users),
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **({"user": NOBODY, "group": NOBODY, "extra_groups": []} if as_root else {}),
            )
        try:
            _wait(server, process)
            yield server
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _configure(server: SshServer, program: Path) -> None:
    directory, (user, group) = server.directory, server.owner
    # It starts itself anew for each connection, and so has to be where its user may go.
    shutil.copy2(program, directory / "sshd")
    for library in (TOOLS / "lib").glob("*.so*"):
        shutil.copy2(library, directory / library.name)
    (directory / "passwd").write_text(f"git:x:{user}:{group}::{directory}:/bin/sh\n")
    (directory / "group").write_text(f"git:x:{group}:\n")
    settings = {
        "ListenAddress": "127.0.0.1",
        "Port": server.port,
        "HostKey": directory / "host",
        "AuthorizedKeysFile": directory / "authorized",
        "StrictModes": "no",  # the folders above are not its user's
        "UsePAM": "no",
        "PidFile": "none",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "AcceptEnv": "GIT_PROTOCOL",
        "LogLevel": "VERBOSE",
    }
    (directory / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))


def _environment(directory: Path, users: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "LD_PRELOAD": str(directory / users.name if (directory / users.name).exists() else users),
        "LD_LIBRARY_PATH": str(directory),
        "NSS_WRAPPER_PASSWD": str(directory / "passwd"),
        "NSS_WRAPPER_GROUP": str(directory / "group"),
    }


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait(server: SshServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while "Server listening" not in server.log:
        assert process.poll() is None, f"sshd has ended: {server.log}"
        assert time.monotonic() < deadline, f"sshd does not listen: {server.log}"
        time.sleep(0.02)  # noqa: TID251 (a real process)
