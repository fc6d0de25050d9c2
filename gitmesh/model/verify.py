"""Whose commits a source takes: what a TrafficSource's spec demands of signatures.

Stage: none (pure).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from gitmesh.model.repository import SecretRef
from gitmesh.model.values import ApiModel

_Signer = Annotated[str, StringConstraints(min_length=1, max_length=320)]
_Glob = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class ConfigMapRef(ApiModel):
    """A ConfigMap in the namespace of the TrafficSource."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]


class SignersRef(ApiModel):
    """Where the trusted signers are kept: keys `allowed_signers` (OpenSSH) and `*.asc` (GPG public keys)."""

    secret_ref: SecretRef | None = None
    config_map_ref: ConfigMapRef | None = None

    @model_validator(mode="after")
    def _one(self) -> SignersRef:
        if (self.secret_ref is None) == (self.config_map_ref is None):
            raise ValueError("say one of secretRef and configMapRef")
        return self


class PathRule(ApiModel):
    """Files below `path` change by signatures of `signers` alone, by those of `min` different ones.

    A signer is a principal of allowed_signers, an e-mail address of a GPG key, or the fingerprint of a key.
    """

    path: _Glob
    signers: Annotated[tuple[_Signer, ...], Field(min_length=1, max_length=100)]
    min: Annotated[int, Field(ge=1, le=100)] = 1

    @model_validator(mode="after")
    def _can_be_met(self) -> PathRule:
        if self.min > len(set(self.signers)):
            raise ValueError("min is more than there are signers")
        if self.path.startswith("/") or ".." in self.path.split("/"):
            raise ValueError("path begins at the root of the repository, without a slash")
        return self


class Verify(ApiModel):
    """What has to be signed: the newest commit, each since the accepted one, or the tag that is followed."""

    mode: Literal["head", "each", "tag"] = "head"
    signers: SignersRef
    paths: Annotated[tuple[PathRule, ...], Field(max_length=64)] = ()
