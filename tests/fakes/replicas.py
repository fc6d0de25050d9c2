"""Several real daemons with leader election on one real API server, seen by a proxy."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from fakes.apiserver import ApiServer, an_api_server
from fakes.real_loop import clean_environment, end, gitmesh_command, until
from fakes.witness_proxy import WitnessProxy, witness_proxy

from gitmesh.kube.client import KubeClient
from gitmesh.kube.connect import connect
from gitmesh.kube.errors import NotFoundError
from gitmesh.model.kinds import LEASE, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.source import TrafficSourceStatus
from gitmesh.playground.repository import GitRepository

CONFIG = """\
settle: 100ms
apiTimeout: 3s
lease: {namespace: default, duration: 2s, renewDeadline: 1500ms, retryPeriod: 300ms}
"""


@dataclass
class Replica:
    """One `gitmesh run`. Its identity is what its Lease and its user agent say."""

    directory: Path
    kubeconfig: Path
    options: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    frozen: bool = False

    @property
    def identity(self) -> str:
        assert self.process is not None
        return f"{socket.gethostname()}-{self.process.pid}"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def start(self) -> None:
        self.directory.mkdir(exist_ok=True)
        with (self.directory / "log").open("a") as log:
            self.process = subprocess.Popen(
                gitmesh_command(
                    *(
                        "run",
                        "--kubeconfig",
                        str(self.kubeconfig),
                        "--data-dir",
                        str(self.directory / "data"),
                    ),
                    *("--leader-election", "--allow-file-urls", "--log-format=json", *self.options),
                ),
                stdout=log,
                stderr=log,
                env={**clean_environment(), **self.environment},
            )

    def freeze(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)
        self.frozen = False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.frozen = False

    async def stop(self) -> None:
        """End it as a Pod ends. Not in this thread: the proxy is here, and the daemon has things to say."""
        if self.process is not None and self.process.poll() is None:
            with suppress(ProcessLookupError):
                self.thaw()
            await anyio.to_thread.run_sync(end, self.process)


@dataclass
class Replicas:
    """A world of replicas: their API server, what they say to it, and one repository that they follow."""

    directory: Path
    server: ApiServer
    proxy: WitnessProxy
    client: KubeClient
    repository: GitRepository
    config: str = CONFIG
    environment: Mapping[str, str] = field(default_factory=dict)
    all: list[Replica] = field(default_factory=list)

    def add(self, *options: str) -> Replica:
        directory = self.directory / f"replica{len(self.all)}"
        (self.directory / "gitmesh.yaml").write_text(self.config)
        given = ("--config", str(self.directory / "gitmesh.yaml"), *options)
        replica = Replica(directory, self._kubeconfig(), given, self.environment)
        replica.start()
        self.all.append(replica)
        return replica

    def _kubeconfig(self) -> Path:
        config = json.loads(self.server.kubeconfig.read_text())
        config["clusters"][0]["cluster"] = {"server": self.proxy.address}
        path = self.directory / "kubeconfig"
        path.write_text(json.dumps(config))
        return path

    async def follow(self, name: str = "mesh", url: str = "", **spec: Any) -> None:
        labels = spec.pop("labels", {})
        body = {
            "apiVersion": TRAFFIC_SOURCE.api_version,
            "kind": TRAFFIC_SOURCE.kind,
            "metadata": {"name": name, "namespace": "default", "labels": labels},
            "spec": {"url": url or self.repository.url, "interval": "1h", **spec},
        }
        await self.client.apply(TRAFFIC_SOURCE, body, force=True)

    async def holder(self, lease: str = "gitmesh") -> str:
        """Return who holds the Lease; empty when nobody does."""
        try:
            found = await self.client.get(LEASE, "default", lease)
        except NotFoundError:
            return ""
        return str(found["spec"].get("holderIdentity") or "")

    async def leader(self, other_than: str = "") -> Replica:
        async def seen() -> Replica | None:
            holder = await self.holder()
            found = [r for r in self.all if r.identity == holder and holder != other_than]
            return found[0] if found else None

        return await until("a leader", seen, 90)

    async def status(self, name: str = "mesh") -> TrafficSourceStatus:
        body = await self.client.get(TRAFFIC_SOURCE, "default", name)
        return TrafficSourceStatus.model_validate(body.get("status") or {})

    async def wait_applied(self, commit: str, name: str = "mesh", seconds: float = 90) -> None:
        async def seen() -> bool:
            status = await self.status(name)
            ready = next((c for c in status.conditions if c.type == "Ready"), None)
            applied = status.last_applied_revision.rpartition("@")[2].startswith(commit)
            return bool(ready and ready.status == "True" and applied)

        await until(f"{commit} to be applied", seen, seconds)

    async def weights(self, name: str = "reviews") -> tuple[int, ...]:
        try:
            body = await self.client.get(VIRTUAL_SERVICE, "default", name)
        except NotFoundError:
            return ()
        return tuple(d.get("weight", 0) for d in body["spec"]["http"][0]["route"])


@asynccontextmanager
async def replicas(
    directory: Path, count: int, *options: str, config: str = CONFIG
) -> AsyncIterator[Replicas]:
    """Run so many replicas; ends every one of them."""
    repository = GitRepository.create(directory / "repository")
    with an_api_server(directory / "api") as server:
        async with witness_proxy(server.address) as proxy:
            client = await connect(server.kubeconfig, timeout=timedelta(seconds=10), environ={})
            world = Replicas(directory, server, proxy, client, repository, config)
            try:
                for _ in range(count):
                    world.add(*options)
                yield world
            finally:
                proxy.free()
                with anyio.CancelScope(shield=True):
                    for replica in world.all:
                        await replica.stop()
                await client.close()
    for replica in world.all:
        assert "Traceback" not in replica.log, replica.log[-5_000:]
