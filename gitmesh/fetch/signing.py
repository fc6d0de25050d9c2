"""Signing what GitMesh itself commits, with an SSH key that is lent for one signature.

Stage: fetch (effect). Everything here blocks and belongs in a worker thread.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from gitmesh.fetch.errors import FetchError

SIGNING_KEY = "signing.key"  # in the Secret of spec.signingKeyRef
_SECONDS = 30


def signed(commit: bytes, key: str) -> bytes:
    """Return a commit object with its signature. Raises FetchError; its text shows nothing of the key.

    Source: git, Documentation/gitformat-signature.txt, and gpg-interface.c, sign_buffer_ssh.
    """
    program = shutil.which("ssh-keygen")
    if program is None:
        raise FetchError(
            "ssh-keygen is not installed to sign commits; install it (Debian: apt install openssh-client)",
            retryable=False,
        )
    with tempfile.TemporaryDirectory(prefix="gitmesh-signing-") as text:
        place = Path(text)
        _write(place / "key", key if key.endswith("\n") else f"{key}\n")
        _write(place / "commit", commit)
        command = [program, "-Y", "sign", "-n", "git", "-f", str(place / "key"), str(place / "commit")]
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": text,
            "SSH_ASKPASS_REQUIRE": "never",
        }
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
                start_new_session=True,  # no terminal to ask for a password at
            )
            signature = (place / "commit.sig").read_bytes() if done.returncode == 0 else b""
        except (OSError, subprocess.TimeoutExpired):
            signature = b""
    if not signature:
        raise FetchError(
            f"cannot sign a commit with {SIGNING_KEY}: it is no private SSH key without a password",
            retryable=False,
        )
    head, _, message = commit.partition(b"\n\n")
    lines = signature.strip().splitlines()
    return head + b"\ngpgsig " + b"\n ".join(lines) + b"\n\n" + message


def _write(path: Path, content: str | bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
