"""What git says on standard error -> a FetchError that says what, where and what to do.

Stage: fetch (pure).
"""

from __future__ import annotations

import re

from gitmesh.fetch.errors import BrokenMirrorError, FetchError, LoginError
from gitmesh.fetch.urls import without_secrets

_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_TOO_LARGE = re.compile(r"File too large")  # what `command` limits
_MEMORY = re.compile(
    r"out of memory|Cannot allocate memory|unable to create thread|mmap failed", re.IGNORECASE
)
_UNSAFE = re.compile(r"fsck error|(?:hasDot|hasDotdot|hasDotgit|fullPathname|treeNotSorted|duplicateEntries)")
_OWNER = re.compile(r"dubious ownership|detected dubious")
_HOST_KEY = re.compile(r"Host key verification failed|No \S+ host key is known|IDENTIFICATION HAS CHANGED")
_CERTIFICATE = re.compile(
    r"certificate verif|SSL certificate problem|certificate subject name|self.signed certificate|"
    r"unable to get local issuer|certificate has expired|server certificate",
    re.IGNORECASE,
)
_PROXY = re.compile(
    r"code 407 from proxy|from proxy after CONNECT|resolve proxy|CONNECT tunnel failed|"
    r"Proxy CONNECT|SOCKS5",
    re.IGNORECASE,
)
_ASKED_BY = re.compile(r"could not read (?:Username|Password) for '(\w+://[^'/]{1,200})")
_REDIRECT = re.compile(r"returned error: 30\d|update url base from redirection")
_AUTHENTICATION = re.compile(
    r"Authentication failed|could not read Username|could not read Password|Permission denied \(|"
    r"returned error: 40[13]"
)
_ABSENT = re.compile(
    r"repository '.*' not found|does not appear to be a git repository|returned error: 404|"
    r"Repository not found|no such repository|access denied or repository not exported"
)
_BROKEN = re.compile(
    r"corrupt|bad object|not a git repository|unable to read tree|unable to read sha1|missing blob|"
    r"object file .* is empty|inflate|bad config|invalid index-pack|pack .*does not match|bad ref|"
    r"packfile .* cannot be|did not send all necessary objects|unresolved deltas|cannot lock ref|"
    r"Unable to create '.*\.lock'|not a valid object name|not a tree object",
    re.IGNORECASE,
)
# What index-pack says about a pack that ended early sounds like damage of our own copy, and is none.
_CUT = re.compile(
    r"early EOF|hung up unexpectedly|unexpected disconnect|RPC failed|Broken pipe|Connection reset"
)
# From here on the server speaks, in as many lines as it likes.
_REMOTE = re.compile(r"remote error:|protocol error:|invalid server response|^ERR ", re.MULTILINE)
_OTHER_HASH = re.compile(r"mismatched algorithms|unsupported.*object format")
_NOISE = re.compile(r"^(?:hint|warning|remote):|^$|^Please make sure|^and the repository exists")


def explain(stderr: str, *, what: str) -> FetchError:
    """Return the error for what git complained about; `what` names the attempt, for example `fetch URL`."""
    # A server's own words cannot be allowed to make us throw the mirror away.
    said = "\n".join(line for line in stderr.splitlines() if not line.startswith("remote:"))
    own = _REMOTE.split(said, maxsplit=1)[0]
    reason = _reason(stderr)
    if _DISK_FULL.search(own):
        return FetchError(
            f"cannot {what}: the disk is full; free some space in the data directory", retryable=True
        )
    if _TOO_LARGE.search(own):
        return FetchError(
            f"cannot {what}: the server sends more at once than git.packBytesMax allows; "
            "take what is large out of the repository, or raise git.packBytesMax",
            retryable=True,
        )
    if _MEMORY.search(own):
        return FetchError(
            f"cannot {what}: git needs more memory than git.memoryBytesMax allows; "
            "take what is large out of the repository, or raise git.memoryBytesMax",
            retryable=True,
        )
    if _UNSAFE.search(own):
        return FetchError(
            f"cannot {what}: the repository holds an object that git's own check refuses ({reason}); "
            "run `git fsck` in it and take that object out of the history",
            retryable=True,
        )
    if _OWNER.search(own):
        return FetchError(
            f"cannot {what}: the repository belongs to another user; run GitMesh as its owner",
            retryable=False,
        )
    if closed := _not_let_in(said, what, reason):
        return closed
    if _ABSENT.search(said):
        return FetchError(f"cannot {what}: there is no repository ({reason}); check spec.url", retryable=True)
    if _OTHER_HASH.search(said):
        message = (
            f"cannot {what}: the repository names its objects by SHA-256; GitMesh reads SHA-1 repositories"
        )
        return FetchError(message, retryable=False)
    if _BROKEN.search(own) and not _CUT.search(own):
        return BrokenMirrorError(f"cannot {what}: the local mirror is damaged ({reason})")
    return FetchError(
        f"cannot {what}: {reason}; check that the server is up and reachable from here", retryable=True
    )


def _not_let_in(said: str, what: str, reason: str) -> FetchError | None:
    """Return the error where something stands between us and the repository."""
    if _PROXY.search(said):
        return LoginError(
            f"cannot {what}: the proxy lets nobody through ({reason}); check spec.proxySecretRef"
        )
    if _HOST_KEY.search(said):
        return LoginError(
            f"cannot {what}: the host's key is not the one in known_hosts, or not in it ({reason}); "
            "if the host has a new key, compare it with what the host publishes and put it into known_hosts"
        )
    if _CERTIFICATE.search(said):
        return LoginError(
            f"cannot {what}: nobody that we trust vouches for the server ({reason}); "
            "if its authority is your own, put its certificate as ca.crt into the Secret of spec.secretRef"
        )
    asked_by = _ASKED_BY.search(said)
    if asked_by and asked_by[1] not in what:
        return FetchError(
            f"cannot {what}: the server sends us to {without_secrets(asked_by[1])}, and a login does not go "
            "along; set spec.url to where the repository is",
            retryable=True,
        )
    if _REDIRECT.search(said):
        return FetchError(
            f"cannot {what}: the server sends us elsewhere ({reason}), and a token does not go along; "
            "set spec.url to where the repository is",
            retryable=True,
        )
    if _AUTHENTICATION.search(said):
        return LoginError(
            f"cannot {what}: the server did not let us in ({reason}); check rights, key and known_hosts, "
            "or the Secret of spec.secretRef"
        )
    return None


def _reason(stderr: str) -> str:
    lines = [without_secrets(_printable(line)) for line in stderr.splitlines()]
    telling = [line for line in lines if not _NOISE.search(line)] or [line for line in lines if line]
    text = telling[0] if telling else "git gave no reason"
    return text.removeprefix("fatal: ").removeprefix("error: ")[:300]


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else " " for c in line).strip()
