"""Which commit of which repository a source follows, and what opens the repository.

Stage: none (pure). `RepositoryFields` is the part of a TrafficSource's spec that fetching reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator, model_validator

from gitmesh.model.semver import parse_range
from gitmesh.model.values import ApiModel, Duration

COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_IGNORE_MAX = 100
_PATTERN_CHARS_MAX = 256
DEFAULT_BRANCH = "main"

Pattern = Annotated[str, StringConstraints(max_length=_PATTERN_CHARS_MAX)]


class RefKind(StrEnum):
    """How a commit is named."""

    BRANCH = "branch"
    TAG = "tag"
    SEMVER = "semver"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class Ref:
    """What is followed: a branch, a tag, the newest tag in a range of versions, or one commit of a branch."""

    kind: RefKind
    name: str
    branch: str = DEFAULT_BRANCH  # where a commit is looked for

    @classmethod
    def of(cls, ref: Ref | str) -> Ref:
        """Return the ref; a text is the name of a branch."""
        return ref if isinstance(ref, Ref) else cls(RefKind.BRANCH, ref)

    @property
    def moves_freely(self) -> bool:
        """True where a new commit need not descend from the one before: a person names each."""
        return self.kind is RefKind.COMMIT

    def __str__(self) -> str:
        if self.kind is RefKind.COMMIT:
            return f"commit {self.name[:12]} of {self.branch}"
        words = {RefKind.BRANCH: "branch", RefKind.TAG: "tag", RefKind.SEMVER: "the newest tag in"}
        return f"{words[self.kind]} {self.name}"


@dataclass(frozen=True, slots=True)
class Access:
    """What opens a repository. Nothing of it is ever shown: `repr` leaves it out."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)
    authorities: str = field(default="", repr=False)  # PEM: who may vouch for the server
    certificate: str = field(default="", repr=False)  # PEM: our own, with its key
    certificate_key: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)  # a private key for ssh
    identity_password: str = field(default="", repr=False)
    known_hosts: str = field(default="", repr=False)
    proxy: str = field(default="", repr=False)  # a URL, with its login if it has one
    proxy_password: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be seen, where a server or a tool repeats it."""
        lines = (self.password, self.bearer_token, self.identity_password, self.proxy_password)
        return tuple(text for text in lines if text)


OPEN = Access()


class SecretRef(ApiModel):
    """A Secret in the namespace of the TrafficSource."""

    name: Annotated[str, Field(min_length=1, max_length=253)]


class RepositoryFields(ApiModel):
    """Where the traffic configuration is, and how it is reached."""

    url: str
    branch: str = DEFAULT_BRANCH
    tag: str = ""
    semver: Annotated[str, Field(max_length=200)] = (
        ""  # a range of versions: the newest tag in it is followed
    )
    commit: str = ""
    path: str = "."
    ignore: Annotated[tuple[Pattern, ...], Field(max_length=_IGNORE_MAX)] = ()
    interval: Duration = timedelta(minutes=1)
    secret_ref: SecretRef | None = None
    proxy_secret_ref: SecretRef | None = None
    fast_forward_only: bool = True  # whether a branch whose history was rewritten is held

    @property
    def ref(self) -> Ref:
        """What is followed."""
        if self.commit:
            return Ref(RefKind.COMMIT, self.commit, self.branch)
        if self.semver:
            return Ref(RefKind.SEMVER, self.semver)
        if self.tag:
            return Ref(RefKind.TAG, self.tag)
        return Ref(RefKind.BRANCH, self.branch)

    @field_validator("interval")
    @classmethod
    def _not_too_often(cls, value: timedelta) -> timedelta:
        if value < timedelta(seconds=1):
            raise ValueError("interval must be at least 1s")
        return value

    @field_validator("commit")
    @classmethod
    def _is_a_commit(cls, value: str) -> str:
        if value and not COMMIT.fullmatch(value):
            raise ValueError(
                f"{value[:80]!r} is not the full id of a commit: 40 hexadecimal digits in lower case"
            )
        return value

    @field_validator("semver")
    @classmethod
    def _is_a_range(cls, value: str) -> str:
        if value:
            parse_range(value)
        return value

    @field_validator("ignore")
    @classmethod
    def _are_patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            if not pattern.strip("!/ ") or not pattern.isprintable():
                raise ValueError(f"{pattern[:60]!r} is not a pattern; write one as in .gitignore")
        return value

    @model_validator(mode="after")
    def _names_one(self) -> RepositoryFields:
        named = [name for name in ("tag", "semver", "commit") if getattr(self, name)]
        if "branch" in self.model_fields_set and not self.commit:
            named.insert(0, "branch")
        if len(named) > 1:
            raise ValueError(f"{' and '.join(named)} are given; a source follows one of them")
        return self
