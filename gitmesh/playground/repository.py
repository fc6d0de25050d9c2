"""A Git repository to play with: a bare origin to fetch from, and a clone that commits and pushes.

Stage: playground (face). Everything blocks; call it from a worker thread where that matters.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from gitmesh.model.errors import EdgeError

_TIMEOUT_SECONDS = 30
_IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada Example",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada Example",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}


class RepositoryError(EdgeError):
    """git refused; the text is what it said."""


class GitRepository:
    """A bare `origin.git` and a clone `work` of it, side by side in one directory."""

    def __init__(self, directory: Path, branch: str = "main") -> None:
        self.origin = directory / "origin.git"
        self.work = directory / "work"
        self.branch = branch

    @classmethod
    def create(cls, directory: Path, branch: str = "main") -> GitRepository:
        """Make both repositories, without a commit."""
        repository = cls(directory, branch)
        directory.mkdir(parents=True, exist_ok=True)
        run_git("init", "--quiet", "--bare", f"--initial-branch={branch}", str(repository.origin))
        run_git("init", "--quiet", f"--initial-branch={branch}", str(repository.work))
        repository.git("remote", "add", "origin", str(repository.origin))
        return repository

    @property
    def url(self) -> str:
        """The URL of the bare repository."""
        return f"file://{self.origin}"

    @property
    def head(self) -> str:
        """The id of the clone's newest commit."""
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        """Run git in the clone and return what it printed. Raises RepositoryError."""
        return run_git("-C", str(self.work), *arguments)

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files below the clone; None deletes one."""
        for path, content in files.items():
            target = self.work / path
            if content is None:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message: str) -> str:
        """Commit everything that changed in the clone; return the commit's id."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--no-verify", f"--message={message}")
        return self.head

    def push(self, *, force: bool = False) -> None:
        """Push the branch to the origin."""
        self.git(
            "push", "--quiet", *(["--force"] if force else []), "origin", f"HEAD:refs/heads/{self.branch}"
        )

    def publish(self, files: Mapping[str, str | bytes | None], message: str) -> str:
        """Write, commit and push; return the commit's id."""
        self.write(files)
        commit = self.commit(message)
        self.push()
        return commit

    def revert(self, commit: str = "HEAD") -> str:
        """Undo a commit by another one, and push it; return its id."""
        self.git("revert", "--no-edit", commit)
        self.push()
        return self.head


def run_git(*arguments: str) -> str:
    """Run git with a fixed identity and nobody's configuration. Raises RepositoryError."""
    return _run(["git", "-c", "gc.auto=0", *arguments])


def _run(command: Sequence[str]) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | _IDENTITY
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise RepositoryError("git is not on PATH; install it (Debian: apt install git)") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RepositoryError(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        raise RepositoryError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()
