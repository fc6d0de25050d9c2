"""From a path and a query to what is asked.

Stage: playground (pure). Source: kubernetes.io, API concepts, "Resource URIs".
"""

from __future__ import annotations

from collections.abc import Mapping

from gitmesh.playground.apiserver import failures
from gitmesh.playground.apiserver.admission import VALIDATIONS
from gitmesh.playground.apiserver.kinds import Target
from gitmesh.playground.apiserver.reads import ListOptions
from gitmesh.playground.apiserver.registry import Registry
from gitmesh.playground.apiserver.watches import WatchOptions
from gitmesh.playground.apiserver.writes import APPLY_PATCH, WriteOptions

Query = Mapping[str, str]
_MANAGER_LENGTH_MAX = 128


def find_target(registry: Registry, segments: tuple[str, ...]) -> Target:
    """Return what `api/v1/...` or `apis/GROUP/VERSION/...` names. Raises 404."""
    group, version, rest = _split(segments)
    namespace = ""
    # `namespaces/NAME` is an object itself; with a kind behind it, it is where that kind is looked for.
    inside = len(rest) > 2 and rest[0] == "namespaces" and registry.find(group, version, rest[2]) is not None
    if inside:
        namespace, rest = rest[1], rest[2:]
    if not 1 <= len(rest) <= 3 or not all(rest) or (inside and not namespace):
        raise failures.no_such_path()
    kind = registry.find(group, version, rest[0])
    if kind is None or (namespace and not kind.namespaced):
        raise failures.no_such_path()
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if (subresource and not (subresource == "status" and kind.has_status)) or (
        name and kind.namespaced and not namespace
    ):
        raise failures.no_such_path()
    return Target(kind, version, namespace, name, subresource)


def _split(segments: tuple[str, ...]) -> tuple[str, str, tuple[str, ...]]:
    if segments[0] == "api" and len(segments) > 2:
        return "", segments[1], segments[2:]
    if segments[0] == "apis" and len(segments) > 3:
        return segments[1], segments[2], segments[3:]
    raise failures.no_such_path()


def flag(query: Query, name: str) -> bool:
    """Return a boolean of the query. Raises 400 for text that is none."""
    text = query.get(name, "")
    if text in ("", "0", "false", "False", "f", "F"):
        return False
    if text in ("1", "true", "True", "t", "T"):
        return True
    raise failures.bad_request(f'the query parameter {name} is "{text}"; it must be true or false')


def number(query: Query, name: str) -> int:
    """Return a whole number of the query, 0 when there is none. Raises 400."""
    text = query.get(name, "")
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise failures.bad_request(f'the query parameter {name} is "{text}"; it must be a whole number')
    return int(text)


def dry_run(query: Query) -> bool:
    """Say whether the write is only to be tried. Raises 400 for any value but All."""
    value = query.get("dryRun", "")
    if value not in ("", "All"):
        raise failures.bad_request(f'the query parameter dryRun is "{value}"; only All is supported')
    return value == "All"


def list_options(query: Query, name: str = "") -> ListOptions:
    """Read what a list or a watch wants. `name` restricts it to one object."""
    fields = query.get("fieldSelector", "")
    if name:
        fields = f"{fields},metadata.name={name}" if fields else f"metadata.name={name}"
    return ListOptions(
        label_selector=query.get("labelSelector", ""),
        field_selector=fields,
        limit=number(query, "limit"),
        continue_token=query.get("continue", ""),
        resource_version=query.get("resourceVersion", ""),
        match=query.get("resourceVersionMatch", ""),
    )


def watch_options(query: Query, name: str = "") -> WatchOptions:
    """Read what a watch wants."""
    return WatchOptions(
        listed=list_options(query, name),
        bookmarks=flag(query, "allowWatchBookmarks"),
        timeout_seconds=number(query, "timeoutSeconds"),
        initial_events=flag(query, "sendInitialEvents") if "sendInitialEvents" in query else None,
    )


def write_options(query: Query, media_type: str, user_agent: str) -> WriteOptions:
    """Read what a write wants. Raises 400 or 422."""
    manager = query.get("fieldManager", "")
    apply = media_type == APPLY_PATCH
    problems = []
    if apply and not manager:
        problems.append(("fieldManager", "Required value: is required for apply patch"))
    if len(manager) > _MANAGER_LENGTH_MAX or not manager.isprintable():
        text = f"Invalid value: must be printable and at most {_MANAGER_LENGTH_MAX} characters"
        problems.append(("fieldManager", text))
    if "force" in query and not apply:
        problems.append(("force", "Forbidden: may not be specified for non-apply patch"))
    if problems:
        raise failures.invalid("", "meta.k8s.io", "PatchOptions", problems)
    validation = query.get("fieldValidation", "") or "Warn"
    if validation not in VALIDATIONS:
        raise failures.bad_request(
            f'the query parameter fieldValidation is "{validation}"; use one of {", ".join(VALIDATIONS)}'
        )
    # Source: apiserver, managerOrUserAgent: the client's name up to the first slash.
    return WriteOptions(
        manager=manager or user_agent.partition("/")[0][:_MANAGER_LENGTH_MAX] or "unknown",
        dry_run=dry_run(query),
        validation=validation,
        force=flag(query, "force"),
    )
