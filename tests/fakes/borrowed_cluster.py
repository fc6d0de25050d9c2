"""A cluster that is not ours: what is made in it carries our mark, and all of it goes again.

Namespaces get generated names. A CustomResourceDefinition is installed only where it is missing, and only
those that were installed here are removed. Nothing else is written, whatever happens meanwhile.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from gitmesh.kube.client import KubeClient
from gitmesh.kube.errors import ClusterError, NotFoundError, StaleWriteError
from gitmesh.model.kinds import (
    CONFIG_MAP,
    CUSTOM_RESOURCE_DEFINITION,
    LEASE,
    NAMESPACE,
    POD,
    SERVICE,
    TRAFFIC_KINDS,
    TRAFFIC_ROLLOUT,
    TRAFFIC_SOURCE,
)
from gitmesh.playground.apiserver import preinstalled

EMPTIED = (*TRAFFIC_KINDS, TRAFFIC_SOURCE, TRAFFIC_ROLLOUT, SERVICE, POD, CONFIG_MAP, LEASE)
MARK = "gitmesh.dev/made-by-a-test"
SERVED_SECONDS_MAX = 30.0
GONE_SECONDS_MAX = 60.0
_POLL_SECONDS = 0.05


@dataclass
class BorrowedCluster:
    """Where a test works. `run` is in the name of everything that it makes."""

    client: KubeClient
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    namespaces: list[str] = field(default_factory=list)
    installed: list[str] = field(default_factory=list)

    async def namespace(self) -> str:
        """Make a namespace of our own; return its name."""
        name = f"gitmesh-test-{self.run}-{len(self.namespaces)}"
        self.namespaces.append(name)  # before it is made: an answer may be lost
        body = {"metadata": {"name": name, "labels": {MARK: self.run}}}
        await self.client.create(NAMESPACE, body)
        return name

    async def install_kinds(self) -> None:
        """Install Istio's and GitMesh's definitions where they are missing."""
        await self.install(preinstalled.definitions())

    async def install(self, definitions: Iterable[dict[str, Any]]) -> None:
        """Install the definitions that are missing, and wait until they are served."""
        for body in definitions:
            name = body["metadata"]["name"]
            try:
                await self.client.get(CUSTOM_RESOURCE_DEFINITION, "", name)
                continue
            except NotFoundError:
                pass
            marked = {**body["metadata"], "labels": {**body["metadata"].get("labels", {}), MARK: self.run}}
            try:
                await self.client.create(CUSTOM_RESOURCE_DEFINITION, {**body, "metadata": marked})
            except StaleWriteError:
                continue  # somebody else has installed it a moment ago: it is theirs
            self.installed.append(name)
        for name in self.installed:
            await self._established(name)

    async def _established(self, name: str) -> None:
        with anyio.fail_after(SERVED_SECONDS_MAX):
            while True:
                body = await self.client.get(CUSTOM_RESOURCE_DEFINITION, "", name)
                conditions = (body.get("status") or {}).get("conditions") or ()
                if any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions):
                    return
                await anyio.sleep(_POLL_SECONDS)

    async def give_back(self) -> None:
        """Remove everything that was made here. Goes on after an error, and then tells the first."""
        first: ClusterError | None = None
        for name in self.namespaces:
            try:
                await self._empty(name)
            except ClusterError as error:
                first = error
        for kind, names in ((NAMESPACE, self.namespaces), (CUSTOM_RESOURCE_DEFINITION, self.installed)):
            for name in names:
                try:
                    await self._remove(kind, name)
                except ClusterError as error:
                    first = first or error
        if first is not None:
            raise first

    async def _empty(self, namespace: str) -> None:
        """Delete what tests make, also where nobody empties namespaces, as beside a bare API server."""
        for kind in EMPTIED:
            try:
                found = await self.client.list(kind, namespace=namespace)
            except NotFoundError:
                continue
            for body in found.items:
                name = str(body["metadata"]["name"])
                if body["metadata"].get("finalizers"):
                    patch = {"metadata": {"finalizers": None}}
                    await self.client.merge_patch(kind, namespace, name, patch)
                await self.client.delete(kind, namespace, name)

    async def _remove(self, kind: Any, name: str) -> None:
        """Remove one object, if it has our mark: under a name of ours somebody else's may stand."""
        try:
            body = await self.client.get(kind, "", name)
        except NotFoundError:
            return
        metadata = body["metadata"]
        if (metadata.get("labels") or {}).get(MARK) == self.run:
            await self.client.delete(kind, "", name, uid=str(metadata["uid"]))

    async def wait_gone(self) -> None:
        """Wait until the namespaces are gone, where the cluster has somebody who empties them."""
        with anyio.move_on_after(GONE_SECONDS_MAX):
            for name in self.namespaces:
                while True:
                    try:
                        await self.client.get(NAMESPACE, "", name)
                    except NotFoundError:
                        break
                    await anyio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def borrowed(client: KubeClient, *, kinds: bool = True) -> AsyncIterator[BorrowedCluster]:
    """Work in a cluster with Istio's and GitMesh's kinds, and leave it as it was, also on Ctrl-C.

    `kinds` is false where somebody else sees to the definitions.
    """
    cluster = BorrowedCluster(client)
    try:
        if kinds:
            await cluster.install_kinds()
        yield cluster
    finally:
        with anyio.CancelScope(shield=True):
            await cluster.give_back()
