"""The environment of every git process: no configuration of the host, no prompt, no hook, one transport.

Stage: fetch (pure).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

SSH = "ssh -F /dev/null -oStrictHostKeyChecking=yes -oConnectTimeout=10"


@dataclass(frozen=True, slots=True)
class Lent:
    """What one run of git is lent to get in: configuration and variables. Both travel by its environment.

    `secrets` must not be seen in anything that git or a server says.
    """

    config: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def blot(self, text: str) -> str:
        """Take out of a text what must not be seen."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


NOTHING_LENT = Lent()

# Later values of git's command-line configuration win over every file.
_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.symlinks": "false",
    # A large file passes through git piece by piece, whatever its size; packs are never taken apart.
    "core.bigFileThreshold": "8m",
    "core.deltaBaseCacheLimit": "16m",
    "fetch.unpackLimit": "1",
    "pack.threads": "2",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "gc.autoDetach": "false",
    # The commit that was applied last must stay readable, also after a force-push took it from the branch.
    "gc.pruneExpire": "never",
    "gc.cruftPacks": "false",
    "maintenance.auto": "false",
    "http.followRedirects": "initial",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "protocol.version": "2",
    "safe.bareRepository": "explicit",
    "transfer.bundleURI": "false",
    "transfer.fsckObjects": "true",
    # Found in the history of honest old repositories, and harmless without a work tree.
    "fetch.fsck.zeroPaddedFilemode": "ignore",
    "fetch.fsck.missingSpaceBeforeDate": "ignore",
    "fetch.fsck.badTimezone": "ignore",
    "fetch.fsck.missingNameBeforeEmail": "ignore",
}

_FIXED = {
    "GIT_ASKPASS": "",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_SSH_COMMAND": f"{SSH} -oBatchMode=yes",
    "GIT_SSH_VARIANT": "ssh",
    "GIT_TERMINAL_PROMPT": "0",
    "SSH_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
}


def git_environment(transport: str, lent: Lent = NOTHING_LENT) -> Mapping[str, str]:
    """Return the variables that git gets on top of the host's. An empty transport allows no network."""
    config = {**_CONFIG, **lent.config}
    numbered: dict[str, str] = {"GIT_CONFIG_COUNT": str(len(config))}
    for index, (key, value) in enumerate(config.items()):
        numbered[f"GIT_CONFIG_KEY_{index}"] = key
        numbered[f"GIT_CONFIG_VALUE_{index}"] = value
    return {**_FIXED, **numbered, **lent.variables, "GIT_ALLOW_PROTOCOL": transport or "none"}


def inherited_names(host: Collection[str], ours: Collection[str]) -> tuple[str, ...]:
    """Return the GIT_ variables of the host that must not reach git, such as GIT_DIR inside a hook."""
    return tuple(sorted(name for name in host if name.startswith("GIT_") and name not in ours))
