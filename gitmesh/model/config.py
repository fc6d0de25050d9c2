"""Every setting and limit of the daemon, with its default.

Stage: none (pure).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import PurePath

from gitmesh.model.notifications import NotificationConfig
from gitmesh.model.providers import Provider
from gitmesh.model.receivers import Receiver, ReceiverLimits
from gitmesh.model.values import ApiModel, Duration


class GitLimits(ApiModel):
    """Bounds on what is read from a repository."""

    files_max: int = 100_000
    file_bytes_max: int = 8_388_608
    total_bytes_max: int = 104_857_600
    path_depth_max: int = 32
    fetch_timeout: Duration = timedelta(seconds=60)


class ParseLimits(ApiModel):
    """Bounds on one YAML file."""

    documents_max: int = 100_000
    nesting_max: int = 64
    alias_expansions_max: int = 10_000
    diagnostics_max: int = 10_000


class MetricsConfig(ApiModel):
    """Where metrics come from. The first provider is asked where a policy names none."""

    providers: tuple[Provider, ...] = ()
    timeout: Duration = timedelta(seconds=5)
    response_bytes_max: int = 33_554_432


class Config(ApiModel):
    """The whole configuration of one daemon."""

    data_dir: PurePath
    namespace: str = ""  # watch TrafficSources of this namespace only; empty: all
    allow_file_urls: bool = False
    settle: Duration = timedelta(seconds=2)
    debounce: Duration = timedelta(milliseconds=20)
    pass_timeout: Duration = timedelta(minutes=2)
    api_timeout: Duration = timedelta(seconds=10)
    resync: Duration = timedelta(minutes=10)
    history_max: int = 20
    findings_max: int = 50
    gate_hosts: tuple[str, ...] = ("*",)  # patterns of the hosts that gates may ask
    listen_host: str = "127.0.0.1"
    listen_port: int = 0  # 0: no health and metrics server
    receivers: tuple[Receiver, ...] = ()
    receiver_host: str = "127.0.0.1"
    receiver_port: int = 0  # 0: no webhooks
    receiver: ReceiverLimits = ReceiverLimits()
    leader_election: bool = False
    lease_namespace: str = "gitmesh-system"
    git: GitLimits = GitLimits()
    parse: ParseLimits = ParseLimits()
    metrics: MetricsConfig = MetricsConfig()
    notifications: NotificationConfig = NotificationConfig()
