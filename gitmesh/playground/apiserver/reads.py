"""Get and list: selectors, pages, resource versions.

Stage: playground.
Source: kubernetes.io, API concepts, "Resource versions", "Retrieving large results sets in chunks".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from gitmesh.playground.apiserver import failures
from gitmesh.playground.apiserver.cluster import Cluster
from gitmesh.playground.apiserver.kinds import Body, ServedKind, Target, metadata_of
from gitmesh.playground.apiserver.objects.selectors import (
    SelectorError,
    parse_field_selector,
    parse_label_selector,
)

_FIELD = re.compile(r"([^=!,\s]+)\s*(?:!=|==|=)")
_COMMON_LABELS = frozenset({"metadata.name", "metadata.namespace"})


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What the query of a list or watch says."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    match: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Objects at one resource version, perhaps not all of them."""

    items: list[Body]
    revision: int
    continue_token: str = ""
    remaining: int = 0


Wanted = Callable[[Body], bool]


def get(cluster: Cluster, target: Target) -> Body:
    """Return one object in the requested version."""
    kind = target.kind
    live = cluster.store.get(kind.resource, target.namespace, target.name)
    if live is None:
        raise failures.not_found(target.name, kind.group, kind.plural)
    return kind.as_version(live, target.version)


def selection(kind: ServedKind, label_selector: str, field_selector: str) -> Wanted:
    """Return the test that both selectors make. Raises 400 for one that cannot be read."""
    for label in _FIELD.findall(field_selector):
        if label not in _COMMON_LABELS and label not in kind.field_labels:
            raise failures.bad_request(
                f'Unable to find "{kind.resource}" that match field selector "{field_selector}": '
                f"field label not supported: {label}"
            )
    try:
        has_labels = parse_label_selector(label_selector) if label_selector else None
        has_fields = parse_field_selector(field_selector) if field_selector else None
    except SelectorError as error:
        raise failures.bad_request(str(error)) from error

    def wanted(body: Body) -> bool:
        if has_labels and not has_labels(body):
            return False
        return not has_fields or has_fields(body)

    return wanted


def list_page(cluster: Cluster, target: Target, options: ListOptions) -> Page:
    """Return the objects that are asked for, from one moment, in order of namespace and name."""
    wanted = selection(target.kind, options.label_selector, options.field_selector)
    at, start = _where(cluster, target.kind, options)
    found = cluster.store.all(target.kind.resource, target.namespace, at=at)
    items = [body for body in found if wanted(body) and (start is None or _place(body) > start)]
    token, remaining = "", 0
    if options.limit and len(items) > options.limit:
        remaining = len(items) - options.limit
        items = items[: options.limit]
        token = _write_token(at, _place(items[-1]))
    shown = [target.kind.as_version(body, target.version) for body in items]
    return Page(shown, at, token, remaining)


def _where(cluster: Cluster, kind: ServedKind, options: ListOptions) -> tuple[int, tuple[str, str] | None]:
    current = cluster.store.revision
    if options.continue_token:
        if options.resource_version not in ("", "0"):
            raise failures.bad_request("specifying resource version is not allowed when using continue")
        at, start = _read_token(options.continue_token)
        cluster.store.check_known(kind.resource, at)
        return at, start
    requested = read_version(options.resource_version)
    if options.match not in ("", "Exact", "NotOlderThan"):
        raise failures.bad_request(f'resourceVersionMatch "{options.match}" is not supported')
    if options.match and not options.resource_version:
        raise failures.bad_request("resourceVersionMatch is forbidden unless resourceVersion is provided")
    if options.match == "Exact":
        cluster.store.check_known(kind.resource, requested)
        return requested, None
    if requested > current:
        raise failures.too_large_version(requested, current)
    return current, None


def read_version(text: str) -> int:
    """Return a resource version as a number; 0 when there is none. Raises 400."""
    if not text:
        return 0
    if not text.isdigit() or len(text) > 20:
        raise failures.bad_request(f'Invalid value for resourceVersion: "{text}": not a number')
    return int(text)


def _place(body: Body) -> tuple[str, str]:
    metadata = metadata_of(body)
    return metadata.get("namespace", ""), metadata["name"]


def _write_token(at: int, place: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([at, *place])).decode()


def _read_token(token: str) -> tuple[int, tuple[str, str]]:
    try:
        at, namespace, name = orjson.loads(base64.urlsafe_b64decode(token))
        return int(at), (str(namespace), str(name))
    except (binascii.Error, ValueError, TypeError) as error:
        raise failures.bad_request("continue key is not valid: it was not made by this server") from error
