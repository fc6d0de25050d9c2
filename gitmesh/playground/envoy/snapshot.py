"""What Envoy serves at one moment, and how two moments differ.

Stage: playground (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gitmesh.playground.translate.naming import Envoy


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Clusters and route configurations by name. The messages must not be changed by anyone."""

    clusters: Mapping[str, Envoy] = field(default_factory=dict)
    routes: Mapping[str, Envoy] = field(default_factory=dict)


def differs_in_shape(old: Snapshot, new: Snapshot) -> bool:
    """Say whether more differs than weights and endpoints, which cannot be wrong in themselves."""
    return _shape(old) != _shape(new)


def _shape(snapshot: Snapshot) -> tuple[Any, ...]:
    clusters = {
        name: {key: value for key, value in cluster.items() if key != "load_assignment"}
        for name, cluster in snapshot.clusters.items()
    }
    return clusters, _without_weights(dict(snapshot.routes))


def _without_weights(value: Any) -> Any:
    if isinstance(value, dict):
        if "weighted_clusters" in value:
            entries = value["weighted_clusters"]["clusters"]
            rest = [
                e
                for entry in entries
                if (e := {k: v for k, v in entry.items() if k not in ("name", "weight")})
            ]
            value = {**value, "weighted_clusters": rest}
        return {key: _without_weights(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_without_weights(child) for child in value]
    return value
