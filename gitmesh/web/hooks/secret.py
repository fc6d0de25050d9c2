"""The secret of a receiver, read anew for each webhook, so that it can be changed while the daemon runs.

Stage: none (face). What is read here goes into a comparison, and never into a text.
"""

from __future__ import annotations

import os
from pathlib import Path

from gitmesh.model.errors import EdgeError
from gitmesh.model.receivers import Receiver
from gitmesh.web.hooks.proof import key_of

SECRET_BYTES_MAX = 65_536


def read_secret(receiver: Receiver) -> str:
    """Return the secret, without the line break that ends a file. Raises EdgeError."""
    where, secret = f"receiver {receiver.name}", receiver.secret
    if secret.env:
        value = os.environ.get(secret.env)
        if value is None:
            raise EdgeError(f"{where}: there is no environment variable {secret.env}; set it")
    else:
        value = _content(where, secret.file)
    value = value.rstrip("\r\n")
    try:
        key_of(receiver.kind, value)
    except ValueError as error:
        raise EdgeError(f"{where}: {error}; put the one in that the forge was given") from None
    return value


def _content(where: str, file: str) -> str:
    try:
        with Path(file).open("rb") as stream:
            return stream.read(SECRET_BYTES_MAX).decode()
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError:
        reason = "it is no text"
    raise EdgeError(f"{where}: cannot read its secret from {file}: {reason}")
