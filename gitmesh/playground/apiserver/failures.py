"""Everything that the server may refuse, as one exception that becomes a metav1.Status.

Stage: playground. Source: kubernetes.io, API concepts; apimachinery `pkg/api/errors` for reasons and codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


class ApiError(Exception):
    """A request that is answered with a Status object."""

    def __init__(
        self, code: int, reason: str, message: str, *, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details

    def status(self) -> dict[str, Any]:
        """Return the Status object of this failure."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            **({"reason": self.reason} if self.reason else {}),
            "code": self.code,
        }
        if self.details:
            body["details"] = self.details
        return body


def qualified(plural: str, group: str) -> str:
    """Return `virtualservices.networking.istio.io`; the core group adds nothing."""
    return f"{plural}.{group}" if group else plural


def _details(name: str, group: str, plural: str, causes: Iterable[dict[str, str]] = ()) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name, "group": group, "kind": plural}
    listed = list(causes)
    if listed:
        details["causes"] = listed
    return {key: value for key, value in details.items() if value}


def bad_request(message: str) -> ApiError:
    """400: the request itself makes no sense."""
    return ApiError(400, "BadRequest", message)


def not_typed(place: str, kind: str, problem: str) -> ApiError:
    """500: a configuration that does not fit its schema; `kind` as in `v1, Kind=ConfigMap`."""
    return ApiError(500, "", f"failed to create typed patch object ({place}; {kind}): {problem}")


def unauthorized() -> ApiError:
    """401: no bearer token, or not ours."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(name: str, group: str, plural: str, message: str, *, cause: str = "") -> ApiError:
    """403: understood, and not allowed."""
    causes = [{"reason": cause, "message": message}] if cause else []
    text = f'{qualified(plural, group)} "{name}" is forbidden: {message}'
    return ApiError(403, "Forbidden", text, details=_details(name, group, plural, causes))


def not_found(name: str, group: str, plural: str) -> ApiError:
    """404: no such object."""
    text = f'{qualified(plural, group)} "{name}" not found'
    return ApiError(404, "NotFound", text, details=_details(name, group, plural))


def no_such_path() -> ApiError:
    """404: no such group, version, kind or path."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def method_not_allowed(method: str) -> ApiError:
    """405: this path has no such verb."""
    return ApiError(405, "MethodNotAllowed", f"the server does not allow {method} on the requested resource")


def already_exists(name: str, group: str, plural: str) -> ApiError:
    """409 on create."""
    text = f'{qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", text, details=_details(name, group, plural))


def conflict(name: str, group: str, plural: str, message: str) -> ApiError:
    """409: a stale write or a precondition that no longer holds."""
    text = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {message}'
    return ApiError(409, "Conflict", text, details=_details(name, group, plural))


def stale_write(name: str, group: str, plural: str) -> ApiError:
    """409: metadata.resourceVersion is not the live one."""
    return conflict(
        name,
        group,
        plural,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def apply_conflict(message: str, conflicts: Sequence[tuple[str, str]]) -> ApiError:
    """409: other field managers own what a server-side apply wants. `conflicts`: cause and field."""
    causes = [{"reason": "FieldManagerConflict", "message": c, "field": f} for c, f in conflicts]
    return ApiError(409, "Conflict", message, details={"causes": causes})


def expired(message: str) -> ApiError:
    """410: the history that this needs is gone; list again."""
    return ApiError(410, "Expired", message)


def too_large(limit: int) -> ApiError:
    """413: the body is longer than `body_bytes_max`."""
    return ApiError(
        413, "RequestEntityTooLarge", f"the request body is longer than {limit} bytes (body_bytes_max)"
    )


def unsupported_media(message: str) -> ApiError:
    """415: a body in a form that is not read here."""
    return ApiError(415, "UnsupportedMediaType", message)


def invalid(name: str, group: str, kind: str, causes: Sequence[tuple[str, str]]) -> ApiError:
    """422: fields that are wrong. `causes`: field path and message."""
    listed = [{"reason": "FieldValueInvalid", "message": m, "field": p} for p, m in causes]
    problems = [f"{path}: {message}" for path, message in causes]
    text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
    return ApiError(
        422,
        "Invalid",
        f'{qualified(kind, group)} "{name}" is invalid: {text}',
        details=_details(name, group, kind, listed),
    )


def too_many(message: str) -> ApiError:
    """429: a named limit is reached."""
    return ApiError(429, "TooManyRequests", message, details={"retryAfterSeconds": 1})


def too_large_version(requested: int, current: int) -> ApiError:
    """504: a resource version from the future.

    Source: kube-apiserver, `NewTooLargeResourceVersionError`.
    """
    message = f"Timeout: Too large resource version: {requested}, current: {current}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return ApiError(504, "Timeout", message, details={"causes": causes, "retryAfterSeconds": 1})
