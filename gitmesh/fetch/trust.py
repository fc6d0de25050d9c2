"""Who is trusted: the signers that a Secret or ConfigMap names, as git and GPG are told of them.

Stage: fetch (pure). Nothing of it is ever read from the repository that it judges.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

ALLOWED_SIGNERS = "allowed_signers"
KEY_SUFFIX = ".asc"
LINES_MAX = 10_000
_MOMENT_FORMATS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_WORD = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+')
_VALIDITY = re.compile(r'(?:^|,)(valid-after|valid-before)="?(\d{8,14})(Z?)"?', re.IGNORECASE)
_KEY_TYPE = re.compile(r"(?:ssh-|ecdsa-|sk-|rsa-)[\w@.-]+")


class TrustError(ValueError):
    """The list of signers cannot be used; the text says what is wrong, where, and what to do."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The signers as files: lines of allowed_signers, and public keys by file name. `where`: of the list."""

    where: str
    allowed: tuple[str, ...] = ()
    keys: Mapping[str, bytes] = field(default_factory=dict)

    def at(self, now: datetime) -> tuple[str, frozenset[str]]:
        """Return allowed_signers without the lines whose time is over or to come, and their fingerprints.

        git compares with the moment that the commit itself names, which its author may choose. So a key whose
        time is over is left out, as GPG does with one that has expired.
        """
        kept, out = [], set()
        for line in self.allowed:
            if _is_in_time(line, now):
                kept.append(line)
            else:
                out.add(fingerprint(line))
        return "".join(f"{line}\n" for line in kept), frozenset(out - {fingerprint(line) for line in kept})


def read_trust(data: Mapping[str, bytes], where: str) -> Trust:
    """Return what the keys of a Secret or ConfigMap say. Raises TrustError."""
    keys = {name: content for name, content in data.items() if name.endswith(KEY_SUFFIX)}
    for name, content in keys.items():
        if b"PRIVATE KEY" in content:
            raise TrustError(
                f"{name} in {where} holds a private key; put the public one there, and replace the key"
            )
    allowed = tuple(_lines(data.get(ALLOWED_SIGNERS, b""), where))
    if not keys and not allowed:
        raise TrustError(
            f"{where} names no signer; put OpenSSH lines below {ALLOWED_SIGNERS}, or GPG public keys below "
            f"names that end in {KEY_SUFFIX}"
        )
    return Trust(where, allowed, keys)


def _lines(content: bytes, where: str) -> Iterator[str]:
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        raise TrustError(f"{ALLOWED_SIGNERS} in {where} is no text") from None
    if len(lines) > LINES_MAX:
        raise TrustError(f"{ALLOWED_SIGNERS} in {where} has more than {LINES_MAX} lines")
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.strip().startswith("#"):
            continue
        if not fingerprint(line):
            raise TrustError(
                f"{ALLOWED_SIGNERS} in {where}, line {number} is not: names, options, type of key, key"
            )
        yield line.strip()


def fingerprint(line: str) -> str:
    """Return the fingerprint of the key of a line, as ssh-keygen writes it; empty where there is none."""
    words = _WORD.findall(line)
    for kind, key in pairwise(words[1:]):
        if _KEY_TYPE.fullmatch(kind):
            try:
                digest = hashlib.sha256(base64.b64decode(key, validate=True)).digest()
            except (binascii.Error, ValueError):
                return ""
            return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
    return ""


def _is_in_time(line: str, now: datetime) -> bool:
    """Read valid-after and valid-before. Source: ssh-keygen(1), ALLOWED SIGNERS. A moment is in UTC here."""
    words = _WORD.findall(line)
    options = words[1] if len(words) > 1 and not _KEY_TYPE.fullmatch(words[1]) else ""
    for name, text, _ in _VALIDITY.findall(options):
        if len(text) not in _MOMENT_FORMATS:
            return False
        try:
            moment = datetime.strptime(text, _MOMENT_FORMATS[len(text)]).replace(tzinfo=UTC)
        except ValueError:
            return False
        if now < moment if name.lower() == "valid-after" else now >= moment:
            return False
    return True
