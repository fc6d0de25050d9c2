"""Watch: events after a resource version, with bookmarks, until the time is up.

Stage: playground. A watch reads the store's history and keeps no queue of its own: a client that is too slow
loses its place and gets 410. Source: kubernetes.io, API concepts, "Efficient detection of changes".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio

from gitmesh.playground.apiserver import failures
from gitmesh.playground.apiserver.cluster import Cluster
from gitmesh.playground.apiserver.failures import ApiError
from gitmesh.playground.apiserver.kinds import Body, Target
from gitmesh.playground.apiserver.reads import ListOptions, Wanted, read_version, selection
from gitmesh.playground.apiserver.store import StoreEvent

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What the query of a watch says."""

    listed: ListOptions
    bookmarks: bool = False
    timeout_seconds: int = 0
    initial_events: bool | None = None


Event = tuple[str, Body]


def check_watch(options: WatchOptions) -> None:
    """Raise 422 for options that contradict each other.

    Source: kubernetes.io, API concepts, "Streaming lists".
    """
    match = options.listed.match
    if options.initial_events is None:
        if match:
            raise _forbidden(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            )
        return
    if match != "NotOlderThan":
        raise _forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    if options.initial_events and not options.bookmarks:
        raise _forbidden("sendInitialEvents requires allowWatchBookmarks")


def _forbidden(message: str) -> ApiError:
    return failures.invalid(
        "", "meta.k8s.io", "ListOptions", [("resourceVersionMatch", f"Forbidden: {message}")]
    )


def check_room(cluster: Cluster) -> None:
    """Raise 429 when as many watches are open as the server keeps."""
    if cluster.watchers >= cluster.limits.watchers_max:
        raise failures.too_many(f"the server has {cluster.watchers} watches already (watchers_max)")


@contextmanager
def _counted(cluster: Cluster) -> Iterator[None]:
    cluster.watchers += 1
    try:
        yield
    finally:
        cluster.watchers -= 1


async def watch(cluster: Cluster, target: Target, options: WatchOptions) -> AsyncIterator[Event]:
    """Yield (type, object). Ends after `timeout_seconds`, or with an ERROR event of code 410."""
    wanted = selection(target.kind, options.listed.label_selector, options.listed.field_selector)
    deadline = cluster.monotonic() + (options.timeout_seconds or cluster.limits.watch_seconds)
    with _counted(cluster):
        try:
            async for event in _follow(cluster, target, options, wanted, deadline):
                yield event
        except ApiError as failure:
            yield "ERROR", failure.status()


async def _follow(
    cluster: Cluster,
    target: Target,
    options: WatchOptions,
    wanted: Wanted,
    deadline: float,
) -> AsyncIterator[Event]:
    store, resource = cluster.store, target.kind.resource
    position = _position(cluster, target, options)
    if position is None:
        position = store.revision
        for body in store.all(resource, target.namespace):
            if wanted(body):
                yield "ADDED", target.kind.as_version(body, target.version)
        if options.initial_events:
            yield "BOOKMARK", _bookmark(target, position, {INITIAL_EVENTS_END: "true"})
    told, bookmark_at = position, cluster.monotonic() + cluster.limits.bookmark_seconds
    while not cluster.stopping:
        events = store.events_after(resource, position)
        for event in events:
            position = told = event.revision
            shown = _shown(target, event, wanted)
            if shown:
                yield shown
        if events:  # while they were sent, more may have come
            continue
        now = cluster.monotonic()
        # A bookmark of this very revision is true: everything up to it has been sent.
        if options.bookmarks and told < store.revision and now >= min(bookmark_at, deadline):
            position = told = store.revision
            bookmark_at = now + cluster.limits.bookmark_seconds
            yield "BOOKMARK", _bookmark(target, told, {})
            continue
        if now >= deadline:
            return
        if bookmark_at <= now:
            bookmark_at = now + cluster.limits.bookmark_seconds
        with anyio.move_on_after(min(bookmark_at, deadline) - now):
            await store.changed(resource)


def _position(cluster: Cluster, target: Target, options: WatchOptions) -> int | None:
    """Return where to go on, or None to begin with everything that is there."""
    requested = read_version(options.listed.resource_version)
    if options.initial_events or (options.initial_events is None and requested == 0):
        return None
    if requested == 0:
        return cluster.store.revision
    if requested > cluster.store.revision:
        raise failures.expired(f"resource version {requested} is not of this server; list again")
    cluster.store.check_known(target.kind.resource, requested)
    return requested


def _shown(target: Target, event: StoreEvent, wanted: Wanted) -> Event | None:
    if target.namespace and event.place[0] != target.namespace:
        return None
    if target.name and event.place[1] != target.name:
        return None
    was = event.before is not None and wanted(event.before)
    is_now = event.type != "DELETED" and wanted(event.after)
    if not was and not is_now:
        return None
    kind = "MODIFIED" if was and is_now else "ADDED" if is_now else "DELETED"
    return kind, target.kind.as_version(event.after, target.version)


def _bookmark(target: Target, revision: int, annotations: Body) -> Body:
    metadata: Body = {"resourceVersion": str(revision), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    return {"kind": target.kind.kind, "apiVersion": target.api_version, "metadata": metadata}
