"""The file of the authorities that this machine trusts, for hosts outside the mesh.

Stage: playground (effect).
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

# Debian, Fedora, SUSE, macOS: each has its own place.
_PLACES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def find_system_roots() -> str:
    """Return the file; empty when there is none. `SSL_CERT_FILE` comes first, as for OpenSSL."""
    candidates = (os.environ.get("SSL_CERT_FILE"), *_PLACES, ssl.get_default_verify_paths().cafile)
    return next((place for place in candidates if place and Path(place).is_file()), "")
