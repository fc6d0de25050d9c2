"""Every setting and limit of the daemon, with its default and its meaning.

Stage: none (pure). The text below a setting is what docs/configuration.md says about it.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from gitmesh.model.notifications import NotificationConfig
from gitmesh.model.providers import Provider
from gitmesh.model.receivers import Receiver, ReceiverLimits
from gitmesh.model.tracing import TracingConfig
from gitmesh.model.values import ApiModel, Duration

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[Duration, Field(gt=timedelta(0))]
LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(ApiModel):
    """Base of every group of settings: the text below a setting becomes its description."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class GitLimits(Settings):
    """Bounds on what is read from a repository."""

    files_max: Count = 100_000
    """How many files a revision may have."""
    file_bytes_max: Count = 8_388_608
    """How large one file may be."""
    total_bytes_max: Count = 104_857_600
    """How large all files of a revision may be together."""
    pack_bytes_max: Count = 536_870_912
    """How much a server may send at once, as it takes on disk. On Linux only."""
    mirror_bytes_max: Count = 536_870_912
    """How large a mirror may become before it is made anew, without what no branch has any more."""
    memory_bytes_max: Annotated[int, Field(ge=33_554_432)] = 268_435_456
    """How much memory one process of git may take. On Linux only."""
    path_depth_max: Count = 32
    """How deep folders may be nested."""
    fetch_timeout: Positive = timedelta(seconds=60)
    """How long one fetch may take."""
    retry_max: Positive = timedelta(minutes=2)
    """The longest wait after failed fetches, where the interval of a source is shorter."""
    secret_refresh: Positive = timedelta(minutes=5)
    """How old the content of a Secret may get before it is read again."""
    fetches_at_once: Count = 16
    """How many repositories may be fetched at the same time."""


class ParseLimits(Settings):
    """Bounds on one YAML file."""

    documents_max: Count = 100_000
    """How many documents one file may have."""
    nesting_max: Count = 64
    """How deep values may be nested."""
    alias_expansions_max: Count = 10_000
    """How many values the aliases of a file may stand for."""
    diagnostics_max: Count = 10_000
    """How many findings are kept."""


class MetricsConfig(Settings):
    """Where metrics come from. The first provider is asked where a policy names none."""

    providers: tuple[Provider, ...] = ()
    """The providers, as [metrics](metrics.md#several-providers-and-logins) describes them; the first one is
    asked where a policy names none. `--prometheus` and `--scrape` add one each."""
    timeout: Positive = timedelta(seconds=5)
    """How long one question may take."""
    response_bytes_max: Count = 33_554_432
    """How large an answer may be."""

    @model_validator(mode="after")
    def _no_name_twice(self) -> MetricsConfig:
        names = [provider.name for provider in self.providers]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"several providers are called {twice[0]}")
        return self


class LogConfig(Settings):
    """What the daemon writes to standard error."""

    level: LogLevel = "info"
    """The mildest that is written: `debug`, `info`, `warning` or `error`."""
    format: Literal["auto", "json", "text"] = "auto"
    """`text` is for people, `json` for machines; `auto` is `text` on a terminal."""


class LeaseConfig(Settings):
    """The Lease by which replicas agree on who works. Source: kubernetes/client-go, the same defaults."""

    namespace: str = "gitmesh-system"
    """The namespace of the Lease."""
    name: Annotated[str, Field(min_length=1, max_length=200)] = "gitmesh"
    """The name of the Lease."""
    duration: Duration = timedelta(seconds=15)
    """How long a leader counts after its last sign of life; whole seconds."""
    renew_deadline: Duration = timedelta(seconds=10)
    """When a leader that cannot renew gives up; below `duration`."""
    retry_period: Duration = timedelta(seconds=2)
    """How often a leader renews, and the others look."""

    @model_validator(mode="after")
    def _in_order(self) -> LeaseConfig:
        if not timedelta(0) < self.retry_period < self.renew_deadline < self.duration:
            raise ValueError("retryPeriod must be above 0 and below renewDeadline, and that below duration")
        if self.duration % timedelta(seconds=1):
            raise ValueError("duration must be whole seconds: the API keeps no parts of them")
        return self


