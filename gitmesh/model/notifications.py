"""Who is told, and of what: the targets of notifications, as the daemon's configuration names them.

Stage: none (pure). A secret is never written here: only the file or the environment variable that holds it.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from gitmesh.model.notice import Importance
from gitmesh.model.providers import Secret
from gitmesh.model.values import ApiModel, Duration

_Name = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
]
_Url = Annotated[str, Field(max_length=2_000)]
_Patterns = Annotated[tuple[str, ...], Field(max_length=100)]
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)+")

COMMIT_KINDS = ("github", "gitlab", "gitea")
PUBLIC_HOSTS = {"github": "github.com", "gitlab": "gitlab.com", "gitea": "gitea.com"}


class NoticeSelector(ApiModel):
    """Which notices are meant. Patterns as of a shell; an empty list means all.

    `events`: for example `Rollout*`. `sources`: `namespace/name` of a TrafficSource. `namespaces`: where the
    object is that a notice is about. `severity`: at least this.
    """

    events: _Patterns = ()
    sources: _Patterns = ()
    namespaces: _Patterns = ()
    severity: Importance | None = None


class NotificationTarget(ApiModel):
    """One place where people are told.

    `webhook`: a CloudEvent by POST, signed with `secret` if there is one, with `headers` for a login.
    `slack`: an incoming webhook (`urlFrom`), or an app (`token` and `channel`), whose messages are brought up
    to date. `apprise`: any of the services that Apprise knows (`urlFrom`). `github`, `gitlab`, `gitea`: a
    status for each commit (`token`); `url` is for a server of your own, `repository` where it is not that of
    the source.
    """

    name: _Name
    kind: Literal["webhook", "slack", "apprise", "github", "gitlab", "gitea"]
    url: _Url = ""
    url_from: Secret | None = None
    secret: Secret | None = None
    headers: Annotated[dict[str, Secret], Field(max_length=20)] = Field(default_factory=dict)
    token: Secret | None = None
    channel: Annotated[str, Field(max_length=100)] = ""
    repository: Annotated[str, Field(max_length=500)] = ""
    link: _Url = ""
    ca_file: Annotated[str, Field(max_length=4_096)] = ""
    select: NoticeSelector = NoticeSelector()
    exclude: tuple[NoticeSelector, ...] = ()

    @property
    def updates(self) -> bool:
        """True where a message that was sent can be changed."""
        return self.kind == "slack" and self.token is not None

    @property
    def least(self) -> Importance:
        """The least that matters: steps only where they make no new message, or a machine reads them."""
        quiet = not (self.updates or self.kind == "webhook")
        return self.select.severity or (Importance.INFO if quiet else Importance.PROGRESS)

    @field_validator("url", "link")
    @classmethod
    def _http(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("a url begins with http:// or https://")
        return value

    @field_validator("repository")
    @classmethod
    def _path(cls, value: str) -> str:
        if value and not _REPOSITORY.fullmatch(value):
            raise ValueError("a repository is of the form owner/name")
        return value

    @model_validator(mode="after")
    def _fits_its_kind(self) -> NotificationTarget:
        if self.kind == "webhook":
            _demand(bool(self.url) != bool(self.url_from), "a webhook has one of url and urlFrom")
        elif self.kind == "slack":
            _demand(
                bool(self.token) != bool(self.url_from),
                "slack has one of urlFrom (an incoming webhook) and token (an app)",
            )
            _demand(bool(self.token) == bool(self.channel), "token and channel belong together")
        elif self.kind == "apprise":
            _demand(self.url_from is not None, "apprise needs urlFrom: its address holds the login")
        else:
            _demand(self.token is not None, f"{self.kind} needs a token")
            _demand(not self.url_from, f"{self.kind} has a url, for a server of your own, and no urlFrom")
        _demand(self.secret is None or self.kind == "webhook", "only a webhook has a secret to sign with")
        _demand(not self.headers or self.kind == "webhook", "only a webhook has headers")
        if self.kind in COMMIT_KINDS:
            chosen = (self.select, *self.exclude)
            _demand(
                not any(s.events or s.severity or s.namespaces for s in chosen),
                "commit statuses are chosen by sources alone",
            )
        return self


class NotificationConfig(ApiModel):
    """All targets, and the limits that hold for each."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    targets: Annotated[tuple[NotificationTarget, ...], Field(max_length=100)] = ()
    """The targets, as [notifications](notifications.md) describes them."""
    window: Duration = timedelta(minutes=10)
    """The same news is told once in this time, unless something else was told of it in between."""
    queue_max: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """How much may wait for one target. What is above is dropped, the least important first."""
    timeout: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=10)
    """How long one attempt may take."""
    give_up: Duration = timedelta(hours=1)
    """How long after the first attempt a target is still tried."""
    fetch_failures: Annotated[int, Field(ge=1)] = 3
    """How many fetches have to fail in a row before people are told."""

    @field_validator("targets")
    @classmethod
    def _names_differ(cls, value: tuple[NotificationTarget, ...]) -> tuple[NotificationTarget, ...]:
        names = [target.name for target in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two targets have the name {twice[0]}")
        return value


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
