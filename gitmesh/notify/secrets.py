"""Secrets of targets: read when they are used, so that they can be rotated, and never put into a text.

Stage: notify (effect).
"""

from __future__ import annotations

import os
from pathlib import Path

from gitmesh.model.providers import Secret
from gitmesh.notify.errors import DeliveryError

SECRET_BYTES_MAX = 65_536


def reveal(secret: Secret, what: str) -> str:
    """Return what a secret holds; `what` says in errors whose it is. Raises DeliveryError."""
    if secret.env:
        value = os.environ.get(secret.env)
        if value is None:
            raise DeliveryError(f"{what}: there is no environment variable {secret.env}")
    else:
        try:
            value = Path(secret.file).read_bytes()[:SECRET_BYTES_MAX].decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise DeliveryError(f"{what}: {secret.file} cannot be read: {reason}") from None
    value = value.strip()
    if not value or not value.isprintable():
        raise DeliveryError(f"{what} is empty, or has more than one line")
    return value