class ShardingConfig(Settings):
    """Which of the sources a daemon works on, when several daemons share the work."""

    label: Annotated[str, Field(max_length=63, pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$")] = ""
    """Only the sources whose label `gitmesh.dev/shard` is this; empty: those without the label."""
    count: Annotated[int, Field(ge=1, le=64)] = 1
    """Into how many parts these sources are cut, by a hash of their names."""
    index: Annotated[int, Field(ge=-1, le=63)] = -1
    """The only part to work on; -1: any, as the replicas agree by their leases."""

    @model_validator(mode="after")
    def _there_is_such_a_part(self) -> ShardingConfig:
        if self.index >= self.count:
            raise ValueError(f"index is at most {self.count - 1} of {self.count} parts, which begin at 0")
        return self


class Config(Settings):
    """The whole configuration of one daemon."""

    data_dir: PurePath
    """Where mirrors of the repositories are kept. They can be lost at any time."""
    namespace: str = ""
    """Follow the TrafficSources of this namespace only; empty: of all."""
    namespace_only: bool = False
    """See and change nothing outside of `namespace`, so that rights in it suffice."""
    allow_file_urls: bool = False
    """Allow repositories on this machine (`file://`)."""
    settle: Duration = timedelta(seconds=2)
    """How long to wait between two waves of a plan."""
    debounce: Duration = timedelta(milliseconds=20)
    """How long to wait for more changes before a pass."""
    pass_timeout: Positive = timedelta(minutes=2)
    """How long a pass over one source may take."""
    api_timeout: Positive = timedelta(seconds=10)
    """How long one request to the API server may take."""
    resync: Positive = timedelta(minutes=10)
    """How often everything is looked at although nothing has changed."""
    removal_timeout: Positive = timedelta(hours=1)
    """After this time a deleted source leaves in the cluster what cannot be deleted."""
    evidence_writes_per_minute: Count = 1_200
    """How many rollouts a minute are written down although a check has changed nothing but their evidence.
    With many in motion each waits its turn. What decides something is written at once."""
    history_max: Count = 20
    """How many entries the history of a rollout keeps."""
    findings_max: Count = 50
    """How many findings the status of a source shows."""
    cross_namespace: tuple[str, ...] = ("*",)
    """Patterns of the sources (`namespace/name`) that may change objects outside of their own namespace, and
    Namespaces and CustomResourceDefinitions. Where people of several teams create TrafficSources, name the
    trusted ones."""
    gate_hosts: tuple[str, ...] = ("*",)
    """Patterns of the hosts that gates of policies may ask."""
    listen_host: str = "127.0.0.1"
    """Where health and metrics are served."""
    listen_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Their port; 0: they are not served."""
    receivers: tuple[Receiver, ...] = ()
    """Who may tell of a push, as [webhooks](webhooks.md) describes them."""
    receiver_host: str = "127.0.0.1"
    """Where webhooks come in."""
    receiver_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Their port; 0: none come in."""
    receiver: ReceiverLimits = ReceiverLimits()
    leader_election: bool = False
    """Work only while holding a Lease."""
    lease: LeaseConfig = LeaseConfig()
    sharding: ShardingConfig = ShardingConfig()
    git: GitLimits = GitLimits()
    parse: ParseLimits = ParseLimits()
    metrics: MetricsConfig = MetricsConfig()
    notifications: NotificationConfig = NotificationConfig()
    tracing: TracingConfig = TracingConfig()
    log: LogConfig = LogConfig()

    @model_validator(mode="after")
    def _one_namespace(self) -> Config:
        if self.namespace_only and not self.namespace:
            raise ValueError("namespaceOnly needs a namespace")
        return self

    @model_validator(mode="after")
    def _is_whole(self) -> Config:
        if self.sharding.count > 1 and self.sharding.index < 0 and not self.leader_election:
            raise ValueError(
                "sharding.count without leaderElection needs sharding.index: who works on which?"
            )
        if bool(self.receiver_port) != bool(self.receivers):
            raise ValueError("receiverPort and receivers: --receiver and --receivers belong together")
        names = [receiver.name for receiver in self.receivers]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"several receivers are called {twice[0]}")
        return self


# What is decided once, when the daemon starts. Everything else follows the file while it runs.
NEEDS_RESTART: tuple[tuple[str, ...], ...] = (
    ("data_dir",),
    ("namespace",),
    ("namespace_only",),
    ("allow_file_urls",),
    ("listen_host",),
    ("listen_port",),
    ("receiver_host",),
    ("receiver_port",),
    ("receiver",),
    ("tracing",),
    ("leader_election",),
    ("lease",),
    ("sharding",),
    ("log", "format"),
)
