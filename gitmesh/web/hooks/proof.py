"""Whether a webhook comes from who knows the secret, and how one that comes again is recognised.

Stage: none (pure). Nothing of the body is looked at before its proof holds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gitmesh.model.receivers import ReceiverKind

SIGNING_TOKEN = "whsec_"  # noqa: S105 (how GitLab's signing tokens begin; a secret token is any other text)
SIGNATURES_MAX = 5  # in one header, while a secret is being changed
_MOMENT = re.compile(r"[0-9]{1,12}")
_ID_CHARS_MAX = 200

# Source: docs.github.com, "Validating webhook deliveries"; go-gitea services/webhook/deliver.go and
# Forgejo's, which send the hexadecimal digest alone; support.atlassian.com, "Secure webhooks";
# confluence.atlassian.com/bitbucketserver, "Event payload" and "Manage webhooks", section "Webhook secrets".
_SIGNED: Mapping[ReceiverKind, tuple[str, ...]] = {
    "github": ("x-hub-signature-256",),
    "gitea": ("x-gitea-signature", "x-forgejo-signature", "x-hub-signature-256"),
    "forgejo": ("x-forgejo-signature", "x-gitea-signature", "x-hub-signature-256"),
    "bitbucket": ("x-hub-signature",),
    "bitbucket-server": ("x-hub-signature",),
}
_DELIVERY: Mapping[ReceiverKind, tuple[str, ...]] = {
    "github": ("x-github-delivery",),
    "gitlab": ("idempotency-key", "x-gitlab-event-uuid"),
    "gitea": ("x-gitea-delivery", "x-forgejo-delivery"),
    "forgejo": ("x-forgejo-delivery", "x-gitea-delivery"),
    "bitbucket": ("x-request-uuid",),
    "bitbucket-server": ("x-request-id",),
}
# Their payloads hold the moment of the push, so no two are equal. With the others, going back and forth
# between two commits gives equal bodies, and each of those pushes counts.
_BODIES_DIFFER = frozenset(("github", "bitbucket-server"))


@dataclass(frozen=True, slots=True)
class Proved:
    """It is genuine. Who sees one of its `marks` again before `until` (Unix seconds) sees a replay."""

    marks: tuple[str, ...]
    until: float


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not; `why` gives nothing away."""

    why: str


def key_of(kind: ReceiverKind, secret: str) -> bytes:
    """Return the key that a secret stands for. Raises ValueError, whose text does not show the secret."""
    if not secret.strip():
        raise ValueError("the secret is empty")
    if kind != "gitlab" or not secret.startswith(SIGNING_TOKEN):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(SIGNING_TOKEN), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"what follows {SIGNING_TOKEN} in the signing token is not base64") from None
    if not key:
        raise ValueError("the signing token is empty")
    return key


def awaited(kind: ReceiverKind, *, signing_token: bool) -> tuple[str, ...]:
    """Return the headers of which one has to be there, in lower case."""
    if kind == "generic":
        return ("x-gitmesh-signature",)
    if kind == "gitlab":
        return ("webhook-signature",) if signing_token else ("x-gitlab-token",)
    return _SIGNED[kind]


def prove(
    kind: ReceiverKind,
    headers: Mapping[str, str],
    body: bytes | bytearray,
    secret: str,
    *,
    now: float,
    window: float,
) -> Proved | Refused:
    """Check a request; header names are in lower case, `now` is in Unix seconds, `window` in seconds."""
    key = key_of(kind, secret)
    if kind == "generic":
        return _moment_and_body(headers, body, key, now, window)
    if kind == "gitlab" and secret.startswith(SIGNING_TOKEN):
        return _standard_webhook(headers, body, key, now, window)
    if kind == "gitlab":
        if not _equal(headers.get("x-gitlab-token", ""), secret):
            return Refused("X-Gitlab-Token is missing or wrong")
        return Proved(_delivery(kind, headers), now + window)
    digest = hmac.new(key, body, hashlib.sha256).hexdigest()
    given = [headers[name] for name in _SIGNED[kind] if name in headers]
    if not given or not _equal(given[0].removeprefix("sha256="), digest):
        return Refused(f"{_title(_SIGNED[kind][0])} is missing or does not fit the body")
    marks = _delivery(kind, headers)
    if kind in _BODIES_DIFFER or not marks:
        marks = (*marks, f"body {digest}")
    return Proved(marks, now + window)


def _moment_and_body(
    headers: Mapping[str, str], body: bytes | bytearray, key: bytes, now: float, window: float
) -> Proved | Refused:
    """Check `t=<unix seconds>,v1=<hex>`: a keyed hash (HMAC, SHA-256) of the moment, a dot and the body."""
    parts = [part.partition("=") for part in headers.get("x-gitmesh-signature", "").split(",")]
    moments = [value for name, _, value in parts if name.strip() == "t"]
    given = [value.strip() for name, _, value in parts if name.strip() == "v1"]
    if len(moments) != 1 or not given or not _MOMENT.fullmatch(moments[0]):
        return Refused("X-GitMesh-Signature is not of the form t=<unix seconds>,v1=<hex>")
    digest = hmac.new(key, moments[0].encode() + b"." + body, hashlib.sha256).hexdigest()
    if not any(_equal(one, digest) for one in given[:SIGNATURES_MAX]):
        return Refused("X-GitMesh-Signature does not fit the body")
    return _in_time(int(moments[0]), (f"signature {digest}",), now, window)


def _standard_webhook(
    headers: Mapping[str, str], body: bytes | bytearray, key: bytes, now: float, window: float
) -> Proved | Refused:
    """Check what GitLab signs with a signing token.

    Source: docs.gitlab.com, user/project/integrations/webhooks, "Signing tokens"; standardwebhooks.com.
    """
    name, moment = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not name or len(name) > _ID_CHARS_MAX or not _MOMENT.fullmatch(moment):
        return Refused("webhook-id or webhook-timestamp is missing, or is not one")
    signed = f"{name}.{moment}.".encode("latin-1", "replace") + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = headers.get("webhook-signature", "").split(" ")[:SIGNATURES_MAX]
    if not any(_equal(one, f"v1,{digest}") for one in given):
        return Refused("webhook-signature is missing or does not fit the body")
    return _in_time(int(moment), (f"id {name}",), now, window)


def _in_time(moment: int, marks: tuple[str, ...], now: float, window: float) -> Proved | Refused:
    if abs(now - moment) > window:
        return Refused(f"it was signed more than {window:g} s away from now; compare the two clocks")
    return Proved(marks, moment + window)


def _delivery(kind: ReceiverKind, headers: Mapping[str, str]) -> tuple[str, ...]:
    given = [headers[name] for name in _DELIVERY[kind] if headers.get(name)]
    return (f"id {given[0][:_ID_CHARS_MAX]}",) if given else ()


def _equal(given: str, wanted: str) -> bool:
    """Compare in a time that does not depend on where the two differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _title(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))
