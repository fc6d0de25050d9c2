"""A certificate for 127.0.0.1, made once and kept beside the token.

Stage: playground (effect). Kubernetes clients send a bearer token over HTTPS only, so one is needed;
making it here needs neither a program nor a package.
Source: RFC 5280; RFC 5915; SEC 1 and FIPS 186-5 for P-256.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_VALID_FOR = timedelta(days=3650)
_Point = tuple[int, int] | None


def ensure_certificate(path: Path, now: datetime) -> str:
    """Return the certificate in `path` as PEM; make key and certificate when the file is not there."""
    if not path.exists():
        text = make_certificate(now)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    content = path.read_text()
    begin = content.index("-----BEGIN CERTIFICATE-----")
    return content[begin:]


def make_certificate(now: datetime) -> str:
    """Return a new private key and a self-signed certificate for 127.0.0.1 and localhost, as PEM."""
    secret = secrets.randbelow(_N - 1) + 1
    point = _point_bytes(_times(secret, _G))
    to_sign = _to_be_signed(point, now)
    signature = _sign(to_sign, secret)
    certificate = _sequence(to_sign, _sequence(_OID_ECDSA_SHA256), _bits(signature))
    key = _sequence(
        _integer(1), _tlv(0x04, secret.to_bytes(32, "big")), _tlv(0xA0, _OID_P256), _tlv(0xA1, _bits(point))
    )
    return _pem("EC PRIVATE KEY", key) + _pem("CERTIFICATE", certificate)


# The curve. Side channels do not matter: this runs once, for a server that only this machine can reach.


def _add(a: _Point, b: _Point) -> _Point:
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % _P == 0:
        return None
    if a == b:
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, _P) % _P
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, _P) % _P
    x = (slope * slope - a[0] - b[0]) % _P
    return x, (slope * (a[0] - x) - a[1]) % _P


def _times(factor: int, point: _Point) -> _Point:
    total: _Point = None
    while factor:
        if factor & 1:
            total = _add(total, point)
        point = _add(point, point)
        factor >>= 1
    return total


def _point_bytes(point: _Point) -> bytes:
    assert point is not None
    return b"\x04" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def _sign(data: bytes, secret: int) -> bytes:
    digest = int.from_bytes(hashlib.sha256(data).digest(), "big")
    while True:
        nonce = secrets.randbelow(_N - 1) + 1
        point = _times(nonce, _G)
        assert point is not None
        r = point[0] % _N
        s = pow(nonce, -1, _N) * (digest + r * secret) % _N
        if r and s:
            return _sequence(_integer(r), _integer(s))


# The encoding (DER).


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, b"".join(parts))


def _integer(value: int) -> bytes:
    return _tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _bits(content: bytes, unused: int = 0) -> bytes:
    return _tlv(0x03, bytes((unused,)) + content)


def _oid(text: str) -> bytes:
    first, second, *rest = (int(part) for part in text.split("."))
    out = bytearray([first * 40 + second])
    for part in rest:
        digits = [part & 0x7F]
        while part := part >> 7:
            digits.append(part & 0x7F | 0x80)
        out += bytes(reversed(digits))
    return _tlv(0x06, bytes(out))


_OID_ECDSA_SHA256 = _oid("1.2.840.10045.4.3.2")
_OID_P256 = _oid("1.2.840.10045.3.1.7")


def _to_be_signed(point: bytes, now: datetime) -> bytes:
    name = _sequence(_tlv(0x31, _sequence(_oid("2.5.4.3"), _tlv(0x0C, b"gitmesh-playground"))))
    key = _sequence(_sequence(_oid("1.2.840.10045.2.1"), _OID_P256), _bits(point))
    return _sequence(
        _tlv(0xA0, _integer(2)),
        _integer(secrets.randbits(127) | 1 << 126),
        _sequence(_OID_ECDSA_SHA256),
        name,
        _sequence(_time(now - timedelta(days=1)), _time(now + _VALID_FOR)),
        name,
        key,
        _tlv(0xA3, _extensions(point)),
    )


def _time(at: datetime) -> bytes:
    return _tlv(0x17, at.astimezone(UTC).strftime("%y%m%d%H%M%SZ").encode())


def _extensions(point: bytes) -> bytes:
    key_id = hashlib.sha1(point, usedforsecurity=False).digest()
    names = _tlv(0x87, bytes((127, 0, 0, 1))) + _tlv(0x82, b"localhost")
    critical = _tlv(0x01, b"\xff")
    return _sequence(
        _extension("2.5.29.19", _sequence(_tlv(0x01, b"\xff")), critical),  # its own authority
        _extension("2.5.29.15", _bits(bytes((0b10000100,)), 2), critical),  # sign, and sign certificates
        _extension("2.5.29.37", _sequence(_oid("1.3.6.1.5.5.7.3.1"))),  # for servers
        _extension("2.5.29.17", _sequence(names)),
        _extension("2.5.29.14", _tlv(0x04, key_id)),
        _extension("2.5.29.35", _sequence(_tlv(0x80, key_id))),
    )


def _extension(oid: str, value: bytes, critical: bytes = b"") -> bytes:
    return _sequence(_oid(oid), critical, _tlv(0x04, value))


def _pem(label: str, content: bytes) -> str:
    text = base64.b64encode(content).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
