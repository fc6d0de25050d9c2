"""The signatures of commits, as git judges them by a list of trusted signers and nothing else.

Stage: fetch (effect). Everything here blocks and belongs in a worker thread. GPG gets a home of its own,
which goes when the work is done; no agent is started.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from gitmesh.fetch.command import GitExit, GitRunner
from gitmesh.fetch.environment import Lent
from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.failures import explain
from gitmesh.fetch.trust import Trust, TrustError
from gitmesh.fetch.urls import check_commit

_AT_ONCE = 200  # commits that are asked about together
_FIELDS = ("%H", "%G?", "%GS", "%GK", "%GF", "%GP", "%an <%ae>")
_HEADER_MAX = 1_048_576
_ANSWER_MAX = 16_777_216
_GPG_SECONDS = 30
_GPG_CONF = """\
batch
no-tty
quiet
no-autostart
no-auto-key-locate
keyserver-options no-auto-key-retrieve
"""
_NO_PROGRAM = "/bin/false"
_PACKAGES = {"gpg": "gpg", "ssh-keygen": "openssh-client"}


class Kind(StrEnum):
    """What a commit is signed with."""

    NONE = "no signature"
    SSH = "SSH"
    GPG = "GPG"
    X509 = "X.509"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Signature:
    """What git says of one commit. `verdict` is git's letter: G is good, by somebody on the list.

    Source: git-scm.com, git-log, PRETTY FORMATS, `%G?`.
    """

    commit: str
    verdict: str
    signer: str = ""  # the principal, or the user ID of the key
    keys: tuple[str, ...] = ()  # its key, the fingerprint, and that of the primary key
    author: str = ""

    @property
    def good(self) -> bool:
        """True for a signature of somebody on the list. `U` is not: SSH says so of every unknown key."""
        return self.verdict == "G"

    def is_by(self, name: str) -> bool:
        """Say whether a name of a path rule means this signer."""
        # Of the user ID of a GPG key only what stands last is an address; before it, its owner says anything.
        names = {self.signer, *re.findall(r"<([^<>]+)>\s*$", self.signer)}
        return name in names or name.replace(" ", "").upper() in {key.upper() for key in self.keys if key}


@contextmanager
def trusting(trust: Trust, now: datetime) -> Iterator[Lent]:
    """Lend git the list, for as long as the context lasts. Raises TrustError, FetchError."""
    with tempfile.TemporaryDirectory(prefix="gitmesh-trust-") as text:
        place = Path(text)
        allowed, _ = trust.at(now)
        signers = place / "allowed_signers"
        # Without a file git says that a commit signed by SSH has no signature.
        signers.write_text(allowed)
        home = place / "gnupg"
        gpg = _program("gpg", trust) if trust.keys else None
        ssh = _program("ssh-keygen", trust) if trust.allowed else None
        home.mkdir(mode=0o700)
        if gpg is not None:
            _fill(gpg, home, trust)
        config = {
            "gpg.program": gpg or _NO_PROGRAM,
            "gpg.openpgp.program": gpg or _NO_PROGRAM,
            "gpg.ssh.program": ssh or shutil.which("ssh-keygen") or _NO_PROGRAM,
            "gpg.ssh.allowedSignersFile": str(signers),
            "gpg.x509.program": _NO_PROGRAM,
            "log.showSignature": "false",
        }
        # ssh-keygen reads moments without a zone as local time, and translates what it says.
        yield Lent(config, {"GNUPGHOME": str(home), "TZ": "UTC", "LC_ALL": "C"})


def _program(name: str, trust: Trust) -> str:
    found = shutil.which(name)
    if found is None:
        raise FetchError(
            f"{trust.where} names signers, and {name} is not installed to check them; install it "
            f"(Debian: apt install {_PACKAGES[name]})",
            retryable=False,
        )
    return found


def _fill(gpg: str, home: Path, trust: Trust) -> None:
    """Make a key ring of the list's keys, each trusted like one's own."""
    (home / "gpg.conf").write_text(_GPG_CONF)
    trusted = []
    (home / "common.conf").write_text("")  # so that no key daemon is started
    for number, (name, content) in enumerate(sorted(trust.keys.items())):
        file = home / f"key-{number}.asc"
        file.write_bytes(content)
        ended = _run_gpg([gpg, "--status-fd=1", "--import", str(file)], home)
        found = _public_keys(ended.stdout)
        if not found:
            raise TrustError(f"{name} in {trust.where} holds no GPG public key that can be read")
        trusted += [f"trusted-key {fingerprint}\n" for fingerprint in found]
        file.unlink()
    (home / "gpg.conf").write_text(_GPG_CONF + "".join(dict.fromkeys(trusted)))


def _run_gpg(command: Sequence[str], home: Path) -> subprocess.CompletedProcess[str]:
    environment: Mapping[str, str] = {
        "PATH": os.environ.get("PATH", os.defpath),
        **{name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"},
        "GNUPGHOME": str(home),
        "HOME": str(home),
        "LC_ALL": "C",
    }
    try:
        return subprocess.run(
            command,
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GPG_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(f"gpg did not run: {type(error).__name__}", retryable=True) from None


def _public_keys(said: str) -> tuple[str, ...]:
    """Return the fingerprints of what was imported; nothing where one of them is a private key.

    Source: GnuPG, doc/DETAILS, IMPORT_OK: bit 16 is set where the key is a private one.
    """
    found = re.findall(r"^\[GNUPG:\] IMPORT_OK (\d+) ([0-9A-F]{40,64})$", said, re.MULTILINE)
    return () if any(int(flag) & 16 for flag, _ in found) else tuple(name for _, name in found)


def read_signatures(git: GitRunner, commits: Sequence[str]) -> Mapping[str, Signature]:
    """Return what git says of each commit, by its id. `git` was lent the list of `trusting`."""
    found: dict[str, Signature] = {}
    for start in range(0, len(commits), _AT_ONCE):
        found |= _some(git, [check_commit(commit) for commit in commits[start : start + _AT_ONCE]])
    return found


def _some(git: GitRunner, commits: Sequence[str]) -> Mapping[str, Signature]:
    with tempfile.TemporaryFile() as questions:
        questions.write("".join(f"{commit}\n" for commit in commits).encode())
        questions.seek(0)
        try:
            with git.stream(
                *("log", "-z", "--no-walk=unsorted", "--no-mailmap", "--encoding=UTF-8", "--stdin"),
                f"--format={'%x00'.join(_FIELDS)}",
                stdin=questions,
            ) as stdout:
                answer = stdout.read(_ANSWER_MAX).decode("utf-8", "replace")
        except GitExit as ended:
            raise explain(ended.stderr, what="check signatures") from None
    fields = answer.split("\0")
    size = len(_FIELDS)
    rows = [fields[at : at + size] for at in range(0, len(fields) - size + 1, size)]
    if [row[0] for row in rows] != list(commits):
        raise FetchError("git did not answer for each commit whose signature was asked for", retryable=True)
    return {
        commit: Signature(commit, verdict or "N", signer, tuple(filter(None, keys)), _plain(author))
        for commit, verdict, signer, *keys, author in rows
    }


def kind_of(git: GitRunner, commit: str) -> Kind:
    """Return what a commit is signed with, by what is written in it."""
    try:
        with git.stream("cat-file", "commit", check_commit(commit)) as stdout:
            raw = stdout.read(_HEADER_MAX)
    except GitExit as ended:
        raise explain(ended.stderr, what=f"read {commit[:12]}") from None
    header = raw.partition(b"\n\n")[0]
    begin = re.search(rb"^gpgsig(?:-sha256)? -----BEGIN ([A-Z ]+)-----", header, re.MULTILINE)
    kinds = {b"SSH SIGNATURE": Kind.SSH, b"PGP SIGNATURE": Kind.GPG, b"PGP MESSAGE": Kind.GPG}
    kinds[b"SIGNED MESSAGE"] = Kind.X509
    if begin is None:
        return Kind.UNKNOWN if re.search(rb"^gpgsig", header, re.MULTILINE) else Kind.NONE
    return kinds.get(begin[1], Kind.UNKNOWN)


def said_of(git: GitRunner, signature: Signature, trust: Trust, now: datetime) -> str:
    """Return what is wrong with a commit's signature, in words that go on after the commit's name."""
    kind, key = kind_of(git, signature.commit), _plain(signature.keys[0] if signature.keys else "")
    by = f" ({key})" if key else ""
    if kind is Kind.NONE:
        return "is not signed"
    if kind in (Kind.X509, Kind.UNKNOWN):
        return f"is signed in a way that GitMesh does not check ({kind.value})"
    if signature.verdict == "B":
        return (
            f"has a {kind.value} signature that does not fit its content: it was changed after it was signed"
        )
    if signature.verdict == "X":
        return f"has a GPG signature that has expired{by}"
    if signature.verdict == "Y":
        return f"is signed by a GPG key that has expired{by}"
    if signature.verdict == "R":
        return f"is signed by a GPG key that was revoked{by}"
    if key in trust.at(now)[1]:
        return f"is signed by an SSH key whose time in {trust.where} is not now{by}"
    return (
        f"is signed by {'an SSH' if kind is Kind.SSH else 'a GPG'} key that {trust.where} does not trust{by}"
    )


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:200]
