"""A repository of many objects, a cluster, and a daemon between them: each a real one.

The cluster is the playground's API server, started here, or one that a kubeconfig names; there everything
happens in namespaces of our own, which go again at the end.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp
import anyio
import anyio.to_thread
import yaml

from gitmesh.engine.clock import SystemClock
from gitmesh.kube.client import KubeClient
from gitmesh.kube.connect import connect
from gitmesh.kube.errors import ClusterError
from gitmesh.model.kinds import DESTINATION_RULE, SERVICE_ENTRY, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.resource import resource_from_body
from gitmesh.model.source import FIELD_MANAGER
from gitmesh.plan.normalize import to_apply
from gitmesh.playground.apiserver import writes
from gitmesh.playground.apiserver.kinds import Target
from gitmesh.playground.apiserver.limits import ApiLimits
from gitmesh.playground.apiserver.setup import open_cluster
from gitmesh.playground.apiserver.writes import WriteOptions
from gitmesh.playground.child import Child
from gitmesh.playground.repository import GitRepository
from tests.fakes.borrowed_cluster import borrowed

SOURCE = "scale"
APPS_IN_NAMESPACE = 200
KINDS_OF_AN_APP = (SERVICE_ENTRY, DESTINATION_RULE, VIRTUAL_SERVICE)
START_SECONDS_MAX = 120.0
OBJECTS_MAX = 100_000

_APP = """\
# {name}: a service outside of the mesh, in two versions
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: {name}
  namespace: {namespace}
  labels: {{team: team-{team}, tier: backend}}
