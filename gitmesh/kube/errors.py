"""The one family of errors that leaves this package. Everything foreign is translated here, at the edge.

Stage: observe and apply (effect).
"""

from __future__ import annotations

from dataclasses import dataclass

from gitmesh.model.errors import EdgeError


class ClusterError(EdgeError):
    """A request to the API server failed. `retryable` says whether the same request may work later."""

    def __init__(self, message: str, *, retryable: bool, status: int = 0) -> None:
        super().__init__(message, retryable=retryable)
        self.status = status


class NotFoundError(ClusterError):
    """The object, or its kind, does not exist."""


class StaleWriteError(ClusterError):
    """409: the object has changed since it was read. Read it again, decide again."""


class WatchExpiredError(ClusterError):
    """410: the server no longer knows this resource version. List again."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """One field that another field manager owns."""

    manager: str
    field: str


class ApplyConflictError(ClusterError):
    """409 on server-side apply: other managers own fields that we wanted. Names them."""

    def __init__(self, message: str, conflicts: tuple[Conflict, ...]) -> None:
        super().__init__(message, retryable=False, status=409)
        self.conflicts = conflicts


class RejectedError(ClusterError):
    """The server understood and refuses: validation, admission, permission. Trying again changes nothing."""
