"""How each source and each rollout stands, as series that go when it goes.

Stage: engine (shell).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gitmesh.engine.memory import SourceMemory
from gitmesh.engine.meters import Meters
from gitmesh.engine.report import Source
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.rollout import Phase
from gitmesh.model.source import TrafficSourceStatus

ROLLOUT_SERIES_MAX = 1_000  # rollouts with series of their own; those in motion come first
_SEVERITIES = ("error", "warning", "info")
_ORDER = {phase.value: index for index, phase in enumerate((Phase.PROGRESSING, Phase.PROMOTING))}


class Gauges:
    """Sets the gauges of sources and rollouts. Only who works has any."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self._sources: dict[str, set[tuple[str, str]]] = {}  # source -> state and revision
        self._seen: Mapping[ResourceKey, Resource] | None = None
        self._rollouts: set[tuple[str, str, str]] = set()

    def clear(self) -> None:
        """Say nothing of any source."""
        for name in list(self._sources):
            self.forget(name)
        self.show_rollouts({})

    def show(
        self, source: Source, memory: SourceMemory, status: TrafficSourceStatus, clock: tuple[datetime, float]
    ) -> None:
        """Show how a source stands after a pass; `clock` is the time of day and the one of spans."""
        name, meters = source.name, self._meters
        meters.source_ready.labels(name).set(is_ready(status))
        meters.source_stalled.labels(name).set(any(c.type == "Stalled" for c in status.conditions))
        meters.source_suspended.labels(name).set(source.spec.suspend)
        meters.source_objects.labels(name).set(len(status.owned))
        for severity in _SEVERITIES:
            count = sum(finding.severity == severity for finding in status.findings)
            meters.source_findings.labels(name, severity).set(count)
        self._show_revisions(name, status)
        self._show_lag(name, memory, status, clock)

    def forget(self, name: str) -> None:
        """Take away the series of a source that is gone."""
        meters = self._meters
        for gauge in (
            meters.source_ready,
            meters.source_stalled,
            meters.source_suspended,
            meters.source_objects,
            meters.source_fetched,
            meters.source_behind,
        ):
            _remove(gauge, name)
        for severity in _SEVERITIES:
            _remove(meters.source_findings, name, severity)
        for state, revision in self._sources.pop(name, ()):
            _remove(meters.source_revision, name, state, revision)

    def show_rollouts(self, rollouts: Mapping[ResourceKey, Resource]) -> None:
        """Show where each rollout stands. The same mapping again is nothing new: snapshots never change."""
        if rollouts is self._seen:
            return
        self._seen = rollouts
        statuses = [(key, _mapping(r.body.get("status"))) for key, r in rollouts.items()]
        statuses.sort(key=lambda item: (_ORDER.get(str(item[1].get("phase")), 9), item[0]))
        shown: set[tuple[str, str, str]] = set()
        for key, status in statuses[:ROLLOUT_SERIES_MAX]:
            labels = (str(status.get("source", "")), key.namespace, key.name)
            shown.add(labels)
            progress = status.get("progress")
            self._meters.rollout_progress.labels(*labels).set(
                progress if isinstance(progress, int | float) else 0
            )
            for phase in Phase:
                self._meters.rollout_phase.labels(*labels, phase.value).set(
                    status.get("phase") == phase.value
                )
        for gone in self._rollouts - shown:
            _remove(self._meters.rollout_progress, *gone)
            for phase in Phase:
                _remove(self._meters.rollout_phase, *gone, phase.value)
        self._rollouts = shown
        self._meters.rollouts_unlisted.set(max(len(statuses) - ROLLOUT_SERIES_MAX, 0))

    def _show_revisions(self, name: str, status: TrafficSourceStatus) -> None:
        revisions = {
            ("fetched", status.fetched_revision),
            ("accepted", status.accepted_revision),
            ("applied", status.last_applied_revision),
        }
        now = {(state, revision) for state, revision in revisions if revision}
        for state, revision in self._sources.get(name, set()) - now:
            _remove(self._meters.source_revision, name, state, revision)
        for state, revision in now:
            self._meters.source_revision.labels(name, state, revision).set(1)
        self._sources[name] = now

    def _show_lag(
        self, name: str, memory: SourceMemory, status: TrafficSourceStatus, clock: tuple[datetime, float]
    ) -> None:
        now, monotonic = clock
        is_live = is_ready(status) and memory.awaited and memory.awaited[0] == status.last_applied_revision
        if memory.awaited is not None and is_live:
            self._meters.lag_seconds.observe(monotonic - memory.awaited[1])
            memory.awaited = None
        waited = monotonic - memory.awaited[1] if memory.awaited else 0.0
        self._meters.source_behind.labels(name).set(now.timestamp() - waited if memory.awaited else 0)


def is_ready(status: TrafficSourceStatus) -> bool:
    """Say whether everything that Git says is live."""
    return any(c.type == "Ready" and c.status == "True" for c in status.conditions)


def _remove(gauge: Any, *labels: str) -> None:
    try:
        gauge.remove(*labels)
    except KeyError:  # it was never set
        return


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
