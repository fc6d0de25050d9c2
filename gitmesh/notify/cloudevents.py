"""A notice as a CloudEvent, and its signature.

Stage: notify (pure). Source: CloudEvents 1.0.2, JSON event format and HTTP binding, structured mode; Standard
Webhooks 1.0, "Signature scheme".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from typing import Any

from gitmesh.model.notice import Notice, clipped

CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"
TYPE_PREFIX = "dev.gitmesh"
SECRET_PREFIX = "whsec_"  # noqa: S105 (what the field calls the mark of a secret)


def cloud_event(notice: Notice) -> dict[str, Any]:
    """Return the event; `data` has camelCase names and leaves out what there is not."""
    data: dict[str, Any] = {
        "event": notice.event,
        "severity": notice.importance.value,
        "message": clipped(notice.message),
        "source": notice.source,
        "about": notice.about,
        "namespace": notice.namespace,
        "revision": notice.revision,
        "repository": notice.repository,
        "since": notice.since.isoformat(),
        "again": notice.again,
        "findings": [clipped(finding) for finding in notice.findings],
    }
    if view := notice.rollout:
        data["rollout"] = {
            "run": view.run,
            "phase": view.phase,
            "progress": view.progress,
            "weights": view.weights,
            "step": view.step,
            "steps": view.steps,
            "policy": view.policy,
        }
    return {
        "specversion": "1.0",
        "id": notice.id,
        "source": f"/gitmesh.dev/trafficsources/{notice.source}",
        "type": f"{TYPE_PREFIX}.{_dotted(notice.event)}",
        "subject": notice.about,
        "time": notice.at.isoformat(),
        "datacontenttype": "application/json",
        "data": {name: value for name, value in data.items() if value not in ("", [])},
    }


def as_bytes(event: dict[str, Any]) -> bytes:
    """Return the body of the request: what is signed is what is sent."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def signature_headers(secret: str, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that prove who sent the body, and when. Raises ValueError for a secret that is none.

    A secret that begins with `whsec_` is base64 after it; any other is taken as it is.
    """
    signed = f"{id}.{timestamp}.".encode() + body
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _key(secret: str) -> bytes:
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"what follows {SECRET_PREFIX} is no base64") from None


def _dotted(event: str) -> str:
    """`RolloutStep` becomes `rollout.step`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", ".", event).lower()
