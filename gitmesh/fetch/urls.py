"""What a TrafficSource may name: URLs by allow list, branches and paths by Git's own rules.

Stage: fetch (pure). Nothing reaches the command line of git that was not checked here.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gitmesh.fetch.errors import FetchError
from gitmesh.model.repository import COMMIT, Ref, RefKind

_SCP_LIKE = re.compile(
    r"(?P<user>[A-Za-z0-9_][\w.-]*)@(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>[^:\-].*)"
)
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_][\w.-]*")
_URL_MAX = 2048
_ALLOWED = "use https://host/path, ssh://git@host/path or git@host:path"


@dataclass(frozen=True, slots=True)
class Remote:
    """A URL that passed: `text` for git, and the only transport that git may use for it."""

    text: str
    transport: str

    def __str__(self) -> str:
        return self.text


def check_url(url: str, *, allow_file_urls: bool) -> Remote:
    """Return what git may be given for this URL. Raises FetchError; its text never shows a password."""
    if not url:
        raise _refused("it is empty")
    if len(url) > _URL_MAX or not url.isprintable():
        raise _refused("it holds control characters, or is too long")
    if url.startswith("-"):
        raise _refused("it begins with a dash, as an option does")
    if url.startswith(("/", "./", "../", "~")):
        return _local(url, allow_file_urls=allow_file_urls)
    if " " in url:
        raise _refused("it holds a space")
    if "://" in url:
        return _with_scheme(url, allow_file_urls=allow_file_urls)
    if _SCP_LIKE.fullmatch(url):
        return Remote(url, "ssh")
    if "::" in url:
        raise _refused("remote helpers such as ext:: can run commands")
    raise _refused("it has no scheme that GitMesh knows")


def check_branch(branch: str) -> str:
    """Return the branch. Raises FetchError where git would not accept it as a name."""
    if not _is_ref_name(branch):
        raise FetchError(
            f"{branch[:80]!r} is not a name that a Git branch can have; set spec.branch, for example main",
            retryable=False,
        )
    return branch


def check_ref(ref: Ref) -> Ref:
    """Return what is followed. Raises FetchError where one of its names is none."""
    if ref.kind is RefKind.BRANCH:
        check_branch(ref.name)
    elif ref.kind is RefKind.COMMIT:
        check_commit(ref.name)
        check_branch(ref.branch)
    elif ref.kind is RefKind.TAG and not _is_ref_name(ref.name):
        raise FetchError(
            f"{ref.name[:80]!r} is not a name that a Git tag can have; set spec.tag, for example v1.4.2",
            retryable=False,
        )
    return ref


def _is_ref_name(name: str) -> bool:
    """Source: git-scm.com/docs/git-check-ref-format, rules 1 to 10, and --branch."""
    parts = name.split("/")
    wrong = (
        not name
        or len(name) > 255
        or name == "@"
        or name.startswith("-")
        or name.endswith(".")
        or ".." in name
        or "@{" in name
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
        or re.search(r"[\x00-\x20\x7f~^:?*\[\\]", name) is not None
    )
    return not wrong


def check_path(path: str) -> str:
    """Return the path below the root, without `./` and a trailing slash; `.` is the root itself."""
    if path.startswith(("/", "~")) or "\0" in path or "\n" in path:
        raise _bad_path(path)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or ".git" in parts:
        raise _bad_path(path)
    return "/".join(parts) or "."


def check_commit(commit: str) -> str:
    """Return the commit id. Raises FetchError when it is not one, whole."""
    if not COMMIT.fullmatch(commit):
        raise FetchError(f"{commit[:80]!r} is not the full id of a commit", retryable=False)
    return commit


def local_path(url: str) -> Path | None:
    """Return the directory that a local URL means; None for every other URL."""
    if url.startswith(("/", "./", "../", "~")):
        return Path(url).expanduser().absolute()
    if url.startswith("file://"):
        parts = urlsplit(url)
        return Path(unquote(parts.path)) if parts.netloc in ("", "localhost") and parts.path else None
    return None


def without_secrets(text: str) -> str:
    """Blot out what looks like credentials, also in text that a server sent."""
    text = re.sub(r"(\w+://)[^/\s@]+@", r"\1***@", text)
    return re.sub(r"(?i)\b(\w*(?:token|password|passwd|secret|api_?key)\w*\s*[=:]\s*)[^\s&]+", r"\1***", text)


def _with_scheme(url: str, *, allow_file_urls: bool) -> Remote:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise _refused("it cannot be read as a URL") from None
    scheme = parts.scheme.lower()
    if scheme == "file":
        return _local(url, allow_file_urls=allow_file_urls)
    if scheme not in ("https", "http", "ssh", "git"):
        raise _refused(f"the scheme {scheme[:20]!r} is not allowed")
    _check_credentials(scheme, parts.username, parts.password)
    if parts.query or parts.fragment:
        raise _refused("a repository has no query or fragment, and a token there would be shown")
    netloc_host = parts.netloc.rpartition("@")[2]
    if not _HOST.fullmatch(re.sub(r":\d*$", "", netloc_host)):
        raise _refused("it names no valid host")
    if parts.path in ("", "/"):
        raise _refused("it names no repository on that host")
    if scheme in ("http", "git") and not _is_loopback(host):
        raise _refused(f"{scheme}:// is neither encrypted nor signed, and allowed for this machine only")
    return Remote(url, scheme)


def _check_credentials(scheme: str, user: str | None, password: str | None) -> None:
    if password is not None or (user is not None and scheme != "ssh"):
        raise FetchError(
            "spec.url holds credentials, and everyone who may read the TrafficSource would see them; "
            "take them out of the URL (what stood there should be considered known, so replace it)",
            retryable=False,
        )
    if user is not None and not _USER.fullmatch(user):
        raise _refused("its user name is not one")


def _local(url: str, *, allow_file_urls: bool) -> Remote:
    if not allow_file_urls:
        raise _refused("repositories of this machine are not allowed; start GitMesh with --allow-file-urls")
    path = local_path(url)
    if path is None:
        raise _refused("file:// names a path of this machine: file:///path/to/repository")
    return Remote(path.as_uri(), "file")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refused(why: str) -> FetchError:
    return FetchError(f"spec.url is refused: {why}; {_ALLOWED}", retryable=False)


def _bad_path(path: str) -> FetchError:
    return FetchError(
        f"{path[:80]!r} is not a path inside a repository; set spec.path, for example manifests/bookinfo",
        retryable=False,
    )
