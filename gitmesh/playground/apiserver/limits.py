"""How much the API server takes and keeps. Each bound has a name, so that an error can say which it was.

Stage: playground.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """Bounds of one server."""

    body_bytes_max: int = 3 * 1024 * 1024  # Source: kube-apiserver, MaxRequestBodyBytes
    objects_max: int = 50_000
    events_max: int = 2_000  # objects of kind Event; a cluster keeps them for an hour
    watch_history_max: int = 4_096  # events kept for each kind; older watches get 410
    watchers_max: int = 400
    watch_seconds: int = 1_800  # when a client names no timeoutSeconds
    bookmark_seconds: float = 15.0
    generated_name_tries: int = 8
