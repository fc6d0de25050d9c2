"""An API server's verbs over HTTP, with objects as plain JSON.

Stage: observe and apply (effect). Satisfies `kube.protocol.ClusterClient`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import orjson

from gitmesh.kube.errors import ClusterError, NotFoundError
from gitmesh.kube.fence import Fence
from gitmesh.kube.protocol import Body, Listing, WatchEvent
from gitmesh.kube.status import error_of
from gitmesh.kube.transport import Call, Transport
from gitmesh.model.kinds import Kind
from gitmesh.model.source import FIELD_MANAGER

APPLY = "application/apply-patch+yaml"  # JSON is YAML
MERGE = "application/merge-patch+json"
PAGES_MAX = 10_000
_WRITE = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}


class KubeClient:
    """Speaks to one API server. Every time limit comes from `timeout`; watches also name their own."""

    def __init__(self, api: Any, *, timeout: timedelta, fence: Fence | None = None) -> None:
        self._transport = Transport(api, timeout=timeout, fence=fence)
        self._api = api
        self.configuration = api.configuration  # the official client's: address and login
        self.agent = str(api.user_agent)
        self.timeout = timeout

    def fenced(self, fence: Fence) -> KubeClient:
        """Return a client of the same connections that writes only as far as the fence lets it."""
        client = KubeClient(self._api, timeout=self.timeout, fence=fence)
        client.surround(self._transport.around)
        return client

    def limit(self, timeout: timedelta) -> None:
        """Wait so long for answers from now on."""
        self.timeout = timeout
        self._transport.limit(timeout)

    @property
    def address(self) -> str:
        """Where the API server is."""
        return self._transport.address

    def surround(self, around: Callable[[Call], AbstractContextManager[None]]) -> None:
        """Do each request within this: it may look, and changes nothing."""
        self._transport.around = around

    async def greet(self) -> None:
        """Ask for something small that needs a login: proof that the server answers, and knows us.

        Source: kubernetes.io, RBAC, "Default roles": /version is open to everybody, /api to those logged in.
        """
        await self._transport.send(Call("connect", "GET", "/api"))

    async def list(self, kind: Kind, *, namespace: str = "", page_size: int = 500) -> Listing:
        """Return every object, page by page. NotFoundError: kind not served."""
        items: list[Body] = []
        query = {"limit": str(page_size)}
        for _ in range(PAGES_MAX):
            page = await self._transport.send(
                Call(f"list {kind.plural}", "GET", _path(kind, namespace), query)
            )
            items += (_typed(kind, item) for item in page.get("items") or ())
            metadata = page.get("metadata") or {}
            token = metadata.get("continue")
            if not token:
                return Listing(tuple(items), str(metadata.get("resourceVersion", "")))
            query = {"limit": str(page_size), "continue": str(token)}
        raise ClusterError(f"list {kind.plural}: more than {PAGES_MAX} pages", retryable=True)

    async def watch(
        self,
        kind: Kind,
        *,
        resource_version: str,
        namespace: str = "",
        name: str = "",
        timeout_seconds: int = 300,
    ) -> AsyncIterator[WatchEvent]:
        """Yield events after `resource_version` until the server ends the watch.

        The first event is a bookmark at that very version: the watch stands. Raises WatchExpiredError.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
            **({"fieldSelector": f"metadata.name={name}"} if name else {}),
        }
        call = Call(f"watch {kind.plural}", "GET", _path(kind, namespace), query)
        async for line in self._transport.lines(call, seconds=timeout_seconds):
            if line:
                yield _event(kind, call.doing, line)
            else:
                yield WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": resource_version}})

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        """Return one object."""
        call = Call(_doing("get", kind, namespace, name), "GET", _path(kind, namespace, name))
        return _typed(kind, await self._transport.send(call))

    async def apply(
        self,
        kind: Kind,
        body: Body,
        *,
        force: bool = False,
        dry_run: bool = False,
        manager: str = FIELD_MANAGER,
    ) -> Body:
        """Apply server-side as `manager`, with strict field validation; return the object as stored."""
        query = {**_WRITE, "fieldManager": manager, "force": "true" if force else "false", **_dry(dry_run)}
        return await self._write("apply", "PATCH", kind, body, query, content_type=APPLY)

    async def create(self, kind: Kind, body: Body) -> Body:
        """Create one object. StaleWriteError when it exists already."""
        namespace, name = _place(body)
        call = Call(
            _doing("create", kind, namespace, name),
            "POST",
            _path(kind, namespace),
            _WRITE,
            _typed(kind, body),
        )
        return _typed(kind, await self._transport.send(call))

    async def replace(self, kind: Kind, body: Body) -> Body:
        """Replace one object; metadata.resourceVersion guards against a stale write."""
        return await self._write("replace", "PUT", kind, body, _WRITE)

    async def replace_status(self, kind: Kind, body: Body) -> Body:
        """Replace the status; metadata.resourceVersion guards against a stale write."""
        return await self._write("write the status of", "PUT", kind, body, _WRITE, subresource="status")

    async def merge_patch(self, kind: Kind, namespace: str, name: str, patch: Body) -> Body:
        """Apply a JSON merge patch (RFC 7396)."""
        call = Call(
            _doing("patch", kind, namespace, name),
            "PATCH",
            _path(kind, namespace, name),
            _WRITE,
            patch,
            MERGE,
        )
        return _typed(kind, await self._transport.send(call))

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        version: str = "",
        dry_run: bool = False,
    ) -> None:
        """Delete one object, with `uid` and `version` only as it was read. Absent already: no error."""
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if demanded := {n: v for n, v in (("uid", uid), ("resourceVersion", version)) if v}:
            options["preconditions"] = demanded
        if dry_run:
            options["dryRun"] = ["All"]
        doing = _doing("delete", kind, namespace, name)
        call = Call(doing, "DELETE", _path(kind, namespace, name), _dry(dry_run), options)
        try:
            await self._transport.send(call)
        except NotFoundError:
            return

    async def close(self) -> None:
        """Release connections."""
        await self._transport.close()

    async def _write(
        self,
        verb: str,
        method: str,
        kind: Kind,
        body: Body,
        query: Mapping[str, str],
        *,
        content_type: str = "application/json",
        subresource: str = "",
    ) -> Body:
        namespace, name = _place(body)
        path = _path(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        doing = _doing(verb, kind, namespace, name)
        answer = await self._transport.send(
            Call(doing, method, path, query, _typed(kind, body), content_type)
        )
        return _typed(kind, answer)


def _path(kind: Kind, namespace: str, name: str = "") -> str:
    parts = ["apis", kind.group, kind.version] if kind.group else ["api", kind.version]
    if namespace and kind.namespaced:
        parts += ["namespaces", namespace]
    parts.append(kind.plural)
    if name:
        parts.append(name)
    return "/" + "/".join(quote(part, safe="") for part in parts)


def _doing(verb: str, kind: Kind, namespace: str, name: str) -> str:
    return f"{verb} {kind.key(namespace, name)}"


def _place(body: Body) -> tuple[str, str]:
    metadata = body.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _typed(kind: Kind, body: Body) -> dict[str, Any]:
    """Name the type as we speak it: lists of built-in kinds leave it out, Git may use another version."""
    return {**body, "apiVersion": kind.api_version, "kind": kind.kind}


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _event(kind: Kind, doing: str, line: bytes) -> WatchEvent:
    try:
        event = orjson.loads(line)
        type_, body = event["type"], event["object"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise ClusterError(f"{doing}: an event is no JSON of the watch form", retryable=True) from None
    if type_ == "ERROR":
        status = body if isinstance(body, Mapping) else {}
        code = status.get("code")
        raise error_of(doing, code if isinstance(code, int) else 500, str(status.get("reason", "")), status)
    if type_ not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK") or not isinstance(body, Mapping):
        raise ClusterError(f"{doing}: an event has the unknown type {str(type_)[:40]!r}", retryable=True)
    return WatchEvent(type_, body if type_ == "BOOKMARK" else _typed(kind, body))
