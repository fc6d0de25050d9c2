"""Which kinds are managed, which are left alone, and which do not exist.

Stage: parse (pure).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from gitmesh.model.kinds import GITMESH, NETWORKING, TRAFFIC_KINDS, TRAFFIC_VERSIONS
from gitmesh.model.spelling import closest

_TRAFFIC = tuple(kind.kind for kind in TRAFFIC_KINDS)
_OTHER_NETWORKING = ("EnvoyFilter", "ProxyConfig", "WorkloadGroup")
_IN_GIT = ("RolloutPolicy", "Guardrail", "RouteTest", "FreezeWindow")
_IN_CLUSTER = ("TrafficSource", "TrafficRollout")
_GITMESH_VERSIONS = ("v1alpha1",)
_SHARED_NAMES = ("Gateway",)  # of the Gateway API, too


class Standing(Enum):
    """What GitMesh does with a kind."""

    MANAGED = auto()
    UNMANAGED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Judgement:
    """The standing of a kind; for an unknown one also why, what to do, and which field is wrong."""

    standing: Standing
    message: str = ""
    hint: str = ""
    field: str = "kind"


def standing_of(api_version: str, kind: str) -> Judgement:
    """Judge apiVersion and kind as they are written."""
    group, _, version = api_version.rpartition("/")
    if group == NETWORKING:
        return _in_group(group, version, kind, _TRAFFIC, _OTHER_NETWORKING, TRAFFIC_VERSIONS)
    if group == GITMESH:
        return _in_group(group, version, kind, _IN_GIT, _IN_CLUSTER, _GITMESH_VERSIONS)
    return _elsewhere(api_version, group, kind)


def _in_group(
    group: str,
    version: str,
    kind: str,
    managed: tuple[str, ...],
    others: tuple[str, ...],
    versions: tuple[str, ...],
) -> Judgement:
    if kind in others:
        return Judgement(Standing.UNMANAGED)
    if kind not in managed:
        near = closest(kind, managed + others)
        hint = f"did you mean {near}?" if near else f"kinds: {', '.join(managed)}"
        return Judgement(Standing.UNKNOWN, f"{group} has no kind {kind[:80]}", hint)
    if version not in versions:
        hint = f"write {group}/{versions[0]}"
        message = f"{kind} has no version {version[:40]} in {group}"
        return Judgement(Standing.UNKNOWN, message, hint, field="apiVersion")
    return Judgement(Standing.MANAGED)


def _elsewhere(api_version: str, group: str, kind: str) -> Judgement:
    """A misspelt group must not turn one of our kinds into one that is silently left alone."""
    for ours, kinds, versions in (
        (NETWORKING, _TRAFFIC, TRAFFIC_VERSIONS),
        (GITMESH, _IN_GIT, _GITMESH_VERSIONS),
    ):
        if kind in kinds and kind not in _SHARED_NAMES and closest(group or api_version, (ours,)):
            message = f"{kind} is not in the group {group or api_version}"
            hint = f"write apiVersion: {ours}/{versions[0]}"
            return Judgement(Standing.UNKNOWN, message, hint, field="apiVersion")
    return Judgement(Standing.UNMANAGED)