spec:
  hosts: [{name}.example.com]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports:
    - {{number: 80, name: http, protocol: HTTP}}
  endpoints:
    - {{address: 127.0.0.9, labels: {{version: v1}}}}
    - {{address: 127.0.0.10, labels: {{version: v2}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: {name}
  namespace: {namespace}
  labels: {{team: team-{team}, tier: backend}}
spec:
  host: {name}.example.com
  trafficPolicy:
    connectionPool:
      tcp: {{maxConnections: 100}}
      http: {{http2MaxRequests: 1000, maxRequestsPerConnection: 10}}
    outlierDetection: {{consecutive5xxErrors: 7, interval: 5m, baseEjectionTime: 15m}}
  subsets:
    - name: v1
      labels: {{version: v1}}
    - name: v2
      labels: {{version: v2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: {name}
  namespace: {namespace}
  labels: {{team: team-{team}, tier: backend}}
spec:
  hosts: [{name}.example.com]
  http:
    - name: testers
      match:
        - headers:
            end-user: {{exact: jason}}
          uri: {{prefix: /api/v{team}}}
      route:
        - destination: {{host: {name}.example.com, subset: v2}}
    - name: everyone
      timeout: {timeout}s
      retries: {{attempts: 3, perTryTimeout: 2s, retryOn: "gateway-error,connect-failure"}}
      route:
        - destination: {{host: {name}.example.com, subset: v1}}
          weight: 90
        - destination: {{host: {name}.example.com, subset: v2}}
          weight: 10
"""


@dataclass(frozen=True, slots=True)
class App:
    """Three objects in one file."""

    number: int
    namespace: str

    @property
    def name(self) -> str:
        """The name of each of the three."""
        return f"app-{self.number}"

    @property
    def path(self) -> str:
        """The file that they are in."""
        return f"{self.namespace}/{self.name}.yaml"

    def text(self, timeout: int = 10) -> str:
        """Return the file."""
        return _APP.format(
            name=self.name, namespace=self.namespace, team=self.number % 9 + 1, timeout=timeout
        )


@dataclass(slots=True)
class Followed:
    """What a measurement works with. `daemon` is None until it is started."""

    client: KubeClient
    kubeconfig: Path
    directory: Path
    repository: GitRepository
    apps: list[App] = field(default_factory=list)
    namespace: str = ""  # of the TrafficSource
    port: int = 0

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[Child]:
        """Run `gitmesh run` while the body runs."""
        self.port = _free_port()
        command = [
            *(sys.executable, "-m", "gitmesh", "run", f"--kubeconfig={self.kubeconfig}"),
            *(f"--data-dir={self.directory / 'data'}", f"--repo={self.repository.url}"),
            *(f"--namespace={self.namespace}", f"--name={SOURCE}", "--allow-file-urls"),
            *(f"--listen=127.0.0.1:{self.port}", "--log-format=json"),
        ]
        child = await Child.start("the daemon", command, self.directory / "daemon.log")
        try:
            yield child
        finally:
            await child.stop()

    async def meters(self) -> dict[str, float]:
        """Return what the daemon says of itself, by name with labels."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.port}/metrics") as answer,
        ):
            return _samples(await answer.text())

    async def requests(self) -> dict[str, float]:
        """Return how many requests the API server has had, by verb and resource, as it counts them."""
        counts: dict[str, float] = {}
        for name, value in _samples(await _text(self.client, "/metrics")).items():
            if name.startswith("apiserver_request_total{"):
                labels = dict(part.split("=", 1) for part in name[24:-1].split(",") if "=" in part)
                key = f"{labels.get('verb', '')} {labels.get('resource', '')}".replace('"', "")
                counts[key] = counts.get(key, 0) + value
        return counts

    async def source(self) -> dict[str, object]:
        """Return the status of the TrafficSource; empty while there is none."""
        try:
            body = await self.client.get(TRAFFIC_SOURCE, self.namespace, SOURCE)
        except ClusterError:
            return {}
        return dict(body.get("status") or {})


@asynccontextmanager
async def followed(
    directory: Path, objects: int, kubeconfig: Path | None, *, seeded: bool = False
) -> AsyncIterator[Followed]:
    """Make a repository of `objects` objects and the namespaces for them, and take the latter away again.

    `seeded`: the playground's API server holds the objects from the start, as a daemon would have left them.
    """
    if seeded:
        async with _seeded(directory, objects) as world:
            yield world
        return
    async with _cluster(directory, kubeconfig) as found:
        client = await connect(found, timeout=timedelta(seconds=30))
        try:
            async with borrowed(client) as cluster:
                world = Followed(client, found, directory, GitRepository.create(directory / "git"))
                apps = -(-objects // len(KINDS_OF_AN_APP))
                namespaces = [await cluster.namespace() for _ in range(-(-apps // APPS_IN_NAMESPACE))]
                world.namespace = namespaces[0]
                world.apps = [App(number, namespaces[number // APPS_IN_NAMESPACE]) for number in range(apps)]
                files = {app.path: app.text() for app in world.apps}
                await anyio.to_thread.run_sync(world.repository.publish, files, "Everything")
                yield world
        finally:
            await client.close()


@asynccontextmanager
async def _seeded(directory: Path, objects: int) -> AsyncIterator[Followed]:
    count = -(-objects // len(KINDS_OF_AN_APP))
    apps = [App(number, f"seeded-{number // APPS_IN_NAMESPACE}") for number in range(count)]
    await anyio.to_thread.run_sync(_seed, directory / "objects.db", apps)
    async with _cluster(directory, None) as found:
        client = await connect(found, timeout=timedelta(seconds=30))
        try:
            repository = GitRepository.create(directory / "git")
            world = Followed(client, found, directory, repository, apps, apps[0].namespace)
            files = {app.path: app.text() for app in apps}
            await anyio.to_thread.run_sync(world.repository.publish, files, "Everything")
            yield world
        finally:
            await client.close()


def _seed(database: Path, apps: list[App]) -> None:
    """Write into the database what the API server would, had the daemon asked it."""
    limits = ApiLimits(objects_max=OBJECTS_MAX)
    cluster = open_cluster(str(database), now=SystemClock().now, monotonic=time.monotonic, limits=limits)
    options = WriteOptions(manager=FIELD_MANAGER, force=True)
    namespaces = cluster.registry.by_resource("namespaces")
    assert namespaces is not None
    with cluster.store.together():
        for name in dict.fromkeys(app.namespace for app in apps):
            writes.create(cluster, Target(namespaces, "v1"), {"metadata": {"name": name}}, options)
        for app in apps:
            for body in yaml.load_all(app.text(), Loader=yaml.CSafeLoader):
                ours = to_apply(resource_from_body(body), f"{apps[0].namespace}/{SOURCE}")
                served = cluster.registry.by_kind(ours.key.group, ours.key.kind)
                assert served is not None
                target = Target(served, "v1", ours.key.namespace, ours.key.name)
                writes.patch(cluster, target, writes.APPLY_PATCH, dict(ours.body), options)
    cluster.store.close()


@asynccontextmanager
async def _cluster(directory: Path, kubeconfig: Path | None) -> AsyncIterator[Path]:
    if kubeconfig is not None:
        yield kubeconfig
        return
    command = [
        *(
            sys.executable,
            "-m",
            "gitmesh.playground.apiserver",
            f"--objects-max={OBJECTS_MAX}",
            f"--db={directory / 'objects.db'}",
        ),
        *("--token-file", str(directory / "token"), "--ready-file", str(directory / "ready")),
        *("--kubeconfig-out", str(directory / "kubeconfig")),
    ]
    child = await Child.start("the API server", command, directory / "apiserver.log")
    try:
        with anyio.fail_after(START_SECONDS_MAX):
            while not (directory / "ready").exists():  # noqa: ASYNC110 (another process makes it)
                await anyio.sleep(0.02)
        yield directory / "kubeconfig"
    finally:
        await child.stop()


async def _text(client: KubeClient, path: str) -> str:
    """Ask the API server for text, with the client's own address and login."""
    configuration = client.configuration
    headers = {name: str(each["value"]) for name, each in (await configuration.auth_settings()).items()}
    connector = (configuration.client_session_kwargs or {})["connector"]
    async with (
        aiohttp.ClientSession(connector=connector, connector_owner=False) as session,
        session.get(f"{configuration.host}{path}", headers={"Authorization": headers["BearerToken"]}) as got,
    ):
        return await got.text()


def _samples(text: str) -> dict[str, float]:
    return dict(_lines(text))


def _lines(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name and not line.startswith("#"):
            yield name, float(value)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
