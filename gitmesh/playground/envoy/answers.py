"""What Envoy's statistics say about its subscriptions: what it has taken, and how often it refused.

Stage: playground (pure).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gitmesh.playground.envoy.files import CLUSTERS, LISTENERS, Subscription, routes, secret

# One question for all subscriptions; the answer has three lines for each.
PATTERN = (
    r"(\.(version_text|update_rejected|update_failure)"
    r"|^listener_manager\.(total_listeners_warming|listener_create_success)"
    r"|^cluster_manager\.warming_clusters)$"
)
_PREFIXES = {"cluster_manager.cds": CLUSTERS, "listener_manager.lds": LISTENERS}


@dataclass(frozen=True, slots=True)
class Answer:
    """The version that Envoy serves (empty: none), and how often it refused one."""

    version: str = ""
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Answers:
    """All answers at one moment; empty while Envoy is away."""

    by_subscription: Mapping[str, Answer]
    listeners_created: int = 0
    listeners_warming: int = 0
    clusters_warming: int = 0

    def of(self, subscription: Subscription) -> Answer:
        """Return the answer about one subscription; an empty one when Envoy does not follow it."""
        return self.by_subscription.get(_known_as(subscription), Answer())

    def knows(self, subscription: Subscription) -> bool:
        """Say whether Envoy has said anything about one subscription."""
        return _known_as(subscription) in self.by_subscription


def read_answers(stats: Mapping[str, str]) -> Answers:
    """Sort statistics by subscription."""
    versions: dict[str, int] = {}
    refused: dict[str, int] = {}
    for name, value in stats.items():
        prefix, _, what = name.rpartition(".")
        subscription = _subscription(prefix)
        if subscription is None:
            continue
        key = _known_as(subscription)
        # Of a subscription that has ended, an old number may stay beside that of a new one.
        if what == "version_text":
            versions[key] = max(versions.get(key, 0), int(value) if value.isdecimal() else 0)
        else:
            refused[key] = refused.get(key, 0) + int(value)
    known = {
        key: Answer(str(versions.get(key) or ""), refused.get(key, 0)) for key in versions.keys() | refused
    }
    return Answers(
        known,
        listeners_created=int(stats.get("listener_manager.listener_create_success", 0)),
        listeners_warming=int(stats.get("listener_manager.total_listeners_warming", 0)),
        clusters_warming=int(stats.get("cluster_manager.warming_clusters", 0)),
    )


def _subscription(prefix: str) -> Subscription | None:
    if prefix in _PREFIXES:
        return _PREFIXES[prefix]
    if prefix.startswith("http."):
        _, found, name = prefix.partition(".rds.")
        return routes(name) if found else None
    _, found, name = f".{prefix}".partition(".sds.")
    return secret(name) if found else None


def _known_as(subscription: Subscription) -> str:
    """Return the name under which Envoy keeps statistics: it replaces what its statistics cannot hold."""
    name = re.sub(r"://|:/|[:\0]", "_", subscription.name)
    return f"{subscription.kind}/{name}"
