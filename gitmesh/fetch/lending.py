"""What opens a repository, lent to one run of git: by its environment, and by files that go when it ends.

Stage: fetch (effect). Nothing of it is on a command line, in the mirror, or left on disk. A directory that a
killed daemon left behind is removed before the next one is made.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from gitmesh.fetch.environment import NOTHING_LENT, SSH, Lent
from gitmesh.fetch.urls import Remote
from gitmesh.model.repository import OPEN, Access

# A shell function, so that the password is on no command line: printf is built into the shell.
# Source: git-scm.com, gitcredentials, "Custom helpers".
_HELPER = (
    '!f() { test "$1" = get && '
    'printf "username=%s\\npassword=%s\\n" "$GITMESH_GIT_USERNAME" "$GITMESH_GIT_PASSWORD"; }; f'
)
_ASKPASS = '#!/bin/sh\nprintf "%s\\n" "$GITMESH_KEY_PASSWORD"\n'


SUFFIX = ".lent"  # of the directory beside a mirror


def take_back(mirrors: Path) -> None:
    """Remove what a daemon that was killed has left beside its mirrors."""
    for directory in mirrors.glob(f"*{SUFFIX}"):
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def lent(access: Access, remote: Remote, directory: Path) -> Iterator[Lent]:
    """Lend for as long as the context lasts. `directory` is for the files, and must be nobody else's."""
    shutil.rmtree(directory, ignore_errors=True)
    if access == OPEN or remote.transport not in ("https", "http", "ssh"):
        yield NOTHING_LENT
        return
    try:
        directory.mkdir(mode=0o700, parents=True)
        yield (
            _by_ssh(access, directory) if remote.transport == "ssh" else _by_https(access, remote, directory)
        )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _by_https(access: Access, remote: Remote, directory: Path) -> Lent:
    parts = urlsplit(remote.text)
    # git asks the helper for this server alone, so that a redirect leads the password nowhere else.
    server = f"{parts.scheme}://{parts.netloc}"
    config: dict[str, str] = {}
    variables: dict[str, str] = {}
    if access.password:
        config[f"credential.{server}.helper"] = _HELPER
        variables = {"GITMESH_GIT_USERNAME": access.username, "GITMESH_GIT_PASSWORD": access.password}
    if access.bearer_token:
        config[f"http.{server}/.extraHeader"] = f"Authorization: Bearer {access.bearer_token}"
        config["http.followRedirects"] = "false"  # the header would go along
    if access.authorities:
        config["http.sslCAInfo"] = _written(directory, "ca.crt", access.authorities)
    if access.certificate:
        config["http.sslCert"] = _written(directory, "tls.crt", access.certificate)
        config["http.sslKey"] = _written(directory, "tls.key", access.certificate_key)
    if access.proxy:
        config["http.proxy"] = access.proxy
    quoted = tuple(quote(secret, safe="") for secret in access.secrets)
    return Lent(config, variables, (*access.secrets, *quoted))


def _by_ssh(access: Access, directory: Path) -> Lent:
    options = {
        "IdentityFile": _written(directory, "identity", access.identity),
        "UserKnownHostsFile": _written(directory, "known_hosts", access.known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "UpdateHostKeys": "no",
        "BatchMode": "no" if access.identity_password else "yes",
    }
    command = " ".join([SSH, *(shlex.quote(f'-o{name}="{value}"') for name, value in options.items())])
    variables = {"GIT_SSH_COMMAND": command}
    if access.identity_password:
        # The only question that is left to ask: hosts are known or refused, and only keys are offered.
        askpass = _written(directory, "askpass", _ASKPASS, mode=0o700)
        variables |= {
            "SSH_ASKPASS": askpass,
            "SSH_ASKPASS_REQUIRE": "force",
            "GITMESH_KEY_PASSWORD": access.identity_password,
        }
    return Lent({}, variables, access.secrets)


def _written(directory: Path, name: str, text: str, mode: int = 0o600) -> str:
    path = directory / name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    return str(path.absolute())
