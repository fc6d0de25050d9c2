"""People who sign commits, with keys that are made for a test: by ssh-keygen and by gpg, the real ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gitmesh.fetch.trust import ALLOWED_SIGNERS, fingerprint
from gitmesh.playground.repository import GitRepository

TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Signer:
    """Somebody with a key. `line` is for allowed_signers, `public` is a GPG key; one of them is empty."""

    email: str
    options: tuple[str, ...]  # of git
    environment: Mapping[str, str]
    line: str = ""
    public: bytes = b""
    key: str = ""  # the fingerprint
    private: str = ""  # an SSH key, for a daemon that signs

    @property
    def name(self) -> str:
        return self.email.partition("@")[0].capitalize()


NOBODY = Signer("nobody@example.com", (), {})


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, env={**os.environ, **environment}
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


def ssh_signer(directory: Path, email: str, options: str = "", name: str = "") -> Signer:
    """Make an SSH key. `options` are those of its line in allowed_signers."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / (name or email)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(file))
    public = file.with_name(f"{file.name}.pub").read_text().strip()
    line = " ".join(filter(None, [email, options, public]))
    how = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={file}")
    return Signer(email, how, {}, line=line, key=fingerprint(line), private=file.read_text())


class GpgHome:
    """A home of GnuPG that people share, with an agent that ends with it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(mode=0o700, parents=True)
        self.environment = {"GNUPGHOME": str(directory)}

    def run(self, *arguments: str) -> str:
        return run(
            "gpg", "--batch", "--yes", "--quiet", "--pinentry-mode=loopback", *arguments, **self.environment
        )

    def signer(self, email: str, expires: str = "0", name: str = "") -> Signer:
        """Make a key that signs; `expires` is a time as gpg writes it."""
        user = f"{name or email} <{email}>"
        self.run("--passphrase", "", "--quick-gen-key", user, "ed25519", "sign", expires)
        listing = self.run("--with-colons", "--list-keys", f"={user}")
        (key,) = [row.split(":")[9] for row in listing.splitlines() if row.startswith("fpr")]
        how = ("-c", "gpg.format=openpgp", "-c", f"user.signingKey={key}")
        return Signer(email, how, self.environment, public=self.export(key), key=key)

    def export(self, key: str) -> bytes:
        return self.run("--armor", "--export", key).encode() + b"\n"

    def revoked(self, signer: Signer) -> bytes:
        """Return the public key with its own revocation."""
        text = (self.directory / "openpgp-revocs.d" / f"{signer.key}.rev").read_text()
        # A colon keeps such a file from being imported by accident.
        certificate = self.directory / "revoke.asc"
        certificate.write_text(text.replace(":-----BEGIN", "-----BEGIN"))
        self.run("--import", str(certificate))
        return self.export(signer.key)


@contextmanager
def gpg_home(directory: Path) -> Iterator[GpgHome]:
    """A home below a short path: the sockets of the agent need one."""
    home = GpgHome(directory)
    try:
        yield home
    finally:
        subprocess.run(
            ["gpgconf", "--kill", "all"],
            env={**os.environ, **home.environment},
            capture_output=True,
            timeout=30,
        )
        shutil.rmtree(directory, ignore_errors=True)


def trust_data(*signers: Signer) -> dict[str, bytes]:
    """What a Secret or ConfigMap holds that trusts these people."""
    lines = "".join(f"{signer.line}\n" for signer in signers if signer.line)
    data = {f"{signer.email}.asc": signer.public for signer in signers if signer.public}
    return {**data, ALLOWED_SIGNERS: lines.encode()} if lines else data


def commit_by(
    repository: GitRepository,
    signer: Signer,
    files: Mapping[str, str | bytes | None],
    message: str = "Change",
    *,
    push: bool = True,
    when: str = "",
) -> str:
    """Commit as somebody, signed if he has a key; return the commit's id. `when` is for both of its dates."""
    repository.write(files)
    repository.git("add", "--all")
    sign = "--gpg-sign" if signer.options else "--no-gpg-sign"
    git_by(
        repository,
        signer,
        "commit",
        "--quiet",
        "--allow-empty",
        "--no-verify",
        sign,
        "-m",
        message,
        when=when,
    )
    if push:
        repository.push(force=True)
    return repository.head


def merge_by(repository: GitRepository, signer: Signer, branch: str, *options: str) -> str:
    """Merge a branch by a merge commit; return its id."""
    sign = "--gpg-sign" if signer.options else "--no-gpg-sign"
    git_by(
        repository,
        signer,
        "merge",
        "--quiet",
        "--no-ff",
        "--no-verify",
        sign,
        "-m",
        "Merge",
        *options,
        branch,
    )
    repository.push(force=True)
    return repository.head


def git_by(repository: GitRepository, signer: Signer, *arguments: str, when: str = "") -> str:
    """Run git in the clone as somebody."""
    dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when} if when else {}
    who = {
        **{f"GIT_{role}_NAME": signer.name for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": signer.email for role in ("AUTHOR", "COMMITTER")},
    }
    still = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    return run(
        "git",
        "-C",
        str(repository.work),
        *signer.options,
        *arguments,
        **signer.environment,
        **who,
        **dates,
        **still,
    )
