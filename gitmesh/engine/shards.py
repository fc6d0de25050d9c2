"""Shards: which of the sources a daemon works on, when several share the work.

Stage: engine (pure). See docs/replicas.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gitmesh.engine.ports import Ports, everything
from gitmesh.engine.report import Source, guarded_source, read_source
from gitmesh.model.config import Config
from gitmesh.model.resource import Resource, ResourceKey

SHARD_LABEL = "gitmesh.dev/shard"


@dataclass(frozen=True, slots=True)
class Shard:
    """Those sources that have a label's value (or not the label at all), and of these one part of `count`."""

    label: str = ""
    index: int = 0
    count: int = 1

    @property
    def name(self) -> str:
        """The name as people see it, for example `0/4` or `payments 0/1`."""
        return f"{self.label} {self.index}/{self.count}".strip()

    @property
    def layout(self) -> str:
        """Into how many parts the sources are cut: two layouts must never be at work at the same time."""
        return str(self.count)

    def group(self, lease: str) -> str:
        """Return what all leases of these sources have in common, whatever their layout."""
        return f"{lease}-{self.label}" if self.label else lease

    def lease(self, lease: str) -> str:
        """Return the name of this shard's own Lease."""
        group = self.group(lease)
        return group if self.count == 1 else f"{group}-{self.index}-of-{self.count}"

    def follows(self, source: Resource) -> bool:
        """Say whether a source is one of this shard."""
        labelled = source.labels.get(SHARD_LABEL, "") == self.label
        return labelled and (self.count == 1 or part_of(source.key, self.count) == self.index)


def part_of(key: ResourceKey, count: int) -> int:
    """Return which of `count` parts a source falls into; the same everywhere and for ever."""
    return int.from_bytes(hashlib.sha256(key.path.encode()).digest()[:8]) % count


def shards_of(config: Config) -> tuple[Shard, ...]:
    """Return the shards that a daemon may work on."""
    settings = config.sharding
    indices = range(settings.count) if settings.index < 0 else (settings.index,)
    return tuple(Shard(settings.label, index, settings.count) for index in indices)


def ours(ports: Ports) -> Mapping[ResourceKey, Resource]:
    """Return the sources that are to be worked on here."""
    sources = ports.live.snapshot().sources
    if ports.follows is everything:
        return sources
    return {key: resource for key, resource in sources.items() if ports.follows(resource)}


def guarded_sources(ports: Ports) -> list[Source]:
    """Return every source of ours as the guard sees it: also one whose spec makes no sense has rollouts."""
    return [guarded_source(resource) for resource in ours(ports).values()]


def our_sources(ports: Ports) -> Iterator[Source]:
    """Yield the sources of ours whose specs make sense, in a fixed order."""
    present = ours(ports)
    for key in sorted(present):
        source = read_source(present[key])
        if isinstance(source, Source):
            yield source
