"""Whether certificates, keys and authorities in PEM are such that Envoy takes them.

Stage: playground translation (pure). One that Envoy refuses would keep it from everything else that changed
with it, so it is found out here. No reason holds any part of what was read.
Source: Envoy, ContextImpl (sizes of keys); istio/istio pilot/pkg/xds, sds.go (certificates are checked before
they are sent).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

_RSA_BITS_MIN = 2048
# What a tool writes beside it, as the parameters of a curve, is passed over.
_PRIVATE_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})


def certificate_problem(chain: bytes, key: bytes) -> str:
    """Return why Envoy would not present this certificate; nothing when it would."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    certificates = _certificates(chain)
    if not certificates:
        return "it holds no certificate in PEM"
    try:
        found = _PRIVATE_KEY.search(key)
        text = found[0] if found else b""
        private = serialization.load_pem_private_key(text, password=None, unsafe_skip_rsa_key_validation=True)
        public = certificates[0].public_key()
    except TypeError:
        return "its key is protected by a password"
    except (ValueError, UnsupportedAlgorithm):
        return "it holds no private key in PEM"
    if private.public_key() != public:
        return "its key is not the one of its certificate"
    return _key_problem(public)


def authority_problem(root: bytes, revoked: bytes) -> str:
    """Return why Envoy would not check certificates against this authority; nothing when it would."""
    from cryptography import x509

    if not _certificates(root):
        return "it holds no authority's certificate in PEM"
    try:
        if revoked:
            x509.load_pem_x509_crl(revoked)
    except ValueError:
        return "it holds no list of revoked certificates in PEM"
    return ""


def _certificates(text: bytes) -> list[x509.Certificate]:
    """Return the certificates, nothing when one of them cannot be read."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError:
        return []


def _key_problem(public: object) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    match public:
        case rsa.RSAPublicKey() if public.key_size < _RSA_BITS_MIN:
            return f"its RSA key has {public.key_size} bits, and Envoy wants {_RSA_BITS_MIN} at least"
        case ec.EllipticCurvePublicKey() if public.curve.name not in _CURVES:
            return f"Envoy takes the curves P-256, P-384 and P-521, not {public.curve.name}"
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey() | ed25519.Ed25519PublicKey():
            return ""
    return "its key is neither RSA nor ECDSA nor Ed25519"
