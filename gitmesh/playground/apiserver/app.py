"""HTTP: authentication, paths, bodies and answers.

Stage: playground. What is asked is then done by `reads`, `writes`, `deletes` and `watches`.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import AsyncIterator
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from gitmesh.playground.apiserver import deletes, discovery, failures, reads, requests, watches, writes
from gitmesh.playground.apiserver.bodies import read_body
from gitmesh.playground.apiserver.cluster import Cluster
from gitmesh.playground.apiserver.failures import ApiError
from gitmesh.playground.apiserver.kinds import Body, Target, metadata_of
from gitmesh.playground.apiserver.negotiation import Form, choose_form, wanted_discovery
from gitmesh.playground.apiserver.openapi2 import MEDIA_TYPE, OpenApi2
from gitmesh.playground.apiserver.openapi3 import OpenApi3
from gitmesh.playground.apiserver.tables import partial, table

_WARNINGS_MAX, _WARNING_LENGTH_MAX = 32, 256
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version"})
# The version whose behaviour is followed. Clients decide by it what they may ask.
VERSION: Body = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.0+gitmesh-playground",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "",
}

_log = logging.getLogger("gitmesh.playground.apiserver")


def make_app(cluster: Cluster, token: str) -> Starlette:
    """Return the application. `token` is what each request must bear."""
    server = _Server(cluster, token)
    return Starlette(routes=[Route("/{path:path}", server.answer, methods=_METHODS)])


def _json(body: Any, *, status: int = 200, warnings: tuple[str, ...] = (), parameters: str = "") -> Response:
    response = Response(orjson.dumps(body), status, media_type=f"application/json{parameters}")
    for warning in warnings[:_WARNINGS_MAX]:
        response.headers.append("Warning", f'299 - "{_quoted(warning)}"')
    return response


def _quoted(warning: str) -> str:
    """Return the text as it may stand in a header. It holds names that a client wrote."""
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in warning[:_WARNING_LENGTH_MAX])
    return plain.replace("\\", "\\\\").replace('"', '\\"')


class _Server:
    def __init__(self, cluster: Cluster, token: str) -> None:
        self._cluster = cluster
        self._token = token.encode()
        self._openapi2 = OpenApi2(cluster.registry)
        self._openapi3 = OpenApi3(cluster.registry)
        self._meters = CollectorRegistry()
        # Source: kubernetes.io, Kubernetes Metrics Reference: the name and these labels.
        self._requests = Counter(
            "apiserver_request_total",
            "Requests, by verb and resource",
            ["verb", "group", "resource"],
            registry=self._meters,
        )

    async def answer(self, request: Request) -> Response:
        """Answer any request; refusals become a Status."""
        try:
            return await self._dispatch(request)
        except ApiError as failure:
            response = _json(failure.status(), status=failure.code)
            if failure.details and "retryAfterSeconds" in failure.details:
                response.headers["Retry-After"] = str(failure.details["retryAfterSeconds"])
            return response
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception:
            _log.exception("%s %s failed", request.method, request.url.path)
            broken = ApiError(500, "InternalError", "Internal error: see the log of the API server")
            return _json(broken.status(), status=500)

    async def _dispatch(self, request: Request) -> Response:
        path = request.url.path
        if path in _OPEN_PATHS:
            return _json(VERSION) if path == "/version" else PlainTextResponse("ok")
        self._authenticate(request)
        if path == "/metrics":
            return Response(generate_latest(self._meters), media_type=CONTENT_TYPE_LATEST)
        segments = tuple(path.strip("/").split("/"))
        if segments[0] == "openapi" and request.method == "GET":
            return self._openapi(request, segments)
        if segments[0] in ("api", "apis"):
            if len(segments) <= (2 if segments[0] == "api" else 3):
                return self._discovery(request, segments)
            return await self._resource(request, requests.find_target(self._cluster.registry, segments))
        raise failures.no_such_path()

    def _authenticate(self, request: Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token):
            raise failures.unauthorized()

    # What there is

    def _discovery(self, request: Request, segments: tuple[str, ...]) -> Response:
        if request.method != "GET":
            raise failures.method_not_allowed(request.method)
        registry = self._cluster.registry
        form = wanted_discovery(request.headers.get("Accept", ""))
        match segments:
            case ("api" | "apis",) if form:
                body = discovery.aggregated(registry, form, core=segments[0] == "api")
                return _json(body, parameters=f";g=apidiscovery.k8s.io;v={form};as=APIGroupDiscoveryList")
            case ("api",):
                return _json(discovery.core_versions(request.url.netloc))
            case ("apis",):
                return _json(discovery.group_list(registry))
            case ("api", version):
                return _json(discovery.resource_list(registry, "", version))
            case ("apis", group):
                return _json(discovery.group(registry, group))
            case ("apis", group, version) if group:
                return _json(discovery.resource_list(registry, group, version))
        raise failures.no_such_path()

    def _openapi(self, request: Request, segments: tuple[str, ...]) -> Response:
        if segments == ("openapi", "v2"):
            if "protobuf" in request.headers.get("Accept", ""):
                return Response(self._openapi2.protobuf(), media_type=MEDIA_TYPE)
            return Response(self._openapi2.json(), media_type="application/json")
        if segments == ("openapi", "v3"):
            return _json(self._openapi3.index())
        if segments[:2] == ("openapi", "v3"):
            document = self._openapi3.document("/".join(segments[2:]))
            return Response(document, media_type="application/json")
        raise failures.no_such_path()

    # Objects

    async def _resource(self, request: Request, target: Target) -> Response:
        verb = _verb(request, target)
        if verb not in target.kind.verbs:
            raise failures.method_not_allowed(request.method)
        self._requests.labels(verb.upper(), target.kind.group, target.kind.plural).inc()
        if verb == "watch":
            return self._watch(request, target)
        if verb in ("get", "list"):
            return self._read(request, target, verb)
        media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        strict = request.query_params.get("fieldValidation") == "Strict"
        body = read_body(await self._body(request), media_type, strict=strict)
        if verb in ("delete", "deletecollection"):
            return self._delete(request, target, verb, body)
        return self._write(request, target, verb, media_type, body)

    async def _body(self, request: Request) -> bytes:
        limit = self._cluster.limits.body_bytes_max
        chunks, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise failures.too_large(limit)
            chunks.append(chunk)
        return b"".join(chunks)

    def _read(self, request: Request, target: Target, verb: str) -> Response:
        form = choose_form(request.headers.get("Accept", "*/*"))
        include = request.query_params.get("includeObject", "Metadata")
        if verb == "get":
            body = reads.get(self._cluster, target)
            return _json(self._shaped(target, body, form, include), parameters=form.parameters)
        page = reads.list_page(self._cluster, target, requests.list_options(request.query_params))
        metadata: Body = {"resourceVersion": str(page.revision)}
        if page.continue_token:
            metadata |= {"continue": page.continue_token, "remainingItemCount": page.remaining}
        return _json(self._listed(target, page.items, metadata, form, include), parameters=form.parameters)

    def _listed(self, target: Target, items: list[Body], metadata: Body, form: Form, include: str) -> Body:
        if form.shape == "Table":
            now = self._cluster.now()
            return table(target, items, list_metadata=metadata, include=include, now=now)
        if form.shape == "Partial":
            kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
            return {
                "kind": kind,
                "apiVersion": version,
                "metadata": metadata,
                "items": [partial(i) for i in items],
            }
        kind, version = target.kind.list_kind, target.api_version
        return {"apiVersion": version, "items": items, "kind": kind, "metadata": metadata}

    def _shaped(self, target: Target, body: Body, form: Form, include: str, *, first: bool = True) -> Body:
        if form.shape == "Table":
            now, metadata = (
                self._cluster.now(),
                {"resourceVersion": metadata_of(body).get("resourceVersion", "")},
            )
            return table(target, [body], list_metadata=metadata, include=include, now=now, with_columns=first)
        return partial(body) if form.shape == "Partial" else body

    def _watch(self, request: Request, target: Target) -> Response:
        form = choose_form(request.headers.get("Accept", "*/*"))
        options = requests.watch_options(request.query_params, target.name)
        watches.check_watch(options)
        watches.check_room(self._cluster)
        reads.selection(target.kind, options.listed.label_selector, options.listed.field_selector)
        events = watches.watch(self._cluster, target, options)
        include = request.query_params.get("includeObject", "Metadata")
        lines = self._lines(target, events, form, include)
        return StreamingResponse(lines, media_type=f"application/json{form.parameters}")

    async def _lines(
        self, target: Target, events: AsyncIterator[watches.Event], form: Form, include: str
    ) -> AsyncIterator[bytes]:
        first = True
        async for kind, body in events:
            if kind == "BOOKMARK" and form.shape == "Table":
                metadata = {"resourceVersion": body["metadata"]["resourceVersion"]}
                now = self._cluster.now()
                body = table(target, [], list_metadata=metadata, include=include, now=now, with_columns=False)
            elif kind != "ERROR":
                body = self._shaped(target, body, form, include, first=first)
                first = False
            yield orjson.dumps({"type": kind, "object": body}) + b"\n"

    def _write(self, request: Request, target: Target, verb: str, media_type: str, body: Any) -> Response:
        form = choose_form(request.headers.get("Accept", "*/*"))
        agent = request.headers.get("User-Agent", "")
        options = requests.write_options(request.query_params, media_type, agent)
        if verb == "create":
            done = writes.create(self._cluster, target, body, options)
        elif verb == "update":
            done = writes.update(self._cluster, target, body, options)
        else:
            done = writes.patch(self._cluster, target, media_type, body, options)
        shown = target.kind.as_version(done.body, target.version)
        shown = self._shaped(target, shown, form, "Metadata")
        status = 201 if done.created else 200
        return _json(shown, status=status, warnings=done.warnings, parameters=form.parameters)

    def _delete(self, request: Request, target: Target, verb: str, body: Any) -> Response:
        query = request.query_params
        options = deletes.delete_options(
            body, dry_run=requests.dry_run(query), propagation=query.get("propagationPolicy", "")
        )
        if verb == "delete":
            return _json(deletes.delete(self._cluster, target, options))
        page = reads.list_page(self._cluster, target, requests.list_options(query))
        deletes.delete_collection(self._cluster, target.kind, page.items, options)
        metadata = {"resourceVersion": str(self._cluster.store.revision)}
        return _json(self._listed(target, page.items, metadata, Form(), "Metadata"))


def _verb(request: Request, target: Target) -> str:
    wants_watch = request.method == "GET" and requests.flag(request.query_params, "watch")
    if wants_watch and not target.subresource:
        return "watch"
    if target.name:
        verbs = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
        if target.subresource:
            verbs.pop("DELETE")
    else:
        verbs = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
        if target.kind.namespaced and not target.namespace:
            verbs = {"GET": "list"}
    if request.method not in verbs:
        raise failures.method_not_allowed(request.method)
    return verbs[request.method]
