"""An API server by plain HTTP, for what our own client never asks: other managers, forms, headers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

import aiohttp

from gitmesh.kube.client import KubeClient
from gitmesh.model.kinds import Kind

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    warnings: tuple[str, ...]

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))

    @property
    def reason(self) -> str:
        return str(self.body.get("reason", ""))

    @property
    def causes(self) -> list[tuple[str, str, str]]:
        """Reason, field and message of each cause."""
        found = (self.body.get("details") or {}).get("causes") or ()
        return [(c.get("reason", ""), c.get("field", ""), c.get("message", "")) for c in found]

    @property
    def version(self) -> str:
        return str(self.body["metadata"]["resourceVersion"])

    def owned(self) -> dict[tuple[str, str, str], Any]:
        """Return fieldsV1 by manager, operation and subresource."""
        entries = self.body["metadata"].get("managedFields") or ()
        return {(e["manager"], e["operation"], e.get("subresource", "")): e["fieldsV1"] for e in entries}

    def ok(self) -> Self:
        assert self.status in (200, 201), (self.status, self.body)
        return self


class RawApi:
    """Requests with the address and login of a client."""

    def __init__(self, client: KubeClient) -> None:
        self._configuration = client.configuration
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = (self._configuration.client_session_kwargs or {})["connector"]
        login = {n: str(v["value"]) for n, v in (await self._configuration.auth_settings()).items()}
        headers = {"Authorization": login["BearerToken"]} if "BearerToken" in login else {}
        self._session = aiohttp.ClientSession(
            connector=connector, connector_owner=False, headers=headers, raise_for_status=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        **query: str,
    ) -> Answer:
        """Send one request. A body that is text is sent as it is."""
        assert self._session is not None
        data = body if isinstance(body, str) else None if body is None else json.dumps(body)
        headers = {"Accept": accept, **({"Content-Type": content_type} if data is not None else {})}
        url = f"{self._configuration.host}{path}"
        async with self._session.request(method, url, data=data, headers=headers, params=query) as got:
            text = await got.text()
            return Answer(got.status, _json(text), tuple(got.headers.getall("Warning", ())))

    async def apply(
        self, kind: Kind, body: dict[str, Any], manager: str, *, subresource: str = "", **query: str
    ) -> Answer:
        """Apply server-side."""
        where = path_of(kind, body["metadata"]["namespace"], body["metadata"]["name"], subresource)
        typed = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        return await self.send("PATCH", where, typed, content_type=APPLY, fieldManager=manager, **query)

    async def patch(
        self, kind: Kind, namespace: str, name: str, patch: Any, content_type: str, manager: str, **query: str
    ) -> Answer:
        """Patch in one of the other three forms."""
        where = path_of(kind, namespace, name, query.pop("subresource", ""))
        return await self.send(
            "PATCH", where, patch, content_type=content_type, fieldManager=manager, **query
        )

    async def create(self, kind: Kind, body: dict[str, Any], manager: str, **query: str) -> Answer:
        where = path_of(kind, body["metadata"]["namespace"])
        typed = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        return await self.send("POST", where, typed, fieldManager=manager, **query)

    async def replace(
        self, kind: Kind, body: dict[str, Any], manager: str, *, subresource: str = "", **query: str
    ) -> Answer:
        where = path_of(kind, body["metadata"]["namespace"], body["metadata"]["name"], subresource)
        return await self.send("PUT", where, body, fieldManager=manager, **query)

    async def get(self, kind: Kind, namespace: str, name: str, **query: str) -> Answer:
        return await self.send("GET", path_of(kind, namespace, name), **query)


def path_of(kind: Kind, namespace: str, name: str = "", subresource: str = "") -> str:
    """Return the path of a collection, an object or a subresource."""
    parts = ["apis", kind.group, kind.version] if kind.group else ["api", kind.version]
    if kind.namespaced and namespace:
        parts += ["namespaces", namespace]
    return "/" + "/".join([*parts, kind.plural, *(part for part in (name, subresource) if part)])


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
