"""How one gets into an endpoint: login and certificates, read anew where files change.

Stage: observe (effect). What is read here is a secret: it goes into a request, and never into a text.
"""

from __future__ import annotations

import base64
import os
import ssl
from pathlib import Path

from gitmesh.model.providers import Provider, Secret, Tls
from gitmesh.observe.errors import MetricsError

SECRET_BYTES_MAX = 65_536


class Access:
    """The login and the certificates for one provider. Raises MetricsError when one cannot be read."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def headers(self) -> dict[str, str]:
        """Return the headers of a request."""
        provider = self._provider
        headers = {name: self._read(secret, name) for name, secret in provider.headers.items()}
        if provider.bearer:
            headers["Authorization"] = f"Bearer {self._read(provider.bearer, 'bearer')}"
        if provider.basic:
            login = f"{provider.basic.username}:{self._read(provider.basic.password, 'password')}"
            headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        return headers

    def certificates(self) -> tuple[tuple[str, float], ...]:
        """Return the files and when each was changed: other certificates need another connection."""
        tls = self._provider.tls
        return tuple((name, _changed(name)) for name in (tls.ca_file, tls.cert_file, tls.key_file) if name)

    @property
    def server_name(self) -> str | None:
        """The name that the certificate of the endpoint must have, where it is not that of the address."""
        return self._provider.tls.server_name or None

    def context(self) -> ssl.SSLContext:
        """Return whom to trust, and who we are."""
        return _context(self._provider.tls, self._provider.name)

    def _read(self, secret: Secret, what: str) -> str:
        where = f"the {what} of provider {self._provider.name}"
        if secret.env:
            value = os.environ.get(secret.env)
            if value is None:
                raise MetricsError(f"{where}: there is no environment variable {secret.env}", retryable=False)
        else:
            try:
                value = Path(secret.file).read_bytes()[:SECRET_BYTES_MAX].decode()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is no text"
                raise MetricsError(f"{where}: {secret.file} cannot be read: {reason}") from None
        value = value.strip()
        if not value or not value.isprintable():
            raise MetricsError(f"{where} is empty, or has more than one line", retryable=False)
        return value


def _context(tls: Tls, name: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise MetricsError(f"the certificates of provider {name} cannot be used: {reason}") from None
    return context


def _changed(name: str) -> float:
    try:
        return Path(name).stat().st_mtime
    except OSError:
        return 0.0
