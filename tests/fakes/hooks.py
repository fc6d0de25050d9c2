"""Webhooks as the forges send them: the payloads are small, the headers and signatures are theirs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SECRET = "correct horse battery staple"
SIGNING_TOKEN = "whsec_" + base64.b64encode(b"correct horse battery staple").decode()
HTTPS, SSH = "https://git.example.com/mesh/traffic.git", "git@git.example.com:mesh/traffic.git"
KINDS = ("github", "gitlab", "gitea", "forgejo", "bitbucket", "bitbucket-server", "generic")
NOW = 1_790_000_000


@dataclass(frozen=True)
class Hook:
    """A request that a forge would make."""

    headers: Mapping[str, str]
    body: bytes


def payload(kind: str, url: str = HTTPS, ref: str = "refs/heads/main") -> dict[str, Any]:
    """A push as that forge tells of it, with what is read of it and a little more."""
    branch = ref.rpartition("/")[2]
    if kind == "gitlab":
        project = {"name": "traffic", "git_http_url": url, "git_ssh_url": SSH, "web_url": url[:-4]}
        return {"object_kind": "push", "ref": ref, "project": project, "commits": []}
    if kind == "bitbucket":
        change = {"old": {"type": "branch", "name": branch}, "new": {"type": "branch", "name": branch}}
        return {"repository": {"full_name": "mesh/traffic"}, "push": {"changes": [change]}}
    if kind == "bitbucket-server":
        links = {"clone": [{"href": "ssh://git@git.example.com:7999/mesh/traffic.git"}, {"href": url}]}
        change = {"ref": {"id": ref, "displayId": branch, "type": "BRANCH"}, "type": "UPDATE"}
        return {"repository": {"slug": "traffic", "links": links}, "changes": [change]}
    if kind == "generic":
        return {"repository": url, "ref": ref}
    repository = {"full_name": "mesh/traffic", "clone_url": url, "ssh_url": SSH, "html_url": url[:-4]}
    return {"ref": ref, "before": "0" * 40, "after": "1" * 40, "repository": repository}


def hook(
    kind: str,
    document: Any = None,
    *,
    body: bytes | None = None,
    secret: str = SECRET,
    delivery: str = "d-1",
    moment: int = NOW,
    event: str = "",
) -> Hook:
    """A request with everything that its forge adds."""
    if body is None:
        body = json.dumps(payload(kind) if document is None else document).encode()
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"content-type": "application/json"}
    if kind == "github":
        headers |= {"x-hub-signature-256": f"sha256={digest}", "x-github-delivery": delivery}
        headers["x-github-event"] = event or "push"
    elif kind in ("gitea", "forgejo"):
        headers |= {f"x-{kind}-signature": digest, f"x-{kind}-delivery": delivery}
        headers[f"x-{kind}-event"] = event or "push"
    elif kind == "bitbucket":
        headers |= {"x-hub-signature": f"sha256={digest}", "x-request-uuid": delivery}
        headers["x-event-key"] = event or "repo:push"
    elif kind == "bitbucket-server":
        headers |= {"x-hub-signature": f"sha256={digest}", "x-request-id": delivery}
        headers["x-event-key"] = event or "repo:refs_changed"
    elif kind == "gitlab":
        headers |= {"x-gitlab-event": event or "Push Hook", "idempotency-key": delivery}
        headers |= _gitlab_proof(body, secret, delivery, moment)
    else:
        signed = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        headers["x-gitmesh-signature"] = f"t={moment},v1={signed}"
    return Hook(headers, body)


def _gitlab_proof(body: bytes, secret: str, delivery: str, moment: int) -> dict[str, str]:
    if not secret.startswith("whsec_"):
        return {"x-gitlab-token": secret}
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{delivery}.{moment}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(moment),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
