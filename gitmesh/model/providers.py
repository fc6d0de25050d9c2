"""Where metrics come from: the providers of a daemon, as its configuration names them.

Stage: none (pure). A secret is never written here: only the file or the environment variable that holds it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gitmesh.model.values import ApiModel

_Name = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
]
_Path = Annotated[str, Field(max_length=4_096)]


class Secret(ApiModel):
    """A secret in a file, which is read anew each time it is used, or in an environment variable."""

    file: _Path = ""
    env: Annotated[str, Field(max_length=200)] = ""

    @model_validator(mode="after")
    def _one(self) -> Secret:
        if bool(self.file) == bool(self.env):
            raise ValueError("a secret is in a file or in an environment variable: say one of file and env")
        return self


class Basic(ApiModel):
    """A user with a password."""

    username: Annotated[str, Field(min_length=1, max_length=500)]
    password: Secret


class Tls(ApiModel):
    """Files in PEM: who is trusted, in place of the machine's authorities, and who we are."""

    ca_file: _Path = ""
    cert_file: _Path = ""
    key_file: _Path = ""
    server_name: Annotated[str, Field(max_length=253)] = ""

    @model_validator(mode="after")
    def _pairs(self) -> Tls:
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("certFile and keyFile belong together")
        return self


class Provider(ApiModel):
    """One provider. Policies choose it by `name`; the first one is asked where a policy names none.

    `prometheus`: the query API of Prometheus, also of Thanos, Mimir and VictoriaMetrics. `scrape`: the page
    of metrics of one Envoy. `datadog`: the query API of Datadog. `web`: a web endpoint that answers in JSON.
    `requests` and `failed` are the queries by which a Datadog counts.
    """

    name: _Name
    kind: Literal["prometheus", "scrape", "datadog", "web"]
    url: Annotated[str, Field(min_length=1, max_length=2_000)]
    bearer: Secret | None = None
    basic: Basic | None = None
    headers: dict[str, Secret] = Field(default_factory=dict)
    tls: Tls = Tls()
    requests: Annotated[str, Field(max_length=10_000)] = ""
    failed: Annotated[str, Field(max_length=10_000)] = ""

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("a url begins with http:// or https://")
        return value

    @model_validator(mode="after")
    def _one_login(self) -> Provider:
        if self.bearer and self.basic:
            raise ValueError("bearer and basic exclude each other")
        if bool(self.requests) != bool(self.failed) or (self.requests and self.kind != "datadog"):
            raise ValueError("requests and failed belong together, and to a Datadog")
        return self
