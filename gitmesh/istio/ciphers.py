"""The cipher suites that Istio passes on to Envoy; it leaves every other one out.

Stage: validate, playground translation (pure). Source: istio/istio pkg/config/security, ValidCipherSuites.
"""

from __future__ import annotations

from typing import Final

CIPHERS: Final = frozenset(
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES256-SHA",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-SHA",
        "AES256-SHA",
        "DES-CBC3-SHA",
    ]
)


def is_cipher(suite: str) -> bool:
    """Say whether Istio passes it on; BoringSSL's operators begin with neither letter nor digit."""
    return suite in ("", "ALL") or not suite[0].isalnum() or suite in CIPHERS
