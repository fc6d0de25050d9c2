"""Where a repository is on its server, read out of the URL of a source.

Stage: notify (pure).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from gitmesh.model.notifications import PUBLIC_HOSTS, NotificationTarget

_SCP_LIKE = re.compile(r"(?:[^@/]+@)?(?P<host>[^:/]+):(?P<path>[^:].*)")
# Source: docs.github.com, "Using SSH over the HTTPS port"; GitLab's altssh.
_OTHER_NAMES = {"ssh.github.com": "github.com", "altssh.gitlab.com": "gitlab.com"}


@dataclass(frozen=True, slots=True)
class Place:
    """The API of a server, and the path of a repository on it: `owner/name`, or deeper on a GitLab."""

    api: str
    path: str

    def status_url(self, kind: str, commit: str) -> str:
        """Return where the status of a commit is posted.

        Source: docs.github.com, REST, "Create a commit status"; docs.gitlab.com, Commits API, "Set commit
        pipeline status"; Gitea's API, `repoCreateStatus`.
        """
        if kind == "gitlab":
            return f"{self.api}/projects/{quote(self.path, safe='')}/statuses/{quote(commit, safe='')}"
        return f"{self.api}/repos/{quote(self.path)}/statuses/{quote(commit, safe='')}"


def place_of(target: NotificationTarget, url: str) -> Place | None:
    """Return where the repository of a source is, for one target; None when it is on another server."""
    api, host = _server(target)
    if target.repository:
        return Place(api, target.repository)
    where, path = _parts(url)
    if where != host or path.count("/") < 1 or (path.count("/") > 1 and target.kind != "gitlab"):
        return None
    return Place(api, path)


def without_login(url: str) -> str:
    """Return the URL of a repository without user and password."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def _server(target: NotificationTarget) -> tuple[str, str]:
    """Return the address of the API, and the host whose repositories it serves."""
    if not target.url:
        public = PUBLIC_HOSTS[target.kind]
        paths = {"github": "https://api.github.com", "gitlab": "/api/v4", "gitea": "/api/v1"}
        api = paths[target.kind]
        return (api if "://" in api else f"https://{public}{api}"), public
    base, host = target.url.rstrip("/"), urlsplit(target.url).hostname or ""
    if host == "api.github.com":
        return base, "github.com"
    suffix = {"github": "/api/v3", "gitlab": "/api/v4", "gitea": "/api/v1"}[target.kind]
    return (base if base.endswith(suffix) else base + suffix), host


def _parts(url: str) -> tuple[str, str]:
    if "://" in url:
        try:
            parts = urlsplit(url)
            host, path = parts.hostname or "", parts.path
        except ValueError:
            return "", ""
    else:
        found = _SCP_LIKE.fullmatch(url)
        if not found:
            return "", ""
        host, path = found["host"].lower(), found["path"]
    return _OTHER_NAMES.get(host, host), path.strip("/").removesuffix(".git")
