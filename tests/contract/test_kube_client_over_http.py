"""What KubeClient makes of the wire: a scripted server on loopback, the official client in between."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web

from gitmesh.kube import transport
from gitmesh.kube.client import KubeClient
from gitmesh.kube.connect import connect
from gitmesh.kube.errors import (
    ApplyConflictError,
    ClusterError,
    Conflict,
    NotFoundError,
    RejectedError,
    StaleWriteError,
    WatchExpiredError,
)
from gitmesh.model.kinds import SERVICE, VIRTUAL_SERVICE

pytestmark = pytest.mark.anyio
TOKEN = "very-secret-token"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REVIEWS = {
    "apiVersion": "networking.istio.io/v1beta1",
    "kind": "VirtualService",
    "metadata": {"namespace": "default", "name": "reviews"},
    "spec": {"hosts": ["reviews"]},
}


def kubeconfig(directory: Path, server: str, user: dict[str, Any] | None = None) -> Path:
    path = directory / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "current-context": "here",
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": user or {"token": TOKEN}}],
            }
        )
    )
    return path


@asynccontextmanager
async def a_client(
    tmp_path: Path,
    handler: Handler,
    *,
    seconds: float = 5,
    user: dict[str, Any] | None = None,
    greeting: tuple[Any, int] = ({"kind": "APIVersions"}, 200),
) -> AsyncIterator[KubeClient]:
    async def route(request: web.Request) -> web.StreamResponse:
        if request.path == "/api":
            return web.json_response(greeting[0], status=greeting[1])
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", route)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    file = kubeconfig(tmp_path, f"http://127.0.0.1:{port}", user)
    try:
        client = await connect(file, timeout=timedelta(seconds=seconds), environ={})
        try:
            yield client
        finally:
            await client.close()
    finally:
        await runner.cleanup()


def answering(body: Any, status: int = 200, seen: list[web.Request] | None = None) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        if seen is not None:
            seen.append(request)
        return web.json_response(body, status=status)

    return handler


def a_status(code: int, message: str, reason: str = "", **details: Any) -> dict[str, Any]:
    return {"kind": "Status", "code": code, "message": message, "reason": reason, "details": details}


async def test_an_apply_that_creates_returns_the_stored_object(tmp_path: Path) -> None:
    seen: list[web.Request] = []
    stored = {**REVIEWS, "metadata": {**REVIEWS["metadata"], "uid": "1"}}  # type: ignore[dict-item]
    async with a_client(tmp_path, answering(stored, 201, seen)) as client:
        answer = await client.apply(VIRTUAL_SERVICE, REVIEWS, force=True)
        request = seen[0]
        sent = await request.json()
    assert answer["metadata"]["uid"] == "1"
    assert request.method == "PATCH"
    assert request.path == "/apis/networking.istio.io/v1/namespaces/default/virtualservices/reviews"
    assert dict(request.query) == {"fieldManager": "gitmesh", "fieldValidation": "Strict", "force": "true"}
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["User-Agent"].startswith("gitmesh/")
    assert sent["apiVersion"] == "networking.istio.io/v1", "the version of the path, whatever Git wrote"


async def test_a_dry_run_says_so_on_the_wire(tmp_path: Path) -> None:
    seen: list[web.Request] = []
    async with a_client(tmp_path, answering(REVIEWS, seen=seen)) as client:
        await client.apply(VIRTUAL_SERVICE, REVIEWS, dry_run=True)
        await client.delete(VIRTUAL_SERVICE, "default", "reviews", uid="u1", dry_run=True)
    assert [request.query["dryRun"] for request in seen] == ["All", "All"]
    assert (await seen[1].json())["preconditions"] == {"uid": "u1"}


async def test_a_list_follows_every_page_and_types_its_items(tmp_path: Path) -> None:
    async def pages(request: web.Request) -> web.StreamResponse:
        token = request.query.get("continue", "")
        page = {"": ("a", "next+/="), "next+/=": ("b", "")}[token]
        return web.json_response(
            {
                "metadata": {"resourceVersion": "7", "continue": page[1]},
                "items": [{"metadata": {"name": page[0]}}],
            }
        )

    async with a_client(tmp_path, pages) as client:
        listing = await client.list(SERVICE, page_size=1)
    assert [item["metadata"]["name"] for item in listing.items] == ["a", "b"]
    assert all(item["kind"] == "Service" and item["apiVersion"] == "v1" for item in listing.items)
    assert listing.resource_version == "7"


@pytest.mark.parametrize(
    ("status", "reason", "kind", "retryable"),
    [
        (400, "BadRequest", RejectedError, False),
        (401, "Unauthorized", RejectedError, False),
        (403, "Forbidden", RejectedError, False),
        (404, "NotFound", NotFoundError, False),
        (409, "Conflict", StaleWriteError, True),
        (409, "AlreadyExists", StaleWriteError, True),
        (410, "Expired", WatchExpiredError, True),
        (422, "Invalid", RejectedError, False),
        (429, "TooManyRequests", ClusterError, True),
        (500, "InternalError", ClusterError, True),
        (503, "ServiceUnavailable", ClusterError, True),
    ],
)
async def test_every_refusal_has_its_kind(
    tmp_path: Path, status: int, reason: str, kind: type[ClusterError], retryable: bool
) -> None:
    async with a_client(
        tmp_path, answering(a_status(status, "told by the server", reason), status)
    ) as client:
        with pytest.raises(ClusterError) as caught:
            await client.get(VIRTUAL_SERVICE, "default", "reviews")
    assert type(caught.value) is kind
    assert caught.value.retryable is retryable
    assert caught.value.status == status
    assert "get VirtualService default/reviews at http://127.0.0.1" in str(caught.value)
    assert "told by the server" in str(caught.value)
    assert TOKEN not in str(caught.value)


async def test_cve_2025_23216_what_a_server_repeats_of_a_secret_is_in_no_error_and_no_warning(
    tmp_path: Path,
) -> None:
    secret = 'hunter2"\\x'
    headers = {"request": {"set": {"Authorization": f"Bearer {secret}", "x-version": "v1-open"}}}
    body = {**REVIEWS, "spec": {"http": [{"headers": headers}]}}
    repeated = f"Invalid value: {json.dumps(headers)}: {secret} with v1-open"

    async def handler(_: web.Request) -> web.StreamResponse:
        answer = a_status(422, f"admission webhook denied the request: {repeated}", "Invalid")
        return web.json_response(answer, status=422, headers={"Warning": '299 - "odd: hunter2"'})

    with structlog.testing.capture_logs() as logs:
        async with a_client(tmp_path, handler) as client:
            with pytest.raises(RejectedError) as caught:
                await client.apply(VIRTUAL_SERVICE, body)
            plain = {**body, "spec": {"http": [{"headers": {"request": {"set": {"x-token": "hunter2"}}}}]}}
            with pytest.raises(RejectedError):
                await client.apply(VIRTUAL_SERVICE, plain)
    assert "hunter2" not in str(caught.value)
    assert "with v1-open" in str(caught.value)
    assert [entry["warning"] for entry in logs][-1] == "odd: ***"


async def test_an_apply_conflict_names_managers_and_fields(tmp_path: Path) -> None:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-edit" using v1',
            "field": ".spec.http",
        },
        {"reason": "FieldManagerConflict", "message": "odd", "field": ".spec.hosts"},
        {"reason": "Other", "message": "x", "field": ".y"},
        "nonsense",
    ]
    async with a_client(
        tmp_path, answering(a_status(409, "2 conflicts", "Conflict", causes=causes), 409)
    ) as client:
        with pytest.raises(ApplyConflictError) as caught:
            await client.apply(VIRTUAL_SERVICE, REVIEWS)
    assert caught.value.conflicts == (Conflict("kubectl-edit", ".spec.http"), Conflict("odd", ".spec.hosts"))


async def test_deleting_what_is_absent_is_no_error(tmp_path: Path) -> None:
    async with a_client(tmp_path, answering(a_status(404, "gone"), 404)) as client:
        await client.delete(VIRTUAL_SERVICE, "default", "reviews")


@pytest.mark.parametrize("body", ["<html>login</html>", "[]", "", '"text"'])
async def test_an_answer_that_is_no_object_is_an_error(tmp_path: Path, body: str) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(text=body)

    async with a_client(tmp_path, handler) as client:
        with pytest.raises(ClusterError, match="no JSON object"):
            await client.get(VIRTUAL_SERVICE, "default", "reviews")


async def test_a_watch_opens_with_a_bookmark_and_yields_what_comes(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.query["resourceVersion"] == "5"
        assert request.query["allowWatchBookmarks"] == "true"
        response = web.StreamResponse()
        await response.prepare(request)
        line = json.dumps(
            {"type": "ADDED", "object": {"metadata": {"name": "a", "resourceVersion": "6"}}}
        ).encode()
        await response.write(line[:20])
        await response.write(line[20:] + b"\n" + line + b"\n" + line[:9])  # the last one is cut off
        return response

    async with a_client(tmp_path, handler) as client:
        events = [event async for event in client.watch(SERVICE, resource_version="5", timeout_seconds=1)]
    assert [event.type for event in events] == ["BOOKMARK", "ADDED", "ADDED"]
    assert events[0].object["metadata"]["resourceVersion"] == "5"
    assert events[1].object["kind"] == "Service"


async def test_a_watch_of_an_old_version_has_expired(tmp_path: Path) -> None:
    expired = {"type": "ERROR", "object": a_status(410, "too old resource version", "Expired")}

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=json.dumps(expired).encode() + b"\n")

    async with a_client(tmp_path, handler) as client:
        with pytest.raises(WatchExpiredError, match="too old"):
            async for _ in client.watch(SERVICE, resource_version="1", timeout_seconds=1):
                pass


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"[]\n", b'{"type":"NEW","object":{}}\n', b'{"type":"ADDED"}\n']
)
async def test_an_odd_watch_line_is_an_error_that_may_pass(tmp_path: Path, line: bytes) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=line)

    async with a_client(tmp_path, handler) as client:
        with pytest.raises(ClusterError) as caught:
            async for _ in client.watch(SERVICE, resource_version="1", timeout_seconds=1):
                pass
    assert caught.value.retryable


async def test_an_event_without_end_is_not_kept_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LINE_BYTES_MAX", 1000)
    monkeypatch.setattr(transport, "ANSWER_BYTES_MAX", 1000)

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * 5000)

    async with a_client(tmp_path, handler) as client:
        with pytest.raises(ClusterError, match="above 1000 bytes"):
            async for _ in client.watch(SERVICE, resource_version="1", timeout_seconds=1):
                pass
        with pytest.raises(ClusterError, match="above 1000 bytes"):
            await client.list(SERVICE)


async def test_a_silent_server_is_given_up(tmp_path: Path) -> None:
    import anyio

    async def handler(_: web.Request) -> web.StreamResponse:
        await anyio.sleep(30)
        raise AssertionError

    async with a_client(tmp_path, handler, seconds=0.2) as client:
        with pytest.raises(ClusterError, match=r"no answer within 0\.2 s") as caught:
            await client.get(SERVICE, "default", "a")
        assert caught.value.retryable
        with pytest.raises(ClusterError, match=r"no answer within 0\.2 s"):
            async for _ in client.watch(SERVICE, resource_version="1"):
                pass


async def test_a_warning_of_the_server_is_logged_once(tmp_path: Path) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.json_response(REVIEWS, headers={"Warning": '299 - "v1beta1 is deprecated"'})

    with structlog.testing.capture_logs() as logs:
        async with a_client(tmp_path, handler) as client:
            await client.get(VIRTUAL_SERVICE, "default", "reviews")
            await client.get(VIRTUAL_SERVICE, "default", "reviews")
    assert [entry["warning"] for entry in logs] == ["v1beta1 is deprecated"]


async def test_a_token_file_is_read_again_when_it_may_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitmesh.kube.connect.TOKEN_FILE_SECONDS", 0)
    (tmp_path / "token").write_text("first\n")
    seen: list[web.Request] = []
    async with a_client(tmp_path, answering(REVIEWS, seen=seen), user={"tokenFile": "token"}) as client:
        (tmp_path / "token").write_text("second\n")
        await client.get(VIRTUAL_SERVICE, "default", "reviews")
    assert seen[0].headers["Authorization"] == "Bearer second"


async def test_a_credential_plugin_is_asked_for_the_token(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    status = {"token": "from-plugin", "expirationTimestamp": "2999-01-01T00:00:00Z"}
    plugin.write_text(f"#!/bin/sh\necho '{json.dumps({**answer, 'status': status})}'\n")
    plugin.chmod(0o755)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}
    seen: list[web.Request] = []
    async with a_client(tmp_path, answering(REVIEWS, seen=seen), user=user) as client:
        await client.get(VIRTUAL_SERVICE, "default", "reviews")
    assert seen[0].headers["Authorization"] == "Bearer from-plugin"


async def test_a_credential_plugin_that_fails_is_named(tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/nowhere/plugin"}}
    file = kubeconfig(tmp_path, "http://127.0.0.1:1", user)
    with pytest.raises(ClusterError, match="plugin of user 'u' gave no credentials") as caught:
        await connect(file, timeout=timedelta(seconds=2), environ={})
    assert not caught.value.retryable


async def test_a_proxy_of_the_environment_is_not_used_for_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with a_client(tmp_path, answering(REVIEWS)) as client:
        assert (await client.get(VIRTUAL_SERVICE, "default", "reviews"))["kind"] == "VirtualService"


@pytest.mark.parametrize(
    ("status", "message", "welcome"),
    [
        (401, "Unauthorized", False),
        (403, 'User "system:anonymous" cannot get path "/api"', False),
        (403, 'User "gitmesh" cannot get path "/api"', True),
        (500, "etcd is gone", False),
    ],
)
async def test_a_server_must_know_us_before_we_are_connected(
    tmp_path: Path, status: int, message: str, welcome: bool
) -> None:
    opened = a_client(tmp_path, answering({}), greeting=(a_status(status, message), status))
    if welcome:
        async with opened:
            return
    with pytest.raises(ClusterError, match=message):
        async with opened:
            pass


async def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(ClusterError, match=r"http://127\.0\.0\.1:1: cannot connect.*running") as caught:
        await connect(file, timeout=timedelta(seconds=2), environ={})
    assert caught.value.retryable


async def test_http_where_tls_is_meant_is_explained(tmp_path: Path) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        raise AssertionError

    async with a_client(tmp_path, handler) as client:
        file = kubeconfig(tmp_path, client.address.replace("http:", "https:"))
        with pytest.raises(ClusterError, match="TLS failed"):
            await connect(file, timeout=timedelta(seconds=2), environ={})


async def test_an_object_that_does_not_fit_its_schema_is_rejected_and_not_tried_again(tmp_path: Path) -> None:
    """A real API server answers so as if it were at fault itself. Source: a kube-apiserver 1.36."""
    words = (
        "failed to create typed patch object (default/reviews; networking.istio.io/v1, Kind=VirtualService): "
        ".spec.hostz: field not declared in schema"
    )
    answer = {"kind": "Status", "status": "Failure", "message": words, "code": 500}
    async with a_client(tmp_path, answering(answer, 500)) as client:
        with pytest.raises(RejectedError, match="hostz: field not declared in schema; correct the") as caught:
            await client.apply(VIRTUAL_SERVICE, REVIEWS)
    assert not caught.value.retryable
    other = {"kind": "Status", "status": "Failure", "message": "etcd is away", "code": 500}
    async with a_client(tmp_path, answering(other, 500)) as client:
        with pytest.raises(ClusterError) as again:
            await client.apply(VIRTUAL_SERVICE, REVIEWS)
    assert again.value.retryable
