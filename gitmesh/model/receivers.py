"""Who may tell the daemon of a push: the webhook receivers of its configuration.

Stage: none (pure). A secret is never written here: only the file or the environment variable that holds it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from gitmesh.model.providers import Secret
from gitmesh.model.values import ApiModel, Duration

ReceiverKind = Literal["github", "gitlab", "gitea", "forgejo", "bitbucket", "bitbucket-server", "generic"]

_Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
_SourceName = Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,253}/([a-z0-9.-]{1,253}|\*)$")]


class Receiver(ApiModel):
    """One webhook, at `/hooks/NAME`. Without a secret there is none.

    `sources` are the TrafficSources that it may wake, as `namespace/name` or `namespace/*`; empty: all.
    """

    name: _Name
    kind: ReceiverKind
    secret: Secret
    sources: Annotated[tuple[_SourceName, ...], Field(max_length=1_000)] = ()

    def may_wake(self, namespace: str, name: str) -> bool:
        """Say whether a source is one of those that it may wake."""
        return not self.sources or bool({f"{namespace}/{name}", f"{namespace}/*"} & set(self.sources))


class ReceiverLimits(ApiModel):
    """Bounds on what comes in."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    body_bytes_max: Annotated[int, Field(gt=0)] = 3_145_728
    """How large the body of a webhook may be."""
    header_bytes_max: Annotated[int, Field(gt=0)] = 65_536
    """How large its headers may be."""
    connections_max: Annotated[int, Field(gt=1)] = 32
    """How many connections may be open at a time."""
    request_timeout: Duration = timedelta(seconds=10)
    """How long one request may take."""
    replay_window: Duration = timedelta(minutes=5)
    """How old a signed moment may be, and how long a delivery is remembered."""
    hooks_per_minute_max: Annotated[int, Field(gt=0)] = 600
    """How many webhooks a minute each receiver takes."""
